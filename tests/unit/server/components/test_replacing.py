"""Which tasks wait in vain, and what a new run would do once more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.replacing import is_followed, repeated, stuck
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.run import Attempt, Run, RunOptions, TaskKey, TaskRun
from server.domain.states import Binding, RunState, TaskState
from server.stores.codec import header_to_json, run_from_json

AT = datetime(2026, 1, 1, tzinfo=UTC)


@component
def step(a: int = 0) -> int:
    return a


@pipeline
def two():
    step(a=step(a=1).named("first").output).named("second")


def a_run(*, is_caching: bool = True, **states: Any) -> Run:
    """A run at the platform; `states` are those of its tasks, with what they are held for."""
    options = RunOptions(binding=Binding.AT_SUBMISSION, is_caching=is_caching)
    run = start_run("r", compile_graph(two.build()), parameters={}, options=options, at=AT).run
    tasks = {
        TaskKey(name): TaskRun(TaskKey(name), (Attempt(1, state, queued_at=AT),), hold=hold)
        for name, (state, hold) in states.items()
    }
    return replace(run, tasks={**run.tasks, **tasks}, state=RunState.RUNNING, platform_run_id="k")


DONE = (TaskState.SUCCEEDED, "")


@pytest.mark.parametrize(
    ("hold", "is_stuck"),
    [("unschedulable: 0/2 nodes", True), ("image: it cannot be pulled", True), ("quota: exceeded", False), ("", False)],
)
def test_a_task_waits_in_vain_when_it_waits_long_for_what_another_node_may_give(hold: str, is_stuck: bool) -> None:
    run = a_run(first=DONE, second=(TaskState.QUEUED, hold))
    assert stuck(run, AT) == ([TaskKey("second")] if is_stuck else [])
    assert stuck(run, AT - timedelta(seconds=1)) == []


def test_what_a_new_run_would_repeat_is_named() -> None:
    assert repeated(a_run(first=DONE)) == ()
    assert "would run again" in repeated(a_run(first=DONE, is_caching=False))[0]
    assert "would begin anew" in repeated(a_run(first=DONE, second=(TaskState.RUNNING, "")))[0]
    assert "would be tried again" in repeated(a_run(first=(TaskState.FAILED, "")))[0]


def test_only_what_the_platform_has_whole_is_looked_after() -> None:
    run = a_run()
    assert is_followed(run)
    assert not is_followed(replace(run, platform_run_id=None))
    assert not is_followed(replace(run, replaced_by="other"))
    assert not is_followed(replace(run, state=RunState.CANCELLING))


def test_runs_stored_before_there_were_offers_can_be_read() -> None:
    run = a_run()
    again = run_from_json("r", header_to_json(run), graph=run.graph, state="running", version=1, tasks=run.tasks)
    assert (again.offer, again.replaced_by) == (None, "")
