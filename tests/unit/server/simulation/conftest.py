"""Small clusters and pipelines for simulations."""

from __future__ import annotations

import pytest

from server.domain.node import Node
from server.domain.resources import Resources
from server.simulation.engine import Case
from server.simulation.machines import Machine
from server.simulation.rules import Rules
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, Work, make_work

KINDS = {"slow": 2, "fast": 2}


class Ground:
    """Builds cases: two slow and two fast nodes of one CPU each, on which a task takes 40 or 10 seconds."""

    def machines(self) -> list[Machine]:
        """Fresh machines."""
        return [
            Machine(Node(f"{kind}-{index}", Resources(1000, 2**30, (), 110), {KIND_LABEL: kind}), kind)
            for kind, count in KINDS.items()
            for index in range(count)
        ]

    def diamond(self, name: str = "diamond", **more: object) -> Work:
        """Four tasks: one, two side by side, one."""
        after = ((), (0,), (0,), (1, 2))
        way = Way({"slow": 40.0, "fast": 10.0}, cpu_millicores=1000)
        tasks = [TaskWork(f"t{index}", (way,), waits, **more) for index, waits in enumerate(after)]  # type: ignore[arg-type]
        return make_work(name, tasks, kinds=tuple(KINDS))

    def case(
        self, rules: Rules, *, runs: int = 8, every: float = 7.0, work: Work | None = None, **more: object
    ) -> Case:
        """So many runs, one every few seconds."""
        work = work or self.diamond()
        arrivals = [Arrival(index * every, f"r{index}", work) for index in range(runs)]
        return Case(machines=self.machines, arrivals=arrivals, rules=rules, **more)  # type: ignore[arg-type]


@pytest.fixture
def ground() -> Ground:
    return Ground()
