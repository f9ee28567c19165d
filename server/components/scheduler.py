"""The live scheduler: wakes on what happened, asks the decision unit about the whole queue, and writes the answer down.

A cycle is numbered. It takes the newest snapshot without I/O, and it writes placements before the dispatcher calls the
platform. What stays held keeps its place and gets a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.components.caching import cache_key
from server.components.clock import Clock
from server.components.cycle import (
    WAKING,
    CycleSettings,
    answers,
    is_worth_deciding,
    next_wake,
    question,
    sent_back,
    unsaid,
    waiting_runs,
)
from server.components.decision_unit import NO_PLACEMENT, DecisionUnit, Outcome
from server.components.handing_over import next_release, placeable_part, whole_runs
from server.components.holdout.splitting import decide_for_both
from server.components.journal import Journal
from server.components.live_view import LiveView
from server.components.node_manager import NodeManager
from server.domain import events as happened
from server.domain.errors import MlopxError
from server.domain.lifecycle import Change
from server.domain.node import Node
from server.domain.placement import Decision, Estimates, Placement, PlacementRequest, TaskRef, WaitingRun
from server.domain.request import Defaults
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import Binding, TaskState
from server.planning.needs import NeedsTable
from server.stores.interface import RunStoreInterface

log = logging.getLogger(__name__)

Estimate = Callable[[Sequence[WaitingRun], Sequence[Node]], Estimates]
Advise = Callable[[Sequence[WaitingRun], Sequence[Node], Estimates], Sequence[WaitingRun]]


class Gate(Protocol):
    """Knows why a platform would not start a whole run now, whatever its nodes have: a quota, say."""

    def waits(self, runs: Sequence[WaitingRun]) -> Mapping[str, str]:
        """Of the runs that are to be handed over, in order: those that must wait, with the reason in words."""

    def let_go(self, run: WaitingRun) -> None:
        """This run was handed over."""


class OpenGate:
    """Lets everything through."""

    def waits(self, runs: Sequence[WaitingRun]) -> Mapping[str, str]:
        """Nobody waits."""
        return {}

    def let_go(self, run: WaitingRun) -> None:
        """Nothing to remember."""


QUIET_PARTS = 5
"""A cycle begins when nothing happened for this part of the debounce time."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One waiting task as people see it."""

    run_id: str
    run_name: str
    key: TaskKey
    state: TaskState
    hold: str
    priority: int
    project: str
    submitted_at: datetime
    ready_at: datetime | None


class Scheduler:
    """Runs cycles, one at a time. `plan` is where the latest one would place what waited then; who holds `turn` may
    bind tasks himself, between two cycles.

    `advise` tells tasks which nodes to avoid. `max_hold_seconds`: how long a run that is handed over whole may wait
    here for room; None: as long as it takes.
    `platforms_rule` decides about runs of the holdout; None leaves them without a decision. `gate` keeps whole runs
    here that the platform would not start.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        store: RunStoreInterface,
        decision_unit: DecisionUnit,
        node_manager: NodeManager,
        estimate: Estimate,
        defaults: Defaults,
        clock: Clock,
        settings: CycleSettings,
        wait_seconds: float,
        debounce_seconds: float = 0.02,
        max_hold_seconds: float | None = None,
        advise: Advise = lambda runs, nodes, estimates: runs,
        platforms_rule: DecisionUnit | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._journal, self._store = journal, store
        self._decision_unit, self._node_manager = decision_unit, node_manager
        self._estimate, self._clock, self._settings = estimate, clock, settings
        self._live_view = LiveView(defaults)
        self._wait_seconds, self._debounce_seconds = wait_seconds, debounce_seconds
        self._max_hold_seconds, self._advise = max_hold_seconds, advise
        self._platforms_rule, self._gate = platforms_rule, gate or OpenGate()
        self._wake = asyncio.Event()
        self._looked_up: dict[str, set[TaskKey]] = {}
        self.cycles = 0
        self.last_decision_seconds = 0.0
        self.last_problem: str | None = None
        self.plan: Mapping[TaskRef, Placement] = {}
        self.answered_by = decision_unit.placer
        self.turn = asyncio.Lock()
        self._on_decided: list[Callable[[PlacementRequest, Outcome], None]] = []
        self._on_ruled: list[Callable[[Outcome], None]] = []

    def on_decided(self, callback: Callable[[PlacementRequest, Outcome], None]) -> None:
        """Hand every cycle's question and answer over, once they are written down. The callback must not wait."""
        self._on_decided.append(callback)

    def on_ruled(self, callback: Callable[[Outcome], None]) -> None:
        """Call back with what the platform's own rule decided about the runs that are left out."""
        self._on_ruled.append(callback)

    def notice(self, change: Change) -> None:
        """Wake up if the change gives something to decide."""
        if any(isinstance(event, WAKING) for event in change.events):
            self._wake.set()
        if change.run.state.is_end:
            self._looked_up.pop(change.run.id, None)

    def wake(self) -> None:
        """Decide again soon: the nodes changed, say."""
        self._wake.set()

    def now(self) -> datetime:
        """The instant on the server's clock."""
        return self._clock.now()

    def queue(self) -> list[QueueEntry]:
        """All waiting tasks: ready ones first, higher priority first, then in submission order."""
        waiting = (TaskState.READY, TaskState.PENDING)
        entries = [
            _entry(run, task) for run in self._journal.live() for task in run.tasks.values() if task.state in waiting
        ]
        return sorted(entries, key=lambda entry: (entry.state is not TaskState.READY, -entry.priority))

    async def run_forever(self) -> None:
        """Cycle after cycle, until cancelled: on what happened after a short debounce, else every `wait_seconds`."""
        self._wake.set()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._idle_seconds()):  # `wait_for` of 3.11 can swallow a cancellation
                    await self._wake.wait()
                await self._settle()
            self._wake.clear()
            async with self.turn:
                await self.cycle()

    async def _settle(self) -> None:
        """Let what comes in a burst come together: until it is quiet for a moment, at most the debounce time."""
        for _ in range(QUIET_PARTS):
            self._wake.clear()
            await self._clock.sleep(self._debounce_seconds / QUIET_PARTS)
            if not self._wake.is_set():
                return

    async def cycle(self) -> Outcome | None:
        """Decide once about everything that waits. None when nothing did."""
        await self._use_cache()
        now = self._clock.now()
        live = {run.id: run for run in self._journal.live()}
        self._live_view.keep_only(live)
        runs = waiting_runs(live.values(), now, self._live_view)
        if not is_worth_deciding(runs, live):
            return None
        snapshot = self._node_manager.current()
        self.cycles += 1
        at_submission = {run.run_id for run in runs if live[run.run_id].options.binding is Binding.AT_SUBMISSION}
        whole = [run for run in runs if run.run_id in at_submission]
        barred = self._gate.waits(whole)  # by what is known now: when the answer comes, more may be known than it knew
        table = NeedsTable(snapshot.nodes)
        asked = [placeable_part(run, table) if run.run_id in at_submission else run for run in runs]
        estimates = self._estimate(asked, snapshot.nodes)
        request = question(
            self.cycles,
            now,
            self._advise(asked, snapshot.nodes, estimates),
            snapshot,
            estimates,
            settings=self._settings,
            history=self._node_manager.assignments(),
            promised=self._live_view.promised(live.values(), now),
        )
        left_out = frozenset(run.run_id for run in runs if live[run.run_id].options.is_holdout)
        answer = await decide_for_both(request, left_out, self._decision_unit, self._platforms_rule)
        outcome = answer.outcome
        self.last_decision_seconds, self.last_problem = outcome.seconds, outcome.problem
        self.plan = {(one.run_id, one.key): one for one in outcome.plan.placements}
        self.answered_by = outcome.strategy if outcome.strategy != NO_PLACEMENT else self._decision_unit.placer
        await self._record(outcome.decisions)
        live = {run.id: run for run in self._journal.live()}
        await self._write(unsaid(answers(request, outcome), live), at_submission)
        await self._hand_over(whole, outcome, now, table, left_out, barred)
        if answer.asked is not None and answer.own is not None:
            for callback in self._on_decided:
                callback(answer.asked, answer.own)
        if answer.ruled is not None:
            for notice in self._on_ruled:
                notice(answer.ruled)
        return outcome

    async def _hand_over(
        self,
        runs: Sequence[WaitingRun],
        outcome: Outcome,
        now: datetime,
        table: NeedsTable,
        left_out: frozenset[str],
        barred: Mapping[str, str],
    ) -> None:
        """Write down which runs go to the platform whole, and why the others (`barred` among them) stay."""
        whole = whole_runs(
            runs,
            outcome,
            now,
            max_hold_seconds=self._max_hold_seconds,
            table=table,
            left_out=left_out,
            barred={**barred, **sent_back(self._journal.live(), now)},
        )
        views = {run.run_id: run for run in runs}
        for run_id, event in unsaid(whole, {run.id: run for run in self._journal.live()}):
            await self._journal.apply(run_id, event)
            if isinstance(event, happened.RunPlaced):
                self._gate.let_go(views[run_id])

    async def _record(self, decisions: Sequence[Decision]) -> None:
        if decisions:
            await asyncio.to_thread(self._store.add_decisions, decisions)

    async def _write(self, events: Iterable[tuple[str, happened.Event]], at_submission: set[str]) -> None:
        by_run: dict[str, list[happened.Event]] = {}
        for run_id, event in events:
            if run_id not in at_submission:
                by_run.setdefault(run_id, []).append(event)
        results = await asyncio.gather(
            *(self._journal.apply(run_id, *found) for run_id, found in by_run.items()), return_exceptions=True
        )
        for run_id, result in zip(by_run, results, strict=True):
            if isinstance(result, BaseException):
                log.error("cycle %d could not be written for run %s: %s", self.cycles, run_id, result)
                if not isinstance(result, MlopxError):
                    raise result
                continue
            for event in result.events:
                if isinstance(event, happened.TaskPlaced):
                    self._node_manager.count_assignment(event.node)

    async def _use_cache(self) -> None:
        """Finish ready tasks whose work an earlier task already did; each attempt is looked up once."""
        wanted: dict[str, list[tuple[str, TaskKey, int]]] = {}
        for run in self._journal.live():
            looked_up = self._looked_up.setdefault(run.id, set())
            for key, attempt in run.attempts_in(TaskState.READY):
                if attempt.number > 1 or key in looked_up or key.path in run.options.anew:
                    continue
                looked_up.add(key)
                found = cache_key(run, key)
                if found is not None:
                    wanted.setdefault(found, []).append((run.id, key, attempt.number))
        if not wanted:
            return
        entries = await asyncio.to_thread(self._store.get_cache, list(wanted))
        for found, entry in entries.items():
            for run_id, key, number in wanted[found]:
                await self._journal.apply(
                    run_id,
                    happened.TaskSucceeded(
                        at=self._clock.now(),
                        key=key,
                        attempt=number,
                        outputs=entry.outputs,
                        from_cache=True,
                        reused_from=entry.run_id,
                    ),
                )
        if entries:
            await self._use_cache()

    def _idle_seconds(self) -> float:
        now = self._clock.now()
        held = waiting_runs(self._journal.live(), now, self._live_view) if self._max_hold_seconds else ()
        instants = (next_wake(self._journal.live(), now), next_release(held, now, self._max_hold_seconds))
        return min([self._wait_seconds, *(max((at - now).total_seconds(), 0.0) for at in instants if at is not None)])


def _entry(run: Run, task: TaskRun) -> QueueEntry:
    return QueueEntry(
        run_id=run.id,
        run_name=run.name,
        key=task.key,
        state=task.state,
        hold=task.hold,
        priority=run.options.priority,
        project=run.options.project,
        submitted_at=run.submitted_at,
        ready_at=task.current.ready_at,
    )
