"""The server's cycle on the virtual clock: woken by what happened, it asks the decision unit and acts on the answer."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from server.components.cycle import (
    WAKING,
    CycleSettings,
    answers,
    is_worth_deciding,
    question,
    unsaid,
    waiting_runs,
)
from server.components.decision_unit import DecisionUnit, Outcome
from server.components.live_view import LiveView
from server.components.placer_registry import load_placer
from server.domain.events import TaskPlaced
from server.domain.lifecycle import Change
from server.domain.network import NodeNetwork
from server.domain.node import Node, Occupancy, Snapshot
from server.domain.placement import PlacementRequest, WaitingRun
from server.domain.request import kubernetes_defaults
from server.domain.run import Run
from server.domain.states import Binding, TaskState
from server.estimators.interface import EstimatorInterface
from server.estimators.table import EstimateTable
from server.simulation.agenda import DECIDES, Agenda
from server.simulation.ledger import Ledger
from server.simulation.rules import Rules
from server.simulation.work import Work
from server.simulation.world import World

MOST_IDLE_CYCLES = 3
"""So many cycles in a row without anything running, coming or placed: nothing will ever change."""


class Decider:
    """Runs cycles. `act` does what a cycle decided, `picks` says which runs it is about, `held` what is taken;
    binding at submission and reservations put their own in place."""

    def __init__(
        self,
        agenda: Agenda,
        ledger: Ledger,
        world: World,
        works: Mapping[str, Work],
        *,
        rules: Rules,
        estimator: EstimatorInterface,
        view: LiveView | None = None,
        network: NodeNetwork | None = None,
        seed: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._agenda, self._ledger, self._world, self.works = agenda, ledger, world, works
        self._rules = rules
        self._settings = CycleSettings(rules.objective, seed, rules.time_limit_seconds, network)
        numbers = itertools.count(1)
        self.unit = DecisionUnit(
            placer=rules.placer,
            new_id=lambda: f"d{next(numbers)}",
            in_process=True,
            binding=rules.binding,
            time_limit_seconds=rules.time_limit_seconds,
            is_recording=rules.is_recording,
            monotonic=monotonic,
        )
        self.view = view or LiveView(kubernetes_defaults)
        self._estimates = EstimateTable(estimator)
        self._nodes: tuple[Node, ...] | None = None
        self._expected: set[str] = set()
        self._due_at = -1.0
        self._idle_at = -1.0
        self._idle_cycles = 0
        self.assignments: Counter[str] = Counter()
        self.cycle_seconds: list[float] = []
        self.cycles = 0
        self.is_stuck = False
        self.act: Callable[[PlacementRequest, Outcome], None] = self._bind
        self.picks: Callable[[Run], bool] | None = None
        is_task_by_task = rules.binding is Binding.WHEN_READY and rules.reservation == "none"
        self.is_sparing = is_task_by_task and not load_placer(rules.placer).looks_ahead
        self.held: Callable[[], list[Occupancy]] = lambda: self.view.held(ledger.runs.values())
        self._listeners: list[Callable[[PlacementRequest, Outcome], None]] = []
        world.on_nodes_change = self._on_nodes_change

    def listen(self, listener: Callable[[PlacementRequest, Outcome], None]) -> None:
        """Call `listener` with every question and its answer from now on, before anything is done about it."""
        self._listeners.append(listener)

    def expect(self, run_id: str) -> None:
        """A run is submitted: it is kept until its window ends."""
        window, offset = self._rules.window_seconds, self._rules.window_offset_seconds
        if window <= 0:
            return
        now = self._agenda.seconds
        count = max(-(-(now - offset) // window), 0)
        self._expected.add(run_id)
        self._agenda.at(offset + count * window, lambda: self._admit(run_id))

    def notice(self, change: Change) -> None:
        """Wake up if the change gives something to decide."""
        if any(isinstance(event, WAKING) for event in change.events):
            self.wake()

    def wake(self) -> None:
        """Decide once it has been quiet for the debounce time."""
        due = self._agenda.seconds + self._rules.debounce_seconds
        if self._due_at < self._agenda.seconds:
            self._due_at = due
            self._agenda.at(due, self._cycle, DECIDES)

    def count_assignment(self, node: str) -> None:
        """One more task was given to this node."""
        self.assignments[node] += 1

    def snapshot(self, occupancies: Sequence[Occupancy]) -> Snapshot:
        """The nodes as they are now."""
        if self._nodes is None:
            self._nodes = tuple(machine.seen() for machine in self._world.machines.values() if machine.is_there)
        return Snapshot(self._agenda.now, self._nodes, tuple(occupancies), source="simulation")

    def ask(self, runs: Sequence[WaitingRun], snapshot: Snapshot) -> tuple[PlacementRequest, Outcome]:
        """One question to the decision unit."""
        self.cycles += 1
        request = question(
            self.cycles,
            self._agenda.now,
            runs,
            snapshot,
            self._estimates.of(runs, snapshot.nodes),
            settings=self._settings,
            history=self.assignments,
            promised=self.view.promised(self._ledger.runs.values(), self._agenda.now),
        )
        outcome = self.unit.decide_now(request)
        self.cycle_seconds.append(outcome.seconds)
        for listener in self._listeners:
            listener(request, outcome)
        return request, outcome

    def _admit(self, run_id: str) -> None:
        self._expected.discard(run_id)
        self.wake()

    def _on_nodes_change(self) -> None:
        self._nodes = None
        self.wake()

    def _cycle(self) -> None:
        self._due_at = -1.0
        live = self._ledger.runs
        runs = waiting_runs(self._visible(), self._agenda.now, self.view)
        self.view.keep_only(live)
        if is_worth_deciding(runs, live):
            if self.is_sparing:
                runs = _ready_only(runs)
            request, outcome = self.ask(runs, self.snapshot(self.held()))
            self.act(request, outcome)
            self._plan_idle_cycle(bool(outcome.bind_now))

    def _visible(self) -> Iterable[Run]:
        """Live runs whose window has ended."""
        runs = self._ledger.runs.values()
        if not self._expected and self.picks is None:
            return runs
        is_picked = self.picks or (lambda run: True)
        return [run for run in runs if run.id not in self._expected and is_picked(run)]

    def _plan_idle_cycle(self, is_bound: bool) -> None:
        """Look again after the longest wait, unless something happens before; give up where nothing ever will."""
        is_moving = is_bound or not self._agenda.is_idle
        self._idle_cycles = 0 if is_moving else self._idle_cycles + 1
        self.is_stuck = self._idle_cycles >= MOST_IDLE_CYCLES
        self._idle_at = self._agenda.seconds + self._rules.wait_seconds
        at = self._idle_at

        def look() -> None:
            if self._idle_at == at:
                self.wake()

        self._agenda.look_at(at, look)

    def _bind(self, request: PlacementRequest, outcome: Outcome) -> None:
        """Bind every task when it is ready: write down what is placed, and hand it to the platform."""
        for run_id, event in unsaid(answers(request, outcome), self._ledger.runs):
            run = self._ledger.apply(run_id, event)
            if run is None or not isinstance(event, TaskPlaced):
                continue
            attempt = run.tasks[event.key].current
            if attempt.state is TaskState.PLACED and attempt.number == event.attempt:
                self.count_assignment(event.node)
                self._world.bind(run, self.works[run_id], event.key, event.attempt, event.node, event.option)


def _ready_only(runs: Sequence[WaitingRun]) -> tuple[WaitingRun, ...]:
    """The runs with their ready tasks alone: all that a strategy decides on that does not look ahead."""
    return tuple(
        run if len(ready) == len(run.tasks) else replace(run, tasks=ready)
        for run in runs
        if (ready := tuple(task for task in run.tasks if task.is_ready))
    )


__all__ = ["Decider"]
