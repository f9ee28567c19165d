"""The planner: a dry run on the live cluster and queue. Nothing is submitted, and the event loop never waits.

A strategy answers in a worker process of its own, apart from the one that decides; one forecast is made at a time, and
the worker goes away when nobody asks for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from server.components.clock import Clock
from server.components.cycle import CycleSettings, question, waiting_runs
from server.components.decision_unit import DecisionUnit, placer_path
from server.components.decisions.plan_check import plan_problems
from server.components.explaining.scene import EstimateAll, attempts_of, with_bound
from server.components.explaining.track import ForecastTrack
from server.components.forecasting.changes import Changes, changed_runs, changed_snapshot
from server.components.forecasting.report import PlanReport, make_report, with_experience
from server.components.forecasting.whole_run import whole_run
from server.components.forecasting.widths import EarlierWidths
from server.components.historian import MOST_TAUGHT
from server.components.journal import Journal
from server.components.live_view import LiveView
from server.components.node_manager import NodeManager
from server.components.pipeline_manager import PipelineManager, Submission
from server.components.placer_workers.process import PlacerFailure, PlacerProcess
from server.components.reporting.rates import Rates
from server.domain.errors import ConfigurationError, ConflictError, InvalidRequestError, UnavailableError
from server.domain.node import Snapshot
from server.domain.placement import PlacementPlan, PlacementRequest, WaitingRun
from server.domain.request import Defaults
from server.domain.run import Run
from server.domain.states import BOUND
from server.placers.halves import NeedsTable
from server.stores.interface import RunStoreInterface

log = logging.getLogger(__name__)

MOST_WAITING = 4
IDLE_SECONDS = 60.0
LIMIT_SECONDS = 10.0
NEW_RUN = "the-plan"
"""Id of the run that a plan is about; no real run has it, since theirs end in random letters."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Answers of one question.

    Attributes:
        subject: id of the new run in the reports, None when only the queue was looked at.
        asked: with the new run and all changes.
        unchanged: with the new run and no changes; None where nothing was to be changed.
        without: the queue as it is, without the new run; None where there is none.
        names: run id -> name of the pipeline.
    """

    subject: str | None
    assumptions: tuple[str, ...]
    asked: PlanReport
    unchanged: PlanReport | None
    without: PlanReport | None
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all plans of one answer stand on."""

    now: datetime
    live: list[Run]
    snapshot: Snapshot


class Planner:
    """Plans ahead."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: RunStoreInterface,
        node_manager: NodeManager,
        decision_unit: DecisionUnit,
        pipeline_manager: PipelineManager,
        estimate: EstimateAll,
        defaults: Defaults,
        clock: Clock,
        settings: CycleSettings,
        track: ForecastTrack,
        rates: Rates,
    ) -> None:
        self._journal, self._store, self._node_manager = journal, store, node_manager
        self._decision_unit, self._pipeline_manager = decision_unit, pipeline_manager
        self._estimate, self._defaults, self._clock, self._settings = estimate, defaults, clock, settings
        self._track, self._rates = track, rates
        self._widths = EarlierWidths(store)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._worker: tuple[str, PlacerProcess] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """End the worker."""
        if self._idle is not None:
            self._idle.cancel()
        if self._worker is not None:
            worker, self._worker = self._worker[1], None
            await worker.aclose()
        if self._closing is not None:
            await self._closing

    async def question_now(self) -> PlacementRequest:
        """What the strategy would be asked if a cycle began now."""
        moment = _Moment(self._clock.now(), self._journal.live(), self._node_manager.current())
        queue = waiting_runs(moment.live, moment.now, LiveView(self._defaults))
        return await self._question(moment, queue, Changes())

    async def forecast(self, submission: Submission | None, changes: Changes) -> Forecasts:
        """Plan the queue, with a new run or without, as it is and changed.

        Raises:
            InvalidSubmissionError, UnplaceableError: the pipeline could not be submitted either.
            InvalidRequestError: there is no such strategy, node or waiting run.
            ConflictError: the strategy failed.
            UnavailableError: too many plans are asked for at the same time.
        """
        self._path_of(changes.strategy or self._decision_unit.placer)
        if self._waiting >= MOST_WAITING:
            raise UnavailableError("several plans are being made already", hint="try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._forecast(submission, changes)
        finally:
            self._waiting -= 1

    async def _forecast(self, submission: Submission | None, changes: Changes) -> Forecasts:
        live = self._journal.live()
        moment = _Moment(self._clock.now(), live, self._node_manager.current())
        queue = waiting_runs(live, moment.now, LiveView(self._defaults))
        names = {run.id: run.name for run in live}
        assumptions: tuple[str, ...] = ()
        new: tuple[WaitingRun, ...] = ()
        if submission is not None:
            draft = await self._pipeline_manager.draft(NEW_RUN, submission)
            sizes = await asyncio.to_thread(self._input_bytes, draft)
            widths = await asyncio.to_thread(self._widths.of, draft)
            whole = whole_run(draft, self._defaults, sizes, widths)
            new, assumptions = (whole.run,), whole.assumptions
            if draft.options.is_caching:
                assumptions = (*assumptions, "every task runs: results that could be reused are not looked for")
            names[NEW_RUN] = draft.name
        subject = NEW_RUN if new else None
        asked = await self._report(moment, (*queue, *new), changes, subject)
        unchanged = await self._report(moment, (*queue, *new), Changes(), subject) if changes.is_any else None
        without = await self._report(moment, queue, Changes(), None) if new and queue else None
        return Forecasts(subject, assumptions, asked, unchanged, without, names)

    async def _report(
        self, moment: _Moment, runs: tuple[WaitingRun, ...], changes: Changes, subject: str | None
    ) -> PlanReport:
        strategy = changes.strategy or self._decision_unit.placer
        request = await self._question(moment, runs, changes)
        runs, snapshot = request.runs, request.snapshot
        plan = await self._ask(strategy, request) if runs else PlacementPlan()
        views = [run for run in runs if run.run_id == subject]
        views += await asyncio.to_thread(self._with_bound, moment.live, runs)
        report = await asyncio.to_thread(
            lambda: make_report(
                strategy=strategy,
                objective=request.objective,
                now=request.now,
                views=views,
                attempts=attempts_of(moment.live),
                plan=plan,
                estimates=self._estimate(views, snapshot.nodes),
                snapshot=snapshot,
                subject=subject,
                network=request.network,
                rates=self._rates,
            )
        )
        return with_experience(report, self._track)

    async def _question(self, moment: _Moment, runs: tuple[WaitingRun, ...], changes: Changes) -> PlacementRequest:
        snapshot, runs = changed_snapshot(moment.snapshot, changes), changed_runs(runs, changes)
        return question(
            0,
            moment.now,
            runs,
            snapshot,
            await asyncio.to_thread(self._estimate, runs, snapshot.nodes),
            settings=replace(self._settings, objective=changes.objective or self._settings.objective),
            history=self._node_manager.assignments(),
            promised=LiveView(self._defaults).promised(moment.live, moment.now),
        )

    def _with_bound(self, live: list[Run], runs: tuple[WaitingRun, ...]) -> list[WaitingRun]:
        waiting = {run.run_id for run in runs}
        has_work = [run for run in live if run.id in waiting or any(run.attempts_in(*BOUND))]
        return [with_bound(run, self._defaults) for run in has_work]

    def _input_bytes(self, draft: Run) -> dict[str, float]:
        """How much each component read when it last ran, as far back as run times are learnt from."""
        wanted = set(draft.graph.component_digests.values())
        found: dict[str, float] = {}
        after = max(self._store.last_finished_id() - MOST_TAUGHT, 0)
        while page := self._store.finished(after=after):
            found.update({one.component_digest: one.input_bytes for one in page if one.component_digest in wanted})
            after = page[-1].id
        return found

    async def _ask(self, strategy: str, request: PlacementRequest) -> PlacementPlan:
        worker = await self._worker_of(strategy)
        try:
            plan = await worker.place(request, LIMIT_SECONDS)
        except PlacerFailure as failure:
            if failure.kind == "cold":
                raise UnavailableError(
                    f"the strategy {strategy} is being prepared for plans (once on a new installation)",
                    hint="try again in a minute, or plan with another one: mlopx plan FILE --strategy fifo_greedy",
                ) from failure
            raise ConflictError(
                f"the strategy {strategy} could not plan this: {failure.message}", hint=failure.hint
            ) from failure
        finally:
            self._rest_later()
        problems = await asyncio.to_thread(plan_problems, request, plan, NeedsTable(request.snapshot.nodes))
        if problems:
            raise ConflictError(f"the strategy {strategy} made a plan that is wrong: {problems[0]}")
        return plan

    async def _worker_of(self, strategy: str) -> PlacerProcess:
        if self._idle is not None:
            self._idle.cancel()
        if self._worker is not None and self._worker[0] != strategy:
            await self._worker[1].aclose()
            self._worker = None
        if self._worker is None:
            self._worker = (strategy, PlacerProcess(self._path_of(strategy), cold_patience_seconds=LIMIT_SECONDS))
            await self._start(self._worker[1], strategy)
        return self._worker[1]

    def _path_of(self, strategy: str) -> str:
        """Import path of a strategy by name. Only the server's own setting may name a class: callers may not."""
        if ":" in strategy and strategy != self._decision_unit.placer:
            raise InvalidRequestError("a plan takes strategies by name", hint="`mlopx placers --all` lists them")
        try:
            return placer_path(strategy)
        except ConfigurationError as error:
            raise InvalidRequestError(f"there is no strategy {strategy!r}", hint=error.hint) from error

    async def _start(self, worker: PlacerProcess, strategy: str) -> None:
        try:
            await worker.start()
        except PlacerFailure as failure:
            self._worker = None
            await worker.aclose()
            raise ConflictError(f"the strategy {strategy} cannot be loaded: {failure.message}") from failure

    def _rest_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(IDLE_SECONDS, self._rest)

    def _rest(self) -> None:
        if self._worker is not None and self._waiting == 0:
            worker, self._worker = self._worker[1], None
            self._closing = asyncio.get_running_loop().create_task(worker.aclose())


__all__ = ["Forecasts", "Planner"]
