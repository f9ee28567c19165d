"""Random pipelines, random order of events, duplicates, late ones, losses, cancels: the rules of a run always hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlopx import Else, If, Loop, Pipeline, collect, component, on_exit, pipeline
from server.domain import events as happened
from server.domain.commands import BindTask, CancelTask, outstanding
from server.domain.errors import ConflictError
from server.domain.graph import compile_graph
from server.domain.lifecycle import apply, start_run
from server.domain.run import Output, Run, RunOptions, TaskError, TaskKey
from server.domain.states import RUN_TABLE, TASK_TABLE, RunState, TaskState
from server.stores import codec


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@component
def many(a: int = 0) -> list:
    return [a]


@component
def total(values: list) -> int:
    return sum(values)


@component
def tell():
    print("done")


SHAPES = st.lists(
    st.tuples(
        st.sampled_from(["step", "if", "loop", "wide", "retry", "lenient", "nested-loop"]),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=7,
)


def build(shape: list[tuple[str, int, int]], has_exit: bool) -> Pipeline:
    """A pipeline of parts that read from parts before them."""

    @pipeline
    def drawn():
        outputs: list[Any] = [step().named("part-first").output]
        for number, (kind, one, other) in enumerate(shape):
            a, b = outputs[one % len(outputs)], outputs[other % len(outputs)]
            name = f"part-{number}"
            if kind == "step":
                outputs.append(step(a=a, b=b).named(name).output)
            elif kind == "retry":
                outputs.append(step(a=a).named(name).retry(2, backoff="1s").output)
            elif kind == "lenient":
                outputs.append(step(a=a).named(name).even_if_failed().output)
            elif kind == "if":
                with If(a > one % 3):
                    step(a=b).named(f"{name}-yes")
                with Else():
                    step(a=b).named(f"{name}-no")
            elif kind == "nested-loop":
                with Loop([1, 2], width=1) as outer, Loop([3, 4]) as inner:
                    deep = step(a=outer, b=inner).named(name)
                outputs.append(total(values=collect(deep.output)).named(f"{name}-sum").output)
            else:
                items = many(a=a).named(f"{name}-many").output if kind == "loop" else [1, 2, 3]
                with Loop(items, width=1 + other % 3) as item:
                    done = step(a=item, b=b).named(name)
                outputs.append(total(values=collect(done.output)).named(f"{name}-sum").output)
        if has_exit:
            on_exit(tell())

    return drawn


def again(run: Run) -> Run:
    """The run as a store gives it back."""
    tasks = {key: codec.task_from_json(codec.task_to_json(task)) for key, task in run.tasks.items()}
    header = codec.header_to_json(run)
    return codec.run_from_json(run.id, header, graph=run.graph, state=str(run.state), version=run.version, tasks=tasks)


START = datetime(2026, 1, 1, tzinfo=UTC)
ABOUT_ATTEMPTS = (happened.TaskStarted, happened.TaskSucceeded, happened.TaskFailed, happened.TaskLost)
LIVE = (TaskState.READY, TaskState.PLACED, TaskState.QUEUED, TaskState.RUNNING)


class LifeOfARun(RuleBasedStateMachine):
    """A platform and a scheduler that may do and say anything they are allowed to, in any order, more than once."""

    @initialize(shape=SHAPES, has_exit=st.booleans())
    def submit(self, shape: list[tuple[str, int, int]], has_exit: bool) -> None:
        self.at = START
        self.graph = compile_graph(build(shape, has_exit).build())
        self.causes: list[happened.Event] = []
        first = start_run("run-1", self.graph, parameters={}, options=RunOptions(), at=START)
        self.run, self.first = first.run, first.run
        self.ran: dict[tuple[TaskKey, int], int] = {}

    def tell(self, event: happened.Event) -> None:
        before = self.run
        change = apply(before, event)
        self.run = change.run
        self.causes.append(event)
        assert change.events == () or change.events[0] is event
        assert self.run.version == before.version + (0 if change.is_late else 1)
        self._check_moves(before)

    def _check_moves(self, before: Run) -> None:
        assert self.run.state is before.state or self._may_reach(before.state, self.run.state)
        for key, task in before.tasks.items():
            after = self.run.tasks[key]
            assert after.attempts[: len(task.attempts) - 1] == task.attempts[:-1]
            moved = after.attempts[len(task.attempts) - 1]
            assert moved.state is task.state or moved.state in TASK_TABLE[task.state]
            if task.state.is_end:
                assert moved == task.current

    @staticmethod
    def _may_reach(start: RunState, end: RunState) -> bool:
        reached, waiting = set(), [start]
        while waiting:
            for state in RUN_TABLE[waiting.pop()] - reached:
                reached.add(state)
                waiting.append(state)
        return end in reached

    def _pick(self, data: Any, *states: TaskState) -> tuple[TaskKey, int] | None:
        found = [(key, attempt.number) for key, attempt in self.run.attempts_in(*states)]
        return data.draw(st.sampled_from(found)) if found else None

    def _now(self) -> Any:
        self.at += timedelta(milliseconds=100)
        return self.at

    @rule(data=st.data(), node=st.sampled_from(["alpha", "beta"]))
    def place(self, data: Any, node: str) -> None:
        found = self._pick(data, TaskState.READY)
        if found:
            self.tell(happened.TaskPlaced(at=self._now(), key=found[0], attempt=found[1], node=node))

    @rule(data=st.data(), kind=st.sampled_from([happened.TaskQueued, happened.TaskStarted]))
    def go_on(self, data: Any, kind: Any) -> None:
        found = self._pick(data, TaskState.PLACED, TaskState.QUEUED, TaskState.RUNNING)
        if found:
            self.tell(kind(at=self._now(), key=found[0], attempt=found[1]))

    @rule(data=st.data(), value=st.integers(0, 5))
    def succeed(self, data: Any, value: int) -> None:
        found = self._pick(data, TaskState.QUEUED, TaskState.RUNNING)
        if found:
            self.tell(self._success(*found, value))

    def _success(self, key: TaskKey, number: int, value: int) -> happened.Event:
        made = list(range(value)) if key.path.endswith("-many") else value
        outputs = {name: Output(made) for name in self.graph.component(key.path).outputs}
        return happened.TaskSucceeded(at=self._now(), key=key, attempt=number, outputs=outputs)

    @rule(data=st.data(), kind=st.sampled_from(["user-code", "refused", "oom"]))
    def fail(self, data: Any, kind: str) -> None:
        found = self._pick(data, TaskState.QUEUED, TaskState.RUNNING)
        if found:
            error = TaskError(kind, "it broke")
            self.tell(happened.TaskFailed(at=self._now(), key=found[0], attempt=found[1], error=error))

    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        found = self._pick(data, TaskState.PLACED, TaskState.QUEUED, TaskState.RUNNING)
        if found:
            self.tell(happened.TaskLost(at=self._now(), key=found[0], attempt=found[1], reason="gone"))

    @rule(data=st.data())
    def return_it(self, data: Any) -> None:
        found = self._pick(data, TaskState.PLACED, TaskState.QUEUED)
        if found:
            self.tell(happened.TaskUnbound(at=self._now(), key=found[0], attempt=found[1], reason="full"))

    @rule(data=st.data())
    def say_it_again(self, data: Any) -> None:
        told = [event for event in self.causes if isinstance(event, ABOUT_ATTEMPTS) and self._is_over(event)]
        if told:
            event = data.draw(st.sampled_from(told))
            assert apply(self.run, event).is_late
            self.tell(event)

    def _is_over(self, event: happened.TaskEvent) -> bool:
        current = self.run.tasks[event.key].current
        return event.attempt != current.number or current.state.is_end

    @precondition(lambda self: self.run.cancel_requested_at is None)
    @rule(is_meant=st.integers(0, 9))
    def cancel(self, is_meant: int) -> None:
        if is_meant:
            return
        try:
            self.tell(happened.CancelRequested(at=self._now(), reason="enough"))
        except ConflictError:
            assert self.run.state.is_end or self.run.state is RunState.FINISHING

    @rule()
    def confirm_cancels(self) -> None:
        for command in outstanding(self.run):
            if isinstance(command, CancelTask):
                self.tell(happened.TaskCancelled(at=self._now(), key=command.key, attempt=command.attempt))

    @invariant()
    def a_store_gives_back_the_same_run(self) -> None:
        assert again(self.run) == self.run

    @invariant()
    def commands_are_about_bound_attempts_only(self) -> None:
        for command in outstanding(self.run):
            assert isinstance(command, BindTask | CancelTask)
            task = self.run.tasks[command.key]
            assert command.attempt == task.current.number
            assert task.state.is_bound

    @invariant()
    def an_ended_run_has_nothing_left_to_do(self) -> None:
        if self.run.state.is_end:
            assert not [key for key, task in self.run.tasks.items() if task.state in LIVE]
            assert self.run.finished_at is not None

    @invariant()
    def the_exit_task_waits_for_all_others(self) -> None:
        exit_path = self.graph.spec.exit_task
        if exit_path is not None and TaskKey(exit_path) in self.run.tasks:
            others = [task for key, task in self.run.tasks.items() if key.path != exit_path]
            assert all(task.state.is_end for task in others)

    @invariant()
    def a_live_run_can_always_go_on(self) -> None:
        if not self.run.state.is_end:
            assert [key for key, task in self.run.tasks.items() if task.state in LIVE]

    def teardown(self) -> None:
        """However it went, the run can be brought to its end; and the same events give the same run."""
        if not hasattr(self, "run"):
            return
        for _ in range(2000):
            live = [(key, task.current) for key, task in self.run.tasks.items() if task.state in LIVE]
            if not live:
                break
            key, attempt = live[0]
            if attempt.state is TaskState.READY:
                self.tell(happened.TaskPlaced(at=self._now(), key=key, attempt=attempt.number, node="alpha"))
            self.tell(self._success(key, attempt.number, 2))
        assert self.run.state.is_end
        exit_path = self.graph.spec.exit_task
        if exit_path is not None:
            assert self.run.tasks[TaskKey(exit_path)].state.is_end
        replayed = self.first
        for event in self.causes:
            replayed = apply(replayed, event).run
        assert replayed == self.run


LifeOfARun.TestCase.settings = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestLifeOfARun = LifeOfARun.TestCase
