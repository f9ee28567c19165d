"""Very many short pipelines of few shapes: what the simulator itself is measured with."""

from __future__ import annotations

from collections.abc import Sequence

from server.simulation.chance import chance
from server.simulation.machines import Machine
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, make_work
from server.simulation.workloads.arriving import arrive

SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((),),
    ((), (0,)),
    ((), (0,), (1,)),
    ((), (0,), (0,), (1, 2)),
    ((), (), (0, 1), (2,), (2,)),
)


def generate(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Pipelines of one to five tasks of 5 to 100 seconds, each a CPU, of forty sorts."""
    luck = chance(seed, "scale")
    speed_of = {machine.kind: machine.node.speed for machine in machines}
    capacity = sum(machine.node.speed * machine.node.allocatable.cpu_millicores / 1000 for machine in machines)
    sorts, totals = [], []
    for number in range(40):
        tasks, total = [], 0.0
        for index, after in enumerate(SHAPES[number % len(SHAPES)]):
            work = luck.uniform(5.0, 100.0)
            total += work
            seconds = {kind: round(work / speed, 3) for kind, speed in speed_of.items()}
            tasks.append(TaskWork(f"t{index}", (Way(seconds, cpu_millicores=1000),), after))
        sorts.append(make_work(f"sort{number}", tasks, kinds=list(speed_of)))
        totals.append(total / capacity)
    drawn = [luck.randrange(len(sorts)) for _ in range(table.pipelines)]
    return arrive([sorts[one] for one in drawn], table, [totals[one] for one in drawn], luck)


__all__ = ["generate"]
