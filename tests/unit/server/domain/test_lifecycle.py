"""What happens to a run when its tasks succeed, fail, get lost, or somebody cancels it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mlopx import Elif, Else, If, Loop, collect, on_exit, one_of, pipeline, this_run
from server.domain import events as happened
from server.domain.commands import BindTask, CancelTask, outstanding
from server.domain.errors import ConflictError, IllegalTransitionError
from server.domain.run import RunOptions, TaskError, TaskKey
from server.domain.states import RUN_ENDS, RUN_TABLE, TASK_ENDS, TASK_TABLE, Binding, RunState, TaskState

Play = Callable[..., Any]


def test_ends_are_absorbing() -> None:
    assert all(not RUN_TABLE[state] for state in RUN_ENDS)
    assert all(not TASK_TABLE[state] for state in TASK_ENDS)
    assert set(RUN_TABLE) == set(RunState)
    assert set(TASK_TABLE) == set(TaskState)


def test_tasks_become_ready_when_what_they_wait_for_has_succeeded(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def diamond():
        top = step(a=1).named("top")
        left = step(a=top.output).named("left")
        right = step(a=top.output).named("right").after(left)
        step(a=left.output, b=right.output).named("bottom")

    it = play(diamond)
    assert it.ready() == ["top"]
    it.succeed("top")
    assert it.ready() == ["left"]
    it.succeed("left")
    assert it.ready() == ["right"]
    it.finish()
    assert it.run.state is RunState.SUCCEEDED


def test_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def two():
        bad = step(a=1).named("bad")
        step(a=bad.output).named("after-bad")
        step(a=2).named("good")

    it = play(two)
    it.fail("bad")
    assert it.states() == {"bad": "failed", "after-bad": "skipped", "good": "ready"}
    it.succeed("good")
    assert it.run.state is RunState.FAILED
    assert "bad" in it.run.error
    assert "it broke" in it.run.error


def test_a_failed_task_is_tried_again_later_and_later(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def stubborn():
        step().retry(3, backoff="10s", factor=2, at_most="15s")

    it = play(stubborn)
    for expected in (10, 15, 15):
        it.fail("step")
        task = it.run.tasks[TaskKey("step")]
        assert task.state is TaskState.READY
        assert task.current.not_before == it.at + timedelta(seconds=expected)
    it.fail("step")
    assert it.run.state is RunState.FAILED
    assert len(it.run.tasks[TaskKey("step")].attempts) == 4


@pytest.mark.parametrize("kind", ["refused", "definition"])
def test_what_can_never_work_is_not_tried_again(play: Play, steps: Any, kind: str) -> None:
    step = steps["step"]

    @pipeline
    def stubborn():
        step().retry(3)

    it = play(stubborn)
    it.fail("step", kind)
    assert it.run.state is RunState.FAILED


def test_a_lost_attempt_uses_up_no_retry_and_avoids_the_node(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def fragile():
        step()

    it = play(fragile)
    it.start("step", node="alpha")
    it.task(happened.TaskLost, "step", reason="alpha died")
    task = it.run.tasks[TaskKey("step")]
    assert (task.state, task.retries_used, task.losses) == (TaskState.READY, 0, 1)
    assert task.avoid_nodes == ("alpha",)
    it.succeed("step")
    assert it.run.state is RunState.SUCCEEDED


def test_a_task_that_is_lost_again_and_again_fails(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def cursed():
        step()

    it = play(cursed)
    while it.run.state is not RunState.FAILED:
        it.start("step")
        it.task(happened.TaskLost, "step", reason="gone")
        assert len(it.run.tasks[TaskKey("step")].attempts) < 20
    assert "lost 11 times" in it.run.error


def test_conditions_choose_one_branch_and_the_other_is_skipped(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def choosing():
        score = step().named("score")
        with If(score.output > 10):
            step(a=1).named("high")
        with Elif(score.output > 5):
            step(a=2).named("middle")
        with Else():
            step(a=3).named("low")

    for value, chosen in ((11, "high"), (6, "middle"), (5, "low")):
        it = play(choosing)
        it.succeed("score", value)
        assert it.ready() == [chosen]
        it.finish()
        assert it.run.state is RunState.SUCCEEDED
        assert sorted(it.states().values()) == ["skipped", "skipped", "succeeded", "succeeded"]


def test_one_of_goes_on_with_the_branch_that_ran(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def joining(is_large: bool = True):
        with If(is_large == True):  # noqa: E712 - builds a condition
            large = step(a=1).named("large")
        with Else():
            small = step(a=2).named("small")
        step(a=one_of(large.output, small.output)).named("after")

    it = play(joining, is_large=False)
    it.succeed("small")
    assert it.ready() == ["after"]
    it.finish()
    assert it.run.state is RunState.SUCCEEDED


def test_a_loop_over_what_a_task_made_fans_out_and_in(play: Play, steps: Any) -> None:
    step, many, total = steps["step"], steps["many"], steps["total"]

    @pipeline
    def fan():
        with Loop(many(count=3).output) as item:
            done = step(a=item)
        total(values=collect(done.output))

    it = play(fan)
    it.succeed("many", [7, 8, 9])
    assert it.ready() == ["step.0", "step.1", "step.2"]
    for number in (2, 0, 1):
        it.succeed(f"step.{number}")
    assert it.ready() == ["total"]


def test_an_empty_loop_is_passed_by(play: Play, steps: Any) -> None:
    step, many, total = steps["step"], steps["many"], steps["total"]

    @pipeline
    def fan():
        with Loop(many(count=0).output) as item:
            done = step(a=item)
        total(values=collect(done.output))

    it = play(fan)
    it.succeed("many", [])
    assert it.ready() == ["total"]


def test_no_more_iterations_run_at_once_than_the_width(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def narrow():
        with Loop([1, 2, 3, 4, 5], width=2) as item:
            first = step(a=item).named("first")
            step(a=first.output).named("second")

    it = play(narrow)
    assert it.ready() == ["first.0", "first.1"]
    it.succeed("first.1")
    assert it.ready() == ["first.0", "second.1"]
    it.succeed("second.1")
    assert it.ready() == ["first.0", "first.2"]


def test_a_loop_over_something_else_than_a_list_fails_the_run_and_says_so(play: Play, steps: Any) -> None:
    step, many = steps["step"], steps["many"]

    @pipeline
    def fan():
        with Loop(many(count=3).output) as item:
            step(a=item)

    it = play(fan)
    it.succeed("many", "not a list")
    assert it.run.state is RunState.FAILED
    assert "not a list" in it.run.error


@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_the_exit_task_runs_at_the_end_however_that_came(play: Play, steps: Any, end: str) -> None:
    step, tell = steps["step"], steps["tell"]

    @pipeline
    def guarded():
        step()
        on_exit(tell(state=this_run.state))

    it = play(guarded)
    assert it.state("tell") == "absent"
    getattr(it, end)("step")
    assert it.run.state is RunState.FINISHING
    assert it.ready() == ["tell"]
    it.succeed("tell")
    assert it.run.state is (RunState.SUCCEEDED if end == "succeed" else RunState.FAILED)


def test_the_exit_task_runs_after_a_cancel_too(play: Play, steps: Any) -> None:
    step, tell = steps["step"], steps["tell"]

    @pipeline
    def guarded():
        first = step().named("first")
        step(a=first.output).named("second")
        on_exit(tell(state=this_run.state))

    it = play(guarded)
    it.start("first")
    it.tell(happened.CancelRequested, reason="enough")
    assert it.run.state is RunState.CANCELLING
    assert outstanding(it.run) == (CancelTask("run-1", TaskKey("first"), 1),)
    assert it.state("second") == "cancelled"
    it.task(happened.TaskCancelled, "first")
    assert it.ready() == ["tell"]
    it.succeed("tell")
    assert (it.run.state, it.run.error) == (RunState.CANCELLED, "enough")


def test_even_if_failed_runs_after_any_end(play: Play, steps: Any) -> None:
    step, tell = steps["step"], steps["tell"]

    @pipeline
    def lenient():
        bad = step()
        tell().after(bad).even_if_failed()

    it = play(lenient)
    it.fail("step")
    assert it.ready() == ["tell"]


def test_a_cancelled_run_never_starts_another_task(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def chain():
        first = step().named("first")
        step(a=first.output).named("second")

    it = play(chain)
    it.start("first")
    it.tell(happened.CancelRequested)
    it.succeed("first")
    assert it.run.state is RunState.CANCELLED
    assert it.states() == {"first": "succeeded", "second": "cancelled"}


def test_an_ended_run_cannot_be_cancelled(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step()

    it = play(short)
    it.finish()
    with pytest.raises(ConflictError, match="already succeeded"):
        it.tell(happened.CancelRequested)


def test_what_comes_too_late_is_counted_and_changes_nothing(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step().retry(1)
        step().named("other")

    it = play(short)
    it.fail("step")
    before = it.run
    change = it.tell(happened.TaskSucceeded, key=TaskKey("step"), attempt=1)
    assert change.is_late
    assert (it.run.tasks, it.run.version, it.run.late_events) == (before.tasks, before.version, 1)


def test_an_illegal_event_tells_the_runs_story(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        first = step()
        step(a=first.output).named("second")

    it = play(short)
    with pytest.raises(IllegalTransitionError, match=r"is pending: it cannot become placed") as caught:
        it.task(happened.TaskPlaced, "second", node="alpha")
    assert "step: 1:ready@-" in str(caught.value)
    with pytest.raises(IllegalTransitionError, match="has no task nowhere"):
        it.tell(happened.TaskStarted, key=TaskKey("nowhere"))


def test_commands_follow_from_the_state_alone(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step()

    it = play(short)
    assert outstanding(it.run) == ()
    it.task(happened.TaskPlaced, "step", node="alpha")
    assert outstanding(it.run) == (BindTask("run-1", TaskKey("step"), 1),)
    it.task(happened.TaskUnbound, "step", reason="the node is full")
    assert outstanding(it.run) == ()
    task = it.run.tasks[TaskKey("step")]
    assert (task.state, task.hold, task.current.node) == (TaskState.READY, "the node is full", None)


def test_times_are_measured_as_the_glossary_says(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step()

    it = play(short)
    it.start("step")
    started = it.at
    it.task(happened.TaskSucceeded, "step", outputs={})
    assert it.run.waiting_time == started - it.run.submitted_at
    assert it.run.execution_time == it.at - started
    assert it.run.turnaround_time == it.at - it.run.submitted_at


def test_a_platform_with_its_own_graph_tells_what_it_does(play: Play, steps: Any) -> None:
    step, many = steps["step"], steps["many"]

    @pipeline
    def fan():
        with Loop(many(count=2).output) as item:
            step(a=item)

    it = play(fan, binding=Binding.AT_SUBMISSION)
    planned = (
        happened.PlannedTask(key=TaskKey("many"), node="alpha"),
        happened.PlannedTask(key=TaskKey("step"), node="beta"),
    )
    it.tell(happened.RunPlaced, tasks=planned)
    assert it.run.state is RunState.DISPATCHED
    it.tell(happened.RunHandedOver, platform_run_id="kfp-7")
    it.task(happened.TaskStarted, "many")
    it.task(happened.TaskSucceeded, "many")
    for number in (0, 1):
        it.tell(happened.TaskStarted, key=TaskKey("step", (number,)))
        it.tell(happened.TaskSucceeded, key=TaskKey("step", (number,)))
    it.tell(happened.RunEnded, state=RunState.SUCCEEDED)
    assert it.run.state is RunState.SUCCEEDED
    assert it.state("step.1") == "succeeded"


def test_reused_outputs_stand_for_tasks_that_need_not_run(steps: Any) -> None:
    from datetime import UTC, datetime

    from server.domain.graph import compile_graph
    from server.domain.lifecycle import start_run
    from server.domain.run import Output

    step = steps["step"]

    @pipeline
    def chain():
        first = step().named("first")
        second = step(a=first.output).named("second")
        step(a=second.output).named("third")

    reuse = {TaskKey(name): {"output": Output(5)} for name in ("first", "second")}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    change = start_run("run-2", compile_graph(chain.build()), parameters={}, options=RunOptions(), at=at, reuse=reuse)
    states = {str(key): (task.state, task.from_cache) for key, task in change.run.tasks.items()}
    assert states["first"] == states["second"] == (TaskState.SUCCEEDED, True)
    assert states["third"] == (TaskState.READY, False)


def test_an_error_without_a_name_is_still_one(play: Play, steps: Any) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step()

    it = play(short)
    it.start("step")
    it.task(happened.TaskFailed, "step", error=TaskError("exit-code", ""))
    assert it.run.state is RunState.FAILED
    assert "step" in it.run.error


@pytest.mark.parametrize(
    ("told", "kept"),
    [(None, None), (0.5, 0.5), (-2.0, 0.0), (1.5, 1.0), (2.5, None)],
    ids=["untold", "told", "early", "in the second of the end", "late"],
)
def test_inputs_are_there_between_start_and_end(play: Play, steps: Any, told: float | None, kept: float | None) -> None:
    step = steps["step"]

    @pipeline
    def short():
        step()

    it = play(short)
    it.start("step")
    inputs_at = None if told is None else it.at + timedelta(seconds=told)
    it.task(happened.TaskFailed, "step", error=TaskError("exit-code", ""), inputs_at=inputs_at)
    assert it.run.tasks[TaskKey("step")].current.transfer_seconds == kept
