"""Every registered strategy keeps every promise, on hand-made requests and on any other."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.components.decision_unit import placers
from server.domain.placement import PlacementRequest
from server.testing.contracts.placement_requests import requests
from server.testing.contracts.placer import LARGE, PROMISES, REQUESTS, check_promise


@pytest.mark.parametrize("name", placers)
@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_placer_keeps_its_promise(name: str, promise: str, request_name: str) -> None:
    check_promise(promise, placers[name](), REQUESTS[request_name]())


@pytest.mark.parametrize("name", placers)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_=requests(), promise=st.sampled_from([*PROMISES]))
def test_a_placer_keeps_its_promises_on_any_request(name: str, promise: str, request_: PlacementRequest) -> None:
    check_promise(promise, placers[name](), request_)


@pytest.mark.parametrize("name", placers)
@pytest.mark.parametrize(
    "promise",
    ["answers_within_its_limit", "answers_every_task_once", "starts_now_only_what_fits_together"],
)
@pytest.mark.parametrize("request_name", LARGE)
def test_a_placer_answers_a_large_queue(name: str, promise: str, request_name: str) -> None:
    check_promise(promise, placers[name](), LARGE[request_name]())


@pytest.mark.parametrize("name", placers)
def test_a_placer_is_named_as_it_is_registered(name: str) -> None:
    assert placers[name].name == name
