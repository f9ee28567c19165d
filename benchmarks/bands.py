"""How many runs lie in their band of 80 %, in families of made-up components and machines whose truth is known.

`python -m benchmarks.bands`. Each family has its own noise, machines, laws of growth and knowledge; many histories
of it are learnt, and of each something is asked that was not learnt.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks.measure import Measure, percentile, show
from server.domain.node import Node
from server.domain.placement import Estimate
from server.domain.resources import Resources
from server.estimators.chain import ChainEstimator
from server.estimators.interface import Observation, Profile
from server.testing.contracts.estimator import an_observation

COMPONENTS, ASKED, SIX = 10, 400, 6
LEAST, MOST = 72.0, 88.0
Draw = Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class Family:
    """How a family's runs come about.

    `noise` draws a run's factor, `own` is how far a component's machines are from their factors, `told` how far a
    machine's factor is from its profile (logarithms; None: no profile). `exponents` are those of the size, with
    `fixed` the largest fixed part; without any, inputs have no size. `asks` is what is asked: `known` machines, one
    with `six` runs, one that is `new`, or `larger` inputs.
    """

    noise: Draw
    own: float = 0.0
    told: float | None = None
    exponents: tuple[float, ...] = ()
    fixed: float = 0.5
    asks: str = "known"
    machines: int = 4
    runs: tuple[int, int] = (3, 12)
    larger: float = 4.0


def normal(sigma: float) -> Draw:
    """Log-normal noise."""
    return lambda chance: chance.lognormvariate(0, sigma)


def spoilt(sigma: float, share: float, times: float) -> Draw:
    """A share of the runs takes so many times longer."""
    return lambda chance: chance.lognormvariate(0, sigma) * (times if chance.random() < share else 1.0)


def of_two_kinds(sigma: float, apart: float) -> Draw:
    """Half of the runs take so many times longer, as with a cache that is cold or warm."""
    return lambda chance: chance.lognormvariate(0, sigma) * (apart if chance.random() < 0.5 else 1.0)


SIZES = (0.0, 0.5, 1.0, 1.0, 1.5, 2.0)
FAMILIES: Mapping[str, Family] = {
    **{
        f"known machines, noise {sigma:g}": Family(normal(sigma), own=sigma / 2) for sigma in (0.05, 0.1, 0.2, 0.4, 0.8)
    },
    "known machines, one run of twenty takes three times as long": Family(spoilt(0.1, 0.05, 3.0)),
    "known machines, half of the runs take twice as long": Family(of_two_kinds(0.05, 2.0)),
    **{
        f"a machine with six runs, noise {sigma:g}": Family(normal(sigma), own=own, asks="six")
        for sigma, own in ((0.05, 0.02), (0.1, 0.15), (0.3, 0.1))
    },
    "a machine with six runs, profiles off by 0.1": Family(normal(0.1), own=0.05, told=0.1, asks="six"),
    **{
        f"a new machine, profiles off by {told:g}": Family(normal(0.08), own=0.05, told=told, asks="new", machines=6)
        for told in (0.0, 0.05, 0.1, 0.3)
    },
    "a new machine, profiles off by 0.1, noise 0.4": Family(normal(0.4), own=0.1, told=0.1, asks="new", machines=6),
    **{
        f"sizes to the power {exponent:g}, noise {sigma:g}": Family(normal(sigma), exponents=(exponent,), runs=(4, 10))
        for exponent, sigma in ((0.0, 0.1), (0.5, 0.1), (1.0, 0.05), (1.0, 0.3), (2.0, 0.1))
    },
    **{
        f"{larger:g} times larger inputs, noise {sigma:g}": Family(
            normal(sigma), exponents=SIZES, asks="larger", runs=(4, 10), larger=larger
        )
        for larger, sigma in ((3.0, 0.05), (10.0, 0.1), (10.0, 0.3))
    },
    "larger inputs on a new machine": Family(
        normal(0.1), own=0.05, told=0.08, exponents=SIZES, asks="larger on new", machines=5, runs=(4, 10)
    ),
}


@dataclass(slots=True)
class Lived:
    """What is learnt, in order, and what is asked then, with what it takes."""

    seen: list[Observation] = field(default_factory=list)
    asked: list[tuple[Profile, Node, float]] = field(default_factory=list)


def lived(family: Family, seed: int) -> Lived:
    """One history of a family."""
    chance = random.Random(seed)
    speeds = [chance.lognormvariate(0, 0.4) for _ in range(family.machines)]
    nodes = [_node(number, speed, family.told, chance) for number, speed in enumerate(speeds)]
    last = family.machines - 1
    found = Lived()
    for component in range(COMPONENTS):
        level, usual = chance.lognormvariate(3, 1), 10 ** chance.uniform(6, 9)
        exponent = chance.choice(family.exponents) if family.exponents else 0.0
        fixed = chance.uniform(0, family.fixed)
        own = [chance.lognormvariate(0, family.own) for _ in nodes]

        def run(
            machine: int,
            times: float,
            level: float = level,
            usual: float = usual,
            exponent: float = exponent,
            fixed: float = fixed,
            own: Sequence[float] = own,
            name: str = f"c{component}",
        ) -> tuple[Profile, Node, float]:
            seconds = level * (fixed + (1 - fixed) * times**exponent) / speeds[machine] * own[machine]
            size = usual * times if family.exponents else 0.0
            return (
                Profile(name, name, "default", 1000, input_bytes=size),
                nodes[machine],
                seconds * family.noise(chance),
            )

        is_held = family.asks in ("six", "new", "larger on new")
        for machine in range(last if is_held else family.machines):
            for _ in range(chance.randint(*family.runs)):
                profile, node, seconds = run(machine, 10 ** chance.uniform(-1, 0))
                found.seen.append(an_observation(profile, node, seconds))
        if family.asks == "six" and component < SIX:
            profile, node, seconds = run(last, 10 ** chance.uniform(-1, 0))
            found.seen.append(an_observation(profile, node, seconds))
            continue
        times = family.larger if "larger" in family.asks else 10 ** chance.uniform(-1, 0)
        found.asked.extend(run(machine, times) for machine in ([last] if is_held else range(family.machines)))
    chance.shuffle(found.seen)
    return found


def answers(family: Family, least: int) -> Iterator[tuple[Estimate, float]]:
    """So many estimates and more, of as many histories as that takes, with the seconds that it took."""
    count = 0
    for seed in range(least):
        if count >= least:
            return
        one = lived(family, seed)
        count += len(one.asked)
        chain = ChainEstimator()
        chain.teach(one.seen)
        chain.settle()
        nodes = list({node.name: node for _, node, _ in one.asked}.values())
        column = {node.name: index for index, node in enumerate(nodes)}
        rows = chain.estimate([profile for profile, _, _ in one.asked], nodes)
        for row, (_, node, seconds) in zip(rows, one.asked, strict=True):
            if (estimate := row[column[node.name]]) is not None:
                yield estimate, seconds


def measures(least: int = ASKED) -> Iterator[Measure]:
    """Per family, and of all: how many lie inside their band, and the errors of the median."""
    everything: list[tuple[Estimate, float]] = []
    for name, family in FAMILIES.items():
        pairs = list(answers(family, least))
        everything.extend(pairs)
        yield Measure(f"{name}: inside the 80 % band", _inside(pairs), "%", least=LEAST, most=MOST)
        yield Measure(f"{name}: median error", 100 * percentile(_errors(pairs), 0.5), "%")
        yield Measure(f"{name}: 90th percentile", 100 * percentile(_errors(pairs), 0.9), "%")
    yield Measure("all families: inside the 80 % band", _inside(everything), "%", least=75, most=85)


def _inside(pairs: Sequence[tuple[Estimate, float]]) -> float:
    return 100 * sum(one.p10 <= seconds <= one.p90 for one, seconds in pairs) / len(pairs)


def _errors(pairs: Sequence[tuple[Estimate, float]]) -> list[float]:
    return [abs(one.p50 - seconds) / seconds for one, seconds in pairs]


def _node(number: int, speed: float, told: float | None, chance: random.Random) -> Node:
    if told is None:
        return Node(f"m{number}", Resources.of(cpu_millicores=4000))
    stated = speed * math.exp(chance.gauss(0, told))
    return Node(
        f"m{number}",
        Resources.of(cpu_millicores=4000),
        speeds=dict.fromkeys(("single", "gemm", "memory", "disk"), stated),
    )


def main() -> None:
    """Measure, and show the figures."""
    with threadpool_limits(limits=1, user_api="blas"):  # small matrices: more threads only spin
        show(list(measures()), Console(width=140, highlight=False))


if __name__ == "__main__":
    main()
