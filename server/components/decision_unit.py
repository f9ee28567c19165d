"""The decision unit: asks the strategy in its worker process, checks the plan, and says what happens now, and why.

Strategies are named in `server.components.placer_registry`. One that raises, is late, dies or answers nonsense is
replaced for the cycle by the fallback, and that is said in the outcome, the records and the log. The scheduler acts on
the outcome.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from server.components.collecting import uncollected
from server.components.decisions.binding import bind_ready
from server.components.decisions.plan_check import plan_problems
from server.components.decisions.recording import Recording
from server.components.placer_registry import (
    DEFAULT_PLACER,
    ENTRY_POINT_GROUP,
    SHOWN,
    PlacerInfo,
    foreign_placers,
    info_of,
    load_placer,
    placer_path,
    placers,
    unusable,
)
from server.components.placer_workers.process import (
    START_PATIENCE_SECONDS,
    FailureKind,
    Hello,
    PlacerFailure,
    PlacerProcess,
)
from server.components.placer_workers.worker import load_class
from server.domain.errors import ConfigurationError
from server.domain.placement import Decision, Hold, Placement, PlacementPlan, PlacementRequest, TaskRef
from server.domain.states import Binding
from server.placers.interface import PlacerInterface
from server.planning.needs import NeedsTable

logger = logging.getLogger(__name__)

STAND_IN = "fifo_greedy"
"""Answers while a strategy is not warm yet, where no fallback is named: being cold is no fault of its plans."""

NO_PLACEMENT = "none"
"""Strategy of a cycle in which nothing is placed and the platform's own scheduler decides."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle decided.

    Attributes:
        plan: the checked plan, of the strategy or of its fallback.
        bind_now: placements of ready tasks whose node has room now, in plan order.
        holds: every other ready task, with the reason in words.
        decisions: records of what changed: all of `bind_now`, holds that are new, and, where whole runs are bound at
            submission, all placements of the runs that `bind_now` starts.
        strategy: who answered: the strategy's name, its fallback's, or `none`.
        fallback_from: the strategy that failed, if one did; `problem` says how.
        seconds: how long the decision took.
    """

    plan: PlacementPlan
    bind_now: tuple[Placement, ...]
    holds: Mapping[TaskRef, str]
    decisions: tuple[Decision, ...]
    strategy: str
    fallback_from: str | None
    problem: str | None
    seconds: float


class DecisionUnit:
    """Decides with one strategy.

    `fallback` names the strategy that stands in when it fails; None leaves the cycle to the platform's own scheduler.
    `binding` says how the platform binds, and so what is recorded. `in_process` asks the strategy here instead of in a
    worker. Without `is_recording` no decision records are made. `max_hold_seconds`: after it, runs that are bound at
    submission go without room, and are recorded then. Raises ConfigurationError for an unknown name.
    """

    def __init__(
        self,
        *,
        placer: str,
        new_id: Callable[[], str],
        fallback: str | None = "fifo_greedy",
        time_limit_seconds: float = 5.0,
        in_process: bool = False,
        binding: Binding = Binding.WHEN_READY,
        is_recording: bool = True,
        max_hold_seconds: float | None = None,
        start_limit_seconds: float = 120.0,
        start_patience_seconds: float = START_PATIENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if fallback is not None and fallback not in placers:
            raise ConfigurationError(f"there is no fallback {fallback!r}", hint=f"known are: {', '.join(placers)}")
        path = placer_path(placer)
        self.placer = placer
        self.fallback = fallback
        self.time_limit_seconds = time_limit_seconds
        self.failures: Counter[str] = Counter()
        self.last_failure: FailureKind | None = None
        self.on_ready: Callable[[], None] = lambda: None
        self.decided = 0
        self._monotonic, self._is_in_process = monotonic, in_process
        self._recording = (
            Recording(new_id=new_id, binding=binding, max_hold_seconds=max_hold_seconds) if is_recording else None
        )
        self._process = PlacerProcess(
            path,
            start_limit_seconds=start_limit_seconds,
            start_patience_seconds=start_patience_seconds,
            monotonic=monotonic,
            on_warm=lambda: self.on_ready(),
        )
        self._local: PlacerInterface | None = None
        self._stand_in: PlacerInterface | None = None
        self._hello: Hello | None = None
        self._table = NeedsTable(())
        if in_process:
            self._here()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, None in process or between two workers."""
        return self._process.pid

    @property
    def fallbacks(self) -> int:
        """How many cycles the fallback had to answer."""
        return sum(self.failures.values())

    @property
    def is_ready(self) -> bool:
        """Whether the strategy itself can answer now. On a fresh installation some compile first, for minutes where the
        machine is slow; `stand_in` answers meanwhile. `on_ready` is called when that is over."""
        return self._is_in_process or self._process.is_warm

    @property
    def stand_in(self) -> str:
        """Who answers while the strategy is not ready."""
        return self.fallback or STAND_IN

    @property
    def preparing(self) -> str:
        """A sentence where the strategy itself cannot answer yet; else empty."""
        if self.is_ready:
            return ""
        who = "what is ready waits" if self.stand_in == self.placer else f"{self.stand_in} decides"
        return (
            f"the strategy {self.placer} is being prepared (once on a new installation, which takes about a minute); "
            f"until then {who}"
        )

    async def start(self) -> None:
        """Load the strategy in its worker, and give it a while to get warm: until it is, the fallback answers.

        Raises ConfigurationError if it cannot be loaded.
        """
        if self._is_in_process:
            return
        try:
            self._hello = await self._process.start()
        except PlacerFailure as failure:
            await self._process.aclose()
            raise unusable(self.placer, failure.message) from failure

    async def aclose(self) -> None:
        """End the worker."""
        await self._process.aclose()

    async def decide(self, request: PlacementRequest) -> Outcome:
        """Answer one cycle; never raises for what a strategy does."""
        if self._is_in_process:
            return self.decide_now(request)
        began = self._monotonic()
        request, table = self._prepared(request)
        try:
            plan = await self._process.place(request, request.time_limit_seconds)
            _check(request, plan, table)
        except PlacerFailure as failure:
            return self._fall_back(request, table, failure, began)
        self.last_failure = None
        return self._conclude(request, table, plan, self._name(), None, began)

    def decide_now(self, request: PlacementRequest) -> Outcome:
        """The same in this process: for the simulator and tests. A late strategy is waited for."""
        began = self._monotonic()
        request, table = self._prepared(request)
        try:
            plan = ask(self._here(), request, table)
        except PlacerFailure as failure:
            return self._fall_back(request, table, failure, began)
        self.last_failure = None
        return self._conclude(request, table, plan, self._name(), None, began)

    def catalogue(self, all: bool = False) -> list[PlacerInfo]:  # noqa: A002 - reads as the flag it stands for
        """The strategies to choose from: those most useful, or all; always the present one."""
        names = [name for name in placers if all or name in SHOWN or name == self.placer]
        found = [info_of(name, placers[name]) for name in names]
        for name, path in foreign_placers().items():
            found.append(self._foreign_info(name, path))
        if self.placer not in [info.name for info in found]:
            found.append(self._foreign_info(self.placer, placer_path(self.placer)))
        return [
            replace(info, is_default=info.name == DEFAULT_PLACER, is_current=info.name == self.placer) for info in found
        ]

    def _prepared(self, request: PlacementRequest) -> tuple[PlacementRequest, NeedsTable]:
        self.decided += 1
        limit = min(request.time_limit_seconds, self.time_limit_seconds)
        self._table = self._table.renewed(request.snapshot.nodes, request.tasks())
        return replace(request, time_limit_seconds=limit), self._table

    def _here(self) -> PlacerInterface:
        if self._local is None:
            found = load_placer(self.placer)
            self._hello = Hello(found.name, found.summary, found.source, found.version)
            self._local = found()
        return self._local

    def _name(self) -> str:
        return self._hello.name if self._hello else self.placer

    def _version(self, strategy: str) -> str:
        if self._hello is not None and self._hello.name == strategy:
            return self._hello.version
        return placers[strategy].version if strategy in placers else ""

    def _fall_back(self, request: PlacementRequest, table: NeedsTable, failure: PlacerFailure, began: float) -> Outcome:
        """Answer with the fallback, or leave the tasks to the platform; say so."""
        self.failures[failure.kind] += 1
        self.last_failure = failure.kind
        fallback = self.stand_in if failure.kind == "cold" else self.fallback
        logger.warning(
            "cycle %d: placer %s failed (%s): %s; %s answers instead%s",
            request.cycle,
            self.placer,
            failure.kind,
            failure.message,
            fallback or "the platform's own scheduler",
            f"\n{failure.trace}" if failure.trace else "",
        )
        problem = f"placer {self.placer} failed ({failure.kind}): {failure.message}"
        if fallback is not None and fallback != self.placer:
            try:
                plan = ask(self._fallback_placer(fallback), request, table)
                return self._conclude(request, table, plan, fallback, problem, began)
            except PlacerFailure as second:
                logger.exception("cycle %d: the fallback %s failed as well", request.cycle, fallback)
                problem = f"{problem}; fallback {fallback} failed ({second.kind}): {second.message}"
        reason = f"not placed: {problem}"
        plan = PlacementPlan((), tuple(Hold(task.run_id, task.key, reason) for task in request.tasks()))
        return self._conclude(request, table, plan, NO_PLACEMENT, problem, began)

    def _fallback_placer(self, name: str) -> PlacerInterface:
        if self._stand_in is None:
            self._stand_in = placers[name]()
        return self._stand_in

    def _conclude(
        self,
        request: PlacementRequest,
        table: NeedsTable,
        plan: PlacementPlan,
        strategy: str,
        problem: str | None,
        began: float,
    ) -> Outcome:
        fallback_from = self._name() if problem is not None else None
        is_cold = fallback_from is not None and self.last_failure == "cold"
        decisions: Sequence[Decision] = ()
        with uncollected():
            now = bind_ready(request, plan, table)
            if self._recording is not None:
                decisions = self._recording.records(
                    request,
                    table,
                    plan,
                    now,
                    strategy=strategy,
                    version=self._version(strategy),
                    fallback_from=fallback_from,
                    because=f"{fallback_from} is not ready yet" if is_cold else "",
                )
        return Outcome(
            plan=plan,
            bind_now=now.bind_now,
            holds=now.holds,
            decisions=tuple(decisions),
            strategy=strategy,
            fallback_from=fallback_from,
            problem=problem,
            seconds=self._monotonic() - began,
        )

    def _foreign_info(self, name: str, path: str) -> PlacerInfo:
        """Of the present strategy as its worker told; others are imported to ask them."""
        if name == self.placer and self._hello is not None:
            return PlacerInfo(name, self._hello.summary, self._hello.source, self._hello.version)
        try:
            return info_of(name, load_class(path))
        except Exception as error:
            return PlacerInfo(name, f"cannot be loaded: {type(error).__name__}: {error}", path, "")


def ask(placer: PlacerInterface, request: PlacementRequest, table: NeedsTable | None = None) -> PlacementPlan:
    """The plan of a strategy that is asked in this process, checked. Raises PlacerFailure for all that is wrong."""
    try:
        plan = placer.place(request)
    except Exception as error:
        raise PlacerFailure("raised", f"it raised {type(error).__name__}: {error}") from error
    if not isinstance(plan, PlacementPlan):
        raise PlacerFailure("invalid", f"place() returned {type(plan).__name__}, not a PlacementPlan")
    _check(request, plan, table or NeedsTable(request.snapshot.nodes))
    return plan


def _check(request: PlacementRequest, plan: PlacementPlan, table: NeedsTable) -> None:
    try:
        with uncollected():
            problems = plan_problems(request, plan, table)
    except (TypeError, AttributeError, ValueError) as error:
        raise PlacerFailure("invalid", f"its plan is malformed: {type(error).__name__}: {error}") from error
    if problems:
        raise PlacerFailure("invalid", "its plan is wrong: " + "; ".join(problems))


__all__ = [
    "DEFAULT_PLACER",
    "ENTRY_POINT_GROUP",
    "NO_PLACEMENT",
    "DecisionUnit",
    "Outcome",
    "PlacerInfo",
    "ask",
    "foreign_placers",
    "load_placer",
    "placer_path",
    "placers",
]
