"""The strategy decides about its runs, the platform's own rule about the others, and no room is given twice."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.components.decision_unit import DecisionUnit
from server.components.handing_over import whole_runs
from server.components.holdout.splitting import SAID, decide_for_both
from server.domain.events import RunPlaced
from server.domain.placement import PlacementRequest
from server.domain.resources import Resources
from server.domain.states import Binding
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, requests

NUMBERS = itertools.count()


def unit(placer: str, binding: Binding = Binding.WHEN_READY) -> DecisionUnit:
    return DecisionUnit(placer=placer, new_id=lambda: f"d{next(NUMBERS)}", in_process=True, binding=binding)


async def test_each_side_is_decided_by_its_own() -> None:
    runs = [a_run(name, a_task(name)) for name in ("ours", "theirs")]
    asked = a_request([a_node("a"), a_node("b")], runs)
    found = await decide_for_both(asked, frozenset({"theirs"}), unit("fifo_round_robin"), unit("fifo_greedy"))
    by_run = {one.run_id: one for one in found.outcome.decisions}
    assert by_run["ours"].strategy == "fifo_round_robin"
    assert by_run["theirs"].strategy == "fifo_greedy"
    assert by_run["theirs"].reason.startswith(SAID)
    assert found.asked is not None
    assert [run.run_id for run in found.asked.runs] == ["ours"]
    assert found.own is not None
    assert found.ruled is not None
    assert [one.run_id for one in found.own.bind_now] == ["ours"]
    assert [(found.ruled.strategy, one.run_id) for one in found.ruled.bind_now] == [("fifo_greedy", "theirs")]


@pytest.mark.parametrize(("waits_longer", "goes"), [("ours", "ours"), ("theirs", "theirs")])
async def test_the_last_room_goes_to_whom_waits_longer(waits_longer: str, goes: str) -> None:
    runs = [
        a_run(name, a_task(name, ready_at=NOW - timedelta(seconds=60 if name == waits_longer else 5)))
        for name in ("ours", "theirs")
    ]
    asked = a_request([a_node("only", cpus=1)], runs)
    found = await decide_for_both(asked, frozenset({"theirs"}), unit("fifo_greedy"), unit("fifo_greedy"))
    assert [one.run_id for one in found.outcome.bind_now] == [goes]
    assert {run for run, _ in found.outcome.holds} == {"ours", "theirs"} - {goes}


@settings(deadline=None)
@given(requests(), st.integers(0, 31))
async def test_no_room_is_given_twice_and_nobody_is_forgotten(asked: PlacementRequest, drawn: int) -> None:
    left = frozenset(run.run_id for index, run in enumerate(asked.runs) if drawn >> index & 1)
    found = (await decide_for_both(asked, left, unit("fifo_round_robin"), unit("fifo_greedy"))).outcome
    ready = {task.ref for task in asked.tasks() if task.is_ready}
    bound = {(one.run_id, one.key) for one in found.bind_now}
    assert bound | set(found.holds) == ready
    assert not bound & set(found.holds)
    options = {task.ref: {option.name: option.requests for option in task.options} for task in asked.tasks()}
    for node in asked.snapshot.nodes:
        room = asked.snapshot.available()[node.name]
        taken = [options[(one.run_id, one.key)][one.option] for one in found.bind_now if one.node == node.name]
        assert not taken or sum(taken, Resources()).fits_in(room)


async def test_where_whole_runs_are_handed_over_those_left_out_go_at_once_without_nodes() -> None:
    runs = [a_run(name, a_task(name, cpus=4)) for name in ("ours", "waits", "theirs")]
    asked = a_request([a_node("only", cpus=4)], runs)
    left = frozenset({"theirs"})
    found = await decide_for_both(asked, left, unit("fifo_greedy", Binding.AT_SUBMISSION), None)
    events = dict(whole_runs(asked.runs, found.outcome, NOW, left_out=left))
    assert set(events) == {"ours", "theirs"}
    assert isinstance(events["theirs"], RunPlaced)
    assert [task.node for task in events["theirs"].tasks] == [None]
    assert isinstance(events["ours"], RunPlaced)
    assert [task.node for task in events["ours"].tasks] == ["only"]
