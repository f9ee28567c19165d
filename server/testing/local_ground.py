"""A local platform with real agents in a folder of its own, and an easy way to give it tasks and hear of them."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mlopx.spec import Component, FunctionCode
from server.components.clock import SteadyClock
from server.domain import events as happened
from server.domain.launch import Launch
from server.domain.resources import Resources
from server.domain.run import Run, TaskKey, attempt_id
from server.platforms.interface import Delivery
from server.platforms.local.cluster_file import Cluster, node_of
from server.platforms.local.platform import LocalPlatform
from server.stores.files import FileArtifactStore

ENDS = (happened.TaskSucceeded, happened.TaskFailed, happened.TaskCancelled, happened.TaskLost)
LONG_SECONDS = 90.0


def one_node(**more: Any) -> Cluster:
    """A cluster of one fast node that loads nothing ahead."""
    node = node_of("alpha", 2000, 1.0, 4 << 30, {}, **more)
    return Cluster(nodes=(node,), preload=(), throttle="governor")


@dataclass
class Ground:
    """A running platform, and everything that it told so far."""

    platform: LocalPlatform
    folder: Path
    told: list[Delivery] = field(default_factory=list)
    is_acknowledging: bool = True
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for delivery in self.platform.events():
            self.told.append(delivery)
            self.news.set()
            if self.is_acknowledging and delivery.token:
                await self.platform.acknowledge(delivery.token)

    def launch(
        self,
        source: str,
        *,
        name: str = "task",
        run: str = "run-1",
        attempt: int = 1,
        node: str = "alpha",
        requests: Resources | None = None,
        component: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Launch:
        """An attempt to run a function called `work`."""
        code = FunctionCode(source=textwrap.dedent(source), entrypoint="work")
        key = TaskKey(name)
        return Launch(
            run_id=run,
            run_name="pipeline",
            key=key,
            attempt=attempt,
            attempt_id=attempt_id(run, key, attempt),
            node=node,
            option="default",
            component=Component.model_validate({"name": "work", "code": code, **(component or {})}),
            requests=requests or Resources(cpu_millicores=1000, pods=1),
            **{"arguments": {}, **more},
        )

    async def start(self, source: str, **more: Any) -> Launch:
        """Bind a function called `work`."""
        launch = self.launch(source, **more)
        await self.platform.bind(launch)
        return launch

    async def told_of(self, launch: Launch, kinds: tuple[type, ...] = ENDS, seconds: float = LONG_SECONDS) -> Any:
        """The first event of one of these kinds about an attempt."""
        async with asyncio.timeout(seconds):
            while True:
                self.news.clear()
                for delivery in self.told:
                    event = delivery.event
                    if (
                        isinstance(event, kinds)
                        and delivery.run_id == launch.run_id
                        and getattr(event, "key", None) == launch.key
                        and getattr(event, "attempt", None) == launch.attempt
                    ):
                        return event
                await self.news.wait()

    async def run(self, source: str, **more: Any) -> Any:
        """Bind a function and wait for its end."""
        return await self.told_of(await self.start(source, **more))

    async def cancel(self, launch: Launch) -> None:
        """Ask for an attempt's end."""
        attempt = SimpleNamespace(number=launch.attempt, node=launch.node, actual_node=None)
        run = SimpleNamespace(id=launch.run_id, tasks={launch.key: SimpleNamespace(current=attempt)})
        await self.platform.cancel(cast(Run, run), [launch.attempt_id])

    def log(self, launch: Launch) -> bytes:
        """What an attempt printed so far."""
        return self.platform.log_path(launch.attempt_id).read_bytes()


Opener = Callable[..., AbstractAsyncContextManager[Ground]]


def opener(state: Path) -> Opener:
    """Opens platforms in a folder: `async with ground() as it`. On leaving, agents stop unless told otherwise."""

    @asynccontextmanager
    async def opened(*, stop_tasks: bool = True, grace_seconds: float = 20.0, **changes: Any) -> AsyncIterator[Ground]:
        platform = LocalPlatform(
            cluster=replace(one_node(), **changes),
            state=state,
            artifacts=FileArtifactStore(state / "artifacts"),
            secret=lambda name, key: "hush" if (name, key) == ("vault", "word") else None,
            grace_seconds=grace_seconds,
            now=SteadyClock(time.time, time.monotonic).now,  # noqa: TID251 - real tasks take real time
        )
        await platform.start()
        it = Ground(platform, state)
        listening = asyncio.create_task(it.listen())
        try:
            yield it
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await platform.aclose(stop_tasks=stop_tasks)

    return opened
