"""Runs without a server: pipelines of small steps, and a player that tells them what a platform would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx import Pipeline, component
from server.domain import events as happened
from server.domain.graph import compile_graph
from server.domain.lifecycle import Change, apply, start_run
from server.domain.run import Artifact, Output, Run, RunOptions, TaskError, TaskKey
from server.domain.states import Binding, TaskState

START = datetime(2026, 1, 1, tzinfo=UTC)


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@component
def many(count: int) -> list:
    return list(range(count))


@component
def total(values: list) -> int:
    return sum(values)


@component
def tell(state: str = ""):
    print(state)


class Player:
    """Tells a run what happened, a second at a time. `story` holds every event that was applied."""

    def __init__(self, pipeline: Pipeline, *, binding: Binding = Binding.WHEN_READY, **parameters: Any) -> None:
        graph = compile_graph(pipeline.build())
        given = {name: parameter.default for name, parameter in graph.spec.parameters.items()}
        self.at = START
        first = start_run(
            "run-1", graph, parameters={**given, **parameters}, options=RunOptions(binding=binding), at=START
        )
        self.run: Run = first.run
        self.story: list[happened.Event] = list(first.events)

    def tell(self, kind: type[happened.Event], **said: Any) -> Change:
        """Apply one event."""
        self.at += timedelta(seconds=1)
        change = apply(self.run, kind(at=self.at, **said))
        self.run = change.run
        self.story.extend(change.events)
        return change

    def task(self, kind: type[happened.TaskEvent], key: str, **said: Any) -> Change:
        """Apply an event about the current attempt of a task."""
        parsed = TaskKey.parse(key)
        return self.tell(kind, key=parsed, attempt=self.run.tasks[parsed].current.number, **said)

    def start(self, key: str, node: str = "alpha") -> None:
        """Place and start a task."""
        self.task(happened.TaskPlaced, key, node=node)
        self.task(happened.TaskQueued, key)
        self.task(happened.TaskStarted, key, node=node)

    def succeed(self, key: str, value: Any = 1) -> None:
        """Run a task to its good end."""
        if self.state(key) in ("ready", "pending"):
            self.start(key)
        outputs: Mapping[str, Output] = {
            name: Output(value) for name in self.run.graph.component(TaskKey.parse(key).path).outputs
        }
        self.task(happened.TaskSucceeded, key, outputs=outputs)

    def write(self, key: str, **sizes: int) -> None:
        """Run a task to its good end, with artifacts of these sizes for outputs."""
        self.start(key)
        outputs: Mapping[str, Output] = {
            name: Output(artifact=Artifact("memory://it", size_bytes=sizes[name])) if name in sizes else Output(1)
            for name in self.run.graph.component(TaskKey.parse(key).path).outputs
        }
        self.task(happened.TaskSucceeded, key, outputs=outputs)

    def fail(self, key: str, kind: str = "user-code", message: str = "it broke") -> None:
        """Run a task to its bad end."""
        if self.state(key) in ("ready", "pending"):
            self.start(key)
        self.task(happened.TaskFailed, key, error=TaskError(kind, message))

    def state(self, key: str) -> str:
        """State of a task, `absent` where there is none."""
        task = self.run.tasks.get(TaskKey.parse(key))
        return str(task.state) if task else "absent"

    def states(self) -> dict[str, str]:
        """State of every task."""
        return {str(key): str(task.state) for key, task in self.run.tasks.items()}

    def ready(self) -> list[str]:
        """Tasks that wait for a node."""
        return [str(key) for key, _ in self.run.attempts_in(TaskState.READY)]

    def finish(self) -> None:
        """Let everything that is left succeed."""
        for _ in range(1000):
            live = [
                str(key)
                for key, task in self.run.tasks.items()
                if task.state in (TaskState.READY, TaskState.PLACED, TaskState.QUEUED, TaskState.RUNNING)
            ]
            if not live:
                return
            for key in live:
                self.succeed(key, [1, 2] if key.split(".")[0].rpartition("/")[2].startswith("many") else 1)
        raise AssertionError(f"the run does not come to its end: {self.states()}")


@pytest.fixture
def play() -> Callable[..., Player]:
    """Starts a run of a pipeline."""
    return Player


@pytest.fixture
def steps() -> dict[str, Any]:
    """The components: step(a, b) -> int, many(count) -> list, total(values) -> int, tell(state)."""
    return {"step": step, "many": many, "total": total, "tell": tell}
