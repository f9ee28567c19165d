"""Every estimator keeps every promise."""

from __future__ import annotations

import pytest

from server.estimators import estimators
from server.testing.contracts.estimator import PROMISES, check_promise


@pytest.mark.parametrize("name", estimators)
@pytest.mark.parametrize("promise", PROMISES)
def test_an_estimator_keeps_its_promise(name: str, promise: str) -> None:
    check_promise(promise, estimators[name])


@pytest.mark.parametrize("name", estimators)
def test_an_estimator_is_named_as_it_is_registered(name: str) -> None:
    assert estimators[name].name == name
