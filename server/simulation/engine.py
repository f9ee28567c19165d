"""The same server on a virtual clock: arrivals come in, the live server's cycle decides, the world runs what is bound.

What is swapped against the live server is the clock (`agenda`), the platform (`world`) and the store (`ledger`); the
cycle, the decision unit, the strategies and the lifecycle are the server's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server.domain.errors import MlopxError
from server.domain.lifecycle import Change, start_run
from server.domain.request import kubernetes_defaults
from server.domain.run import Run, RunOptions
from server.domain.states import Binding
from server.simulation.agenda import Agenda, instant
from server.simulation.deciding import Decider
from server.simulation.ledger import Ledger
from server.simulation.machines import Machine
from server.simulation.records import Finished, Records
from server.simulation.reservation import Reserving
from server.simulation.rules import Rules
from server.simulation.told import Telling, ToldEstimator, ToldView, network_of
from server.simulation.whole_runs import WholeRuns
from server.simulation.work import Arrival
from server.simulation.world import Nature, World


class StuckError(MlopxError):
    """Runs that can never end under the scenario's rules, such as tasks that no node can hold."""

    code = "simulation-stuck"
    status = 422
    title = "The simulation cannot go on"


@dataclass(frozen=True, slots=True)
class Loss:
    """A node goes down at an instant; it is back after so many seconds, or never."""

    node: str
    seconds: float
    back_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One simulation: the same case and seed give the same result, to the last digit."""

    machines: Callable[[], Sequence[Machine]]
    arrivals: Sequence[Arrival]
    rules: Rules
    nature: Nature = field(default_factory=Nature)
    telling: Telling = field(default_factory=Telling)
    losses: Sequence[Loss] = ()
    seed: int = 0


def simulate(case: Case) -> Finished:
    """Run a case to its end. Raises StuckError if a run can never end, and what a strategy's loading raises."""
    return Simulation(case).run()


class Simulation:
    """One server with its world."""

    def __init__(self, case: Case, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._case = case
        rules, nature = case.rules, case.nature
        machines = case.machines()
        self.agenda, self.ledger = Agenda(), Ledger()
        self.records = Records(machines)
        self.world = World(agenda=self.agenda, ledger=self.ledger, machines=machines, nature=nature, seed=case.seed)
        extra = nature.start_seconds + nature.bind_seconds
        self.estimator = ToldEstimator(
            case.telling, extra_seconds=extra, noise_sigma=nature.noise_sigma, seed=case.seed
        )
        works = {arrival.run_id: arrival.work for arrival in case.arrivals}
        parts = (self.agenda, self.ledger, self.world, works)
        network = network_of(nature.wires, case.telling)
        self.decider = Decider(
            *parts,
            rules=rules,
            estimator=self.estimator,
            view=ToldView(kubernetes_defaults, works) if network and case.telling.data == "all" else None,
            network=network,
            seed=case.seed,
            monotonic=monotonic,
        )
        if rules.reservation == "pipeline":
            self.decider.act = Reserving(*parts, decider=self.decider, rules=rules).act
        elif rules.binding is Binding.AT_SUBMISSION:
            self.decider.act = WholeRuns(*parts, decider=self.decider).act
        self._ended = 0

    def run(self) -> Finished:
        """Let everything happen."""
        began = time.process_time()
        self.ledger.listen(self._on_change)
        self.world.begin()
        for loss in self._case.losses:
            self.agenda.at(loss.seconds, lambda loss=loss: self.world.lose(loss.node, loss.back_after_seconds))  # type: ignore[misc]
        known: set[int] = set()
        for arrival in self._case.arrivals:
            if id(arrival.work) not in known:
                known.add(id(arrival.work))
                self.estimator.know(arrival.work)
            self.agenda.at(arrival.seconds, lambda arrival=arrival: self._submit(arrival))  # type: ignore[misc]
        total = len(self._case.arrivals)
        is_done = total == 0 or self.agenda.run(lambda: self._ended == total or self.decider.is_stuck)
        if not is_done or self._ended < total:
            raise self._stuck()
        return Finished(
            rules=self._case.rules,
            nodes=self.records.nodes,
            runs=tuple(self.records.runs),
            tasks=tuple(self.records.tasks),
            events=self.ledger.events,
            cycles=self.decider.cycles,
            fallbacks=self.decider.unit.fallbacks,
            cycle_seconds=tuple(self.decider.cycle_seconds),
            cpu_seconds=time.process_time() - began,
        )

    def _submit(self, arrival: Arrival) -> None:
        now = self.agenda.now
        is_whole = self._case.rules.reservation == "pipeline" or self._case.rules.binding is Binding.AT_SUBMISSION
        deadline = arrival.deadline_seconds
        change = start_run(
            arrival.run_id,
            arrival.work.graph,
            parameters={},
            options=RunOptions(
                priority=arrival.priority,
                project=arrival.project,
                deadline_at=instant(self.agenda.seconds + deadline) if deadline is not None else None,
                binding=Binding.AT_SUBMISSION if is_whole else Binding.WHEN_READY,
                is_caching=False,
            ),
            at=now,
        )
        self.decider.expect(arrival.run_id)
        self.ledger.create(change)

    def _on_change(self, change: Change) -> None:
        self.decider.notice(change)
        if change.run.state.is_end:
            self._end(change.run)

    def _end(self, run: Run) -> None:
        self._ended += 1
        self.records.add(run, self.decider.works[run.id])

    def _stuck(self) -> StuckError:
        waiting = list(self.ledger.runs.values())
        holds = {str(task.hold) for run in waiting for task in run.tasks.values() if task.hold}
        return StuckError(
            f"at {self.agenda.seconds:.0f} s nothing can happen any more, and {len(waiting)} runs have not ended",
            hint="a task asks for more than any node has, or every node that could run it is lost for good",
            details=tuple(sorted(holds)[:5]),
        )


__all__ = ["Case", "Finished", "Loss", "Simulation", "StuckError", "simulate"]
