"""Shadows: other strategies beside the live one, in worker processes of their own with little of the machine's time.

The live path hands a finished cycle over and goes on. One cycle is looked at at a time; whatever comes meanwhile, or
while the shadows rest to keep within their share of a processor, is dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.components.decision_unit import NO_PLACEMENT, Outcome
from server.components.decisions.plan_check import plan_problems
from server.components.placer_workers.process import PlacerFailure, PlacerProcess
from server.components.shadows.comparing import Comparison, compare
from server.domain.errors import MlopxError
from server.domain.placement import PlacementPlan, PlacementRequest
from server.planning.needs import NeedsTable
from server.stores.interface import Note, RunStoreInterface

log = logging.getLogger(__name__)

KIND = "shadow"
MOST_KEPT = 500
NICENESS = 15
CPU_SHARE = 0.25
"""The part of one processor that all shadows together may use, on average."""


@dataclass(slots=True)
class ShadowCounts:
    """What happened to the cycles of one shadow since the start."""

    compared: int = 0
    dropped: int = 0
    failed: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """A shadow against the live strategy, over the comparisons on record.

    `agreement` is the share of tasks that got the same node; `predicted_difference` the predicted mean turnaround of
    the shadow over the live one's, minus 1 (below 0: the shadow would be quicker). None where nothing was compared.
    """

    name: str
    counts: ShadowCounts
    comparisons: int
    tasks: int
    agreement: float | None
    predicted_difference: float | None


class Shadows:
    """Asks every shadow about the live strategy's cycles. `paths` are the shadows' import paths by name."""

    def __init__(
        self,
        paths: dict[str, str],
        *,
        store: RunStoreInterface,
        limit_seconds: float,
        cpu_share: float = CPU_SHARE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._limit_seconds = store, limit_seconds
        self._cpu_share, self._monotonic = cpu_share, monotonic
        self._workers = {name: PlacerProcess(path) for name, path in paths.items()}
        self.counts = {name: ShadowCounts() for name in paths}
        self._job: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    @property
    def names(self) -> Sequence[str]:
        """Names of the shadows."""
        return list(self._workers)

    def notice(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Take a cycle that decided something, or drop it; never waits."""
        if not self._workers or not outcome.decisions or outcome.strategy == NO_PLACEMENT:
            return
        if (self._job is not None and not self._job.done()) or self._monotonic() < self._rests_until:
            for counts in self.counts.values():
                counts.dropped += 1
            return
        self._job = asyncio.create_task(self._look(request, outcome), name="shadows")

    async def settle(self) -> None:
        """Wait until nothing is being compared."""
        if self._job is not None:
            await asyncio.wait([self._job])

    async def aclose(self) -> None:
        """End the workers."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait([self._job])
        for worker in self._workers.values():
            await worker.aclose()

    def summaries(self) -> list[ShadowSummary]:
        """All shadows in figures. Reads the store."""
        return [self._summary(name) for name in self._workers]

    def comparisons(self, name: str, limit: int) -> list[Note]:
        """The newest comparisons of a shadow, newest first. Reads the store."""
        return self._store.notes(KIND, subject=name, limit=limit)[::-1]

    async def _look(self, request: PlacementRequest, outcome: Outcome) -> None:
        began = self._monotonic()
        table = NeedsTable(request.snapshot.nodes)
        for name, worker in self._workers.items():
            counts = self.counts[name]
            try:
                asked_at = self._monotonic()
                plan = await self._ask(worker, request, table)
                seconds = self._monotonic() - asked_at
                found = await asyncio.to_thread(compare, request, outcome.plan, plan)
                await asyncio.to_thread(self._keep, name, request, outcome.strategy, found, seconds)
                counts.compared += 1
            except MlopxError as error:
                counts.failed, counts.problem = counts.failed + 1, error.message
            except Exception as error:
                counts.failed, counts.problem = counts.failed + 1, f"{type(error).__name__}: {error}"
                log.exception("the shadow %s could not be compared", name)
        busy = self._monotonic() - began
        self._rests_until = self._monotonic() + busy * (1 / self._cpu_share - 1)

    async def _ask(self, worker: PlacerProcess, request: PlacementRequest, table: NeedsTable) -> PlacementPlan:
        if worker.pid is None:
            await worker.start()
        if worker.pid is not None:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, worker.pid, NICENESS)
        plan = await worker.place(replace(request, time_limit_seconds=self._limit_seconds), self._limit_seconds)
        problems = await asyncio.to_thread(plan_problems, request, plan, table)
        if problems:
            raise PlacerFailure("invalid", f"its plan is wrong: {problems[0]}")
        return plan

    def _keep(self, name: str, request: PlacementRequest, live: str, found: Comparison, seconds: float) -> None:
        document = {"cycle": request.cycle, "live": live, "seconds": round(seconds, 4), **found.document()}
        self._store.add_notes([Note(KIND, name, request.now, document)], keep=MOST_KEPT)

    def _summary(self, name: str) -> ShadowSummary:
        notes = [note.document for note in self._store.notes(KIND, subject=name, limit=MOST_KEPT)]
        tasks = sum(one["tasks"] for one in notes)
        timed = [one for one in notes if one["runs"]]
        live, shadow = (
            sum(one["runs"] * one[f"{who}_turnaround_seconds"] for one in timed) for who in ("live", "shadow")
        )
        return ShadowSummary(
            name=name,
            counts=replace(self.counts[name]),
            comparisons=len(notes),
            tasks=tasks,
            agreement=sum(one["same"] for one in notes) / tasks if tasks else None,
            predicted_difference=shadow / live - 1 if live > 0 else None,
        )


__all__ = ["ShadowCounts", "ShadowSummary", "Shadows"]
