"""Two platforms that run nothing and tell at once what would have happened: one for each binding.

`FakePlatform` is told attempt by attempt; `FakeGraphPlatform` takes whole runs and drives their graphs itself, as
Kubeflow Pipelines does. Both keep what they were asked, and can be told to refuse calls and to let tasks fail.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from mlopx.spec import PipelineSpec
from server.domain import events as happened
from server.domain.errors import NotFoundError, PlatformError
from server.domain.events import Event
from server.domain.launch import Launch
from server.domain.node import Node
from server.domain.request import Defaults, kubernetes_defaults
from server.domain.run import Output, Run, TaskError, TaskKey, attempt_id
from server.domain.states import Binding, RunState
from server.platforms.interface import Delivery, LogChunk, PlannedPlacement, PlatformInterface


class _Fake(PlatformInterface):
    """What both share: nodes, refusals on order, a stream that is told again until it is acknowledged.

    Args:
        nodes: the nodes it has.
        now: the clock.
        failing: paths of tasks that fail.
        refusing: how often the next calls of `bind` or `submit` are refused, each time so that a retry may help.
        is_holding: tasks start, and do not end until they are cancelled.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        now: Callable[[], datetime],
        *,
        failing: Sequence[str] = (),
        refusing: int = 0,
        is_holding: bool = False,
    ) -> None:
        self.defaults: Defaults = kubernetes_defaults
        self._nodes, self._now = tuple(nodes), now
        self.failing, self.refusing, self.is_holding = frozenset(failing), refusing, is_holding
        self.told: list[Delivery] = []
        self._unacknowledged: dict[str, Delivery] = {}
        self._news: asyncio.Queue[Delivery] = asyncio.Queue()

    async def start(self) -> None:
        """Tell again what nobody acknowledged."""
        self._news = asyncio.Queue()
        for delivery in self._unacknowledged.values():
            self._news.put_nowait(delivery)

    async def aclose(self, *, stop_tasks: bool = False) -> None:
        """Nothing to let go of."""

    async def nodes(self) -> Sequence[Node]:
        return self._nodes

    def refusals(self, spec: PipelineSpec, *, project: str = "") -> list[str]:
        return []

    @abstractmethod
    def knows(self, attempt: str) -> bool:
        """Whether it was ever given this attempt."""

    async def reconcile(self, attempts: Mapping[str, tuple[str, TaskKey, int]]) -> None:
        for attempt, (run_id, key, number) in attempts.items():
            if not self.knows(attempt):
                self._tell(run_id, happened.TaskLost(at=self._now(), key=key, attempt=number, reason="nobody knows it"))

    async def logs(self, run: Run, key: TaskKey, attempt: int, *, offset: int = 0) -> LogChunk:
        raise NotFoundError(f"{key} wrote no log", hint="this platform runs nothing")

    async def events(self) -> AsyncIterator[Delivery]:
        while True:
            yield await self._news.get()

    async def acknowledge(self, token: str) -> None:
        self._unacknowledged.pop(token, None)

    def _refuse_on_order(self) -> None:
        if self.refusing > 0:
            self.refusing -= 1
            raise PlatformError("it is busy", is_retryable=True)

    def _tell(self, run_id: str, event: Event) -> None:
        delivery = Delivery(run_id, event, token=str(len(self.told)))
        self.told.append(delivery)
        self._unacknowledged[delivery.token] = delivery
        self._news.put_nowait(delivery)

    def _end(self, run: Run | Launch, key: TaskKey, number: int, outputs: Sequence[str]) -> bool:
        """Tell how an attempt ended; whether it ended well."""
        run_id = run.id if isinstance(run, Run) else run.run_id
        if key.path in self.failing:
            error = TaskError("user-code", f"{key.path} was told to fail")
            self._tell(run_id, happened.TaskFailed(at=self._now(), key=key, attempt=number, error=error))
            return False
        made = {name: Output(1) for name in outputs}
        self._tell(run_id, happened.TaskSucceeded(at=self._now(), key=key, attempt=number, outputs=made))
        return True


class FakePlatform(_Fake):
    """Binding `when_ready`: the server drives the graph."""

    name: ClassVar[str] = "fake"
    binding: ClassVar[Binding] = Binding.WHEN_READY

    def __init__(self, nodes: Sequence[Node], now: Callable[[], datetime], **more: object) -> None:
        super().__init__(nodes, now, **more)  # type: ignore[arg-type]  # the options of the base, passed on
        self.launches: dict[str, Launch] = {}

    def knows(self, attempt: str) -> bool:
        return attempt in self.launches

    async def bind(self, launch: Launch) -> None:
        self._refuse_on_order()
        if launch.attempt_id in self.launches:
            return
        self.launches[launch.attempt_id] = launch
        self._tell(
            launch.run_id,
            happened.TaskStarted(at=self._now(), key=launch.key, attempt=launch.attempt, node=launch.node),
        )
        if not self.is_holding:
            self._end(launch, launch.key, launch.attempt, list(launch.component.outputs))

    async def submit(self, run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
        raise PlatformError("this platform takes single tasks, not whole runs", is_retryable=False)

    async def cancel(self, run: Run, attempt_ids: Sequence[str]) -> None:
        for key, task in run.tasks.items():
            number = task.current.number
            if attempt_id(run.id, key, number) in attempt_ids:
                self._tell(run.id, happened.TaskCancelled(at=self._now(), key=key, attempt=number))


class FakeGraphPlatform(_Fake):
    """Binding `at_submission`: it takes a run with all its placements and drives the graph (without loops) itself."""

    name: ClassVar[str] = "fake-graph"
    binding: ClassVar[Binding] = Binding.AT_SUBMISSION

    def __init__(self, nodes: Sequence[Node], now: Callable[[], datetime], **more: object) -> None:
        super().__init__(nodes, now, **more)  # type: ignore[arg-type]  # the options of the base, passed on
        self.placements: dict[str, dict[str, PlannedPlacement]] = {}

    def knows(self, attempt: str) -> bool:
        return False

    async def bind(self, launch: Launch) -> None:
        raise PlatformError("this platform takes whole runs, not single tasks", is_retryable=False)

    async def submit(self, run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
        self._refuse_on_order()
        if run.id not in self.placements:
            self.placements[run.id] = {key.path: placement for key, placement in placements.items()}
            self._drive(run)
        return f"graph-{run.id}"

    async def cancel(self, run: Run, attempt_ids: Sequence[str]) -> None:
        self._tell(run.id, happened.RunEnded(at=self._now(), state=RunState.CANCELLED))

    def _drive(self, run: Run) -> None:
        """Each task after what it waits for; what waits for a failed task is skipped."""
        broken: set[str] = set()
        for path in run.graph.order:
            key, at = TaskKey(path), self._now()
            if broken.intersection(run.graph.waits_for[path]):
                broken.add(path)
                self._tell(run.id, happened.TaskSkipped(at=at, key=key, attempt=1, reason="what it waits for failed"))
                continue
            node = self.placements[run.id][path].node
            self._tell(run.id, happened.TaskStarted(at=at, key=key, attempt=1, node=node))
            if self.is_holding:
                return
            if not self._end(run, key, 1, list(run.graph.component(path).outputs)):
                broken.add(path)
        state = RunState.FAILED if broken else RunState.SUCCEEDED
        self._tell(run.id, happened.RunEnded(at=self._now(), state=state, error="a task failed" if broken else ""))
