"""The server's moving parts around any platform and any store, in one process and without HTTP: for tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx import Pipeline
from server.cluster.embedded import EmbeddedNodes
from server.components.bus import Bus
from server.components.clock import Clock
from server.components.cycle import CycleSettings
from server.components.decision_unit import DecisionUnit
from server.components.dispatcher import Dispatcher
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.pipeline_manager import PipelineManager, Submission
from server.components.scheduler import Gate, Scheduler
from server.components.tracker import Tracker
from server.domain.run import Run
from server.domain.states import Binding
from server.estimators.chain import ChainEstimator
from server.estimators.table import build_estimates
from server.platforms.interface import PlatformInterface
from server.stores.files import FileArtifactStore
from server.stores.interface import RunStoreInterface

LONGEST_SECONDS = 120.0
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class House:
    """Running parts."""

    journal: Journal
    scheduler: Scheduler
    pipeline_manager: PipelineManager
    store: RunStoreInterface

    async def submit(self, pipeline: Pipeline, **parameters: Any) -> Run:
        """Accept a run."""
        return await self.pipeline_manager.submit(Submission(pipeline.build(), parameters=parameters))

    async def until(self, run_id: str, is_so: Callable[[Run], bool]) -> Run:
        """The run, as soon as something holds of it. Raises TimeoutError with its story."""
        run = await self.journal.run(run_id)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                while not is_so(run):
                    await asyncio.sleep(0.005)
                    run = await self.journal.run(run_id)
        except TimeoutError:
            states = {str(key): str(task.state) for key, task in run.tasks.items()}
            raise TimeoutError(f"run {run_id} is still {run.state}: {states}") from None
        return run

    async def ended(self, run_id: str) -> Run:
        """The run at its end."""
        return await self.until(run_id, lambda run: run.state.is_end)


@asynccontextmanager
async def open_house(
    platform: PlatformInterface,
    store: RunStoreInterface,
    folder: Path,
    clock: Clock,
    *,
    placer: str = "fifo_greedy",
    max_hold_seconds: float | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[House]:
    """Start the parts, going on with what the store holds; at the end stop them as a killed server would stop."""
    journal = Journal(store, Bus(store))
    estimator = ChainEstimator()
    node_manager = NodeManager(
        sources=[EmbeddedNodes(platform.name, platform.nodes, clock.now)],
        live=journal.live,
        defaults=platform.defaults,
        clock=clock,
        refresh_seconds=60,
    )
    scheduler = Scheduler(
        journal=journal,
        store=store,
        decision_unit=DecisionUnit(
            placer=placer,
            new_id=lambda: f"d{next(_NUMBERS)}",
            in_process=True,
            binding=platform.binding,
            max_hold_seconds=max_hold_seconds,
        ),
        node_manager=node_manager,
        estimate=lambda runs, nodes: build_estimates(runs, nodes, estimator),
        defaults=platform.defaults,
        clock=clock,
        settings=CycleSettings(),
        wait_seconds=0.2,
        debounce_seconds=0.001,
        max_hold_seconds=max_hold_seconds,
        gate=gate,
    )
    dispatcher = Dispatcher(journal=journal, platform=platform, clock=clock, decisions=store.decisions)
    tracker = Tracker(journal=journal, platform=platform, clock=clock)
    for listener in (dispatcher.notice, scheduler.notice):
        journal.listen(listener)
    await platform.start()
    await node_manager.refresh()
    runs = await journal.load()
    await platform.resume([run for run in runs if run.options.binding is Binding.AT_SUBMISSION])
    dispatcher.resume(runs)
    parts = [
        asyncio.create_task(part()) for part in (journal.write_forever, tracker.run_forever, scheduler.run_forever)
    ]
    try:
        yield House(
            journal=journal,
            scheduler=scheduler,
            store=store,
            pipeline_manager=PipelineManager(
                journal=journal,
                platform=platform,
                node_manager=node_manager,
                artifacts=FileArtifactStore(folder),
                clock=clock,
                new_run_id=lambda name: f"{name}-{next(_NUMBERS)}",
                is_caching=False,
            ),
        )
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await dispatcher.aclose()
