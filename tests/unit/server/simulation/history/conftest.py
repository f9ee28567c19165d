"""Histories whose truth is known: the simulator made them, and they are put on record as a server would have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.components.clock import Clock
from server.components.decision_unit import Outcome
from server.components.remembering.node_history import NodeHistory
from server.domain.node import Node
from server.domain.placement import PlacementRequest
from server.domain.resources import Resources
from server.domain.run import Run
from server.simulation.agenda import START, instant
from server.simulation.engine import Case, Loss, Simulation
from server.simulation.machines import Machine
from server.simulation.records import Finished
from server.simulation.rules import Rules
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, make_work
from server.simulation.world import Nature
from server.stores.memory import MemoryRunStore

KINDS = {"quick-1": "quick", "slow-1": "slow", "slow-2": "slow"}
Made = tuple[MemoryRunStore, Finished, Case]


class At(Clock):
    """A clock that stands."""

    def now(self) -> datetime:
        return START

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


def machines() -> list[Machine]:
    """One quick node, two slow ones; each with two CPUs."""
    return [
        Machine(
            Node(name, Resources.of(cpu_millicores=2000, memory_bytes=2**34, pods=20), labels={KIND_LABEL: kind}), kind
        )
        for name, kind in KINDS.items()
    ]


def arrivals(count: int) -> list[Arrival]:
    """Diamonds of four tasks, every 12 seconds; the slow nodes take three times as long, some tasks both CPUs."""
    found = []
    for number in range(count):
        base = 4.0 + 3 * (number % 3)

        def task(name: str, after: tuple[int, ...], seconds: float, cpus: int = 1) -> TaskWork:
            return TaskWork(name, (Way({"quick": seconds, "slow": 3 * seconds}, cpu_millicores=1000 * cpus),), after)

        tasks = [
            task("load", (), base),
            task("left", (0,), 2 * base),
            task("right", (0,), base, 2),
            task("join", (1, 2), base / 2),
        ]
        work = make_work(f"diamond-{number % 3}", tasks, kinds=["quick", "slow"])
        found.append(Arrival(12.0 * number, f"run-{number:02d}", work))
    return found


class Past:
    """How to make a history; it lies between `since` and `until`."""

    kinds = KINDS
    since, until = START - timedelta(days=1), instant(86_400.0)

    def record(self, placer: str, **more: Any) -> Made:
        """A store with what a simulated server did, what came out, and the case."""
        return recorded(placer, **more)

    async def see_nodes(self, store: MemoryRunStore) -> None:
        """Put the nodes on record, as seen at the start."""
        nodes = [machine.node for machine in machines()]
        await NodeHistory(store=store, nodes=lambda: nodes, clock=At(), every_seconds=1).look()


@pytest.fixture
def past() -> Past:
    return Past()


def recorded(placer: str, *, count: int = 12, losses: tuple[Loss, ...] = ()) -> Made:
    case = Case(
        machines=machines,
        arrivals=arrivals(count),
        rules=Rules(placer=placer, is_recording=True),
        nature=Nature(start_seconds=1.5),
        losses=losses,
    )
    simulation, store = Simulation(case), MemoryRunStore()
    ended: dict[str, Run] = {}
    simulation.ledger.listen(lambda change: ended.update({change.run.id: change.run}))
    decide = simulation.decider.unit.decide_now

    def decide_and_keep(request: PlacementRequest) -> Outcome:
        outcome = decide(request)
        store.add_decisions(outcome.decisions)
        return outcome

    simulation.decider.unit.decide_now = decide_and_keep  # type: ignore[method-assign]  # to look on
    finished = simulation.run()
    for run in ended.values():
        store.create_run(run, [])
    return store, finished, case
