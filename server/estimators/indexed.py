"""A component's runs as arrays, and what their whole numbers stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from server.estimators.covariance import NUMBER_SPREAD
from server.estimators.described import Described, Group, GroupKey, words_of
from server.estimators.machines import Array, Indices, Machine, MachineSpeeds
from server.estimators.points import Points

MOST_NUMBERS = 5
FARTHEST_NUMBER = math.log(1000.0)
"""A number counts as no farther from the one that all runs had than this: seeds are far away, and mean nothing."""

COUNT_EXPONENT, FARTHEST_COUNT = 0.4, math.log(10.0)
"""With which power of a whole number that no run tells apart time is expected to grow, and up to what factor: what is
farther away is rather a name than a count."""

MEDIAN_EFFICIENCY = 0.64
"""A median of many says as much as the mean of so many times fewer."""

FAR = 3.0
"""Robust standard deviations beyond which a run is strange."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """Runs as arrays, and what their whole numbers stand for."""

    groups: tuple[GroupKey, ...]
    runs: tuple[tuple[float, ...], ...]
    points: Points
    speeds: tuple[MachineSpeeds, ...]
    machine_of_point: tuple[Machine, ...]
    machines: Mapping[Machine, int]
    nodes: Mapping[str, int]
    versions: Mapping[str, int]
    keys: Mapping[tuple[tuple[str, str], ...], int]
    words: Mapping[tuple[tuple[str, str], ...], int]
    usual_numbers: Mapping[str, float]
    constant_numbers: Mapping[str, float]

    @classmethod
    def of(cls, groups: Mapping[GroupKey, Group]) -> Indexed:
        """Number what occurs, in the order of the groups."""
        names = [_numbered(key[part] for key in groups) for part in (1, 0, 2, 4)]
        machines, nodes, versions, keys = names
        words = _numbered(map(words_of, keys))
        usual, constant = _shared_numbers([group.numbers for group in groups.values()])
        numbers = [[group.numbers[name] - mean for name, mean in usual.items()] for group in groups.values()]
        points = Points(
            log_seconds=np.array([median(group.log_seconds) for group in groups.values()]),
            weight=np.array([_weight(len(group.log_seconds)) for group in groups.values()]),
            log_size=np.array([key[3] for key in groups]),
            machine=_ids(machines, [key[1] for key in groups]),
            node=_ids(nodes, [key[0] for key in groups]),
            version=_ids(versions, [key[2] for key in groups]),
            key=_ids(keys, [key[4] for key in groups]),
            words=_ids(words, [words_of(key[4]) for key in groups]),
            numbers=np.array(numbers).reshape(len(groups), len(usual)),
            is_censored=np.array([key[6] for key in groups], dtype=bool),
            degrees=np.array([max(len(group.log_seconds) - 1.0, 0.0) for group in groups.values()]),
            squares=np.array([_squares(group.log_seconds) for group in groups.values()]),
            excess=np.zeros(len(groups)),
        )
        speeds = tuple(group.speeds for group in groups.values())
        of_point = tuple(key[1] for key in groups)
        runs = tuple(tuple(group.log_seconds) for group in groups.values())
        return cls(
            tuple(groups), runs, points, speeds, of_point, machines, nodes, versions, keys, words, usual, constant
        )

    def kinds(self) -> list[tuple[Machine, MachineSpeeds]]:
        """Machine and speeds of each point."""
        return list(zip(self.machine_of_point, self.speeds, strict=True))

    def profiles(self, digest: str, asked: Sequence[Described]) -> Points:
        """Profiles of one version of the code as points to predict, wherever they run."""
        count = len(asked)
        none = np.zeros(count)
        numbers = [
            [one.numbers.get(name, usual) - usual for name, usual in self.usual_numbers.items()] for one in asked
        ]
        return Points(
            log_seconds=none,
            weight=np.ones(count),
            log_size=np.array([one.log_size for one in asked]),
            machine=np.full(count, -1),
            node=np.full(count, -1),
            version=np.full(count, self.versions.get(digest, -1)),
            key=np.array([self.keys.get(one.key, -1) for one in asked]),
            words=np.array([self.words.get(words_of(one.key), -1) for one in asked]),
            numbers=np.array(numbers).reshape(count, len(self.usual_numbers)),
            is_censored=np.zeros(count, dtype=bool),
            degrees=none,
            squares=none,
            excess=np.array([self._unlearnt(one) for one in asked]),
        )

    def places(self, machines: Sequence[Machine], nodes: Sequence[str | None]) -> Points:
        """Machines (and named nodes of them) as points to predict, whatever runs there."""
        count = len(machines)
        none, same = np.zeros(count), np.full(count, -1)
        return Points(
            log_seconds=none,
            weight=np.ones(count),
            log_size=np.full(count, math.nan),
            machine=np.array([self.machines.get(machine, -1) for machine in machines]),
            node=np.array([self.nodes.get(node, -1) if node is not None else -1 for node in nodes]),
            version=same,
            key=same,
            words=same,
            numbers=np.zeros((count, len(self.usual_numbers))),
            is_censored=np.zeros(count, dtype=bool),
            degrees=none,
            squares=none,
            excess=none,
        )

    def shift(self, described: Described) -> float:
        """Logarithm of how much longer a run is expected to take since whole numbers are other than in all runs: rows,
        rounds and folds are counts of what is to be done more often than not."""
        found = 0.0
        for name, value in self.constant_numbers.items():
            asked = described.numbers.get(name, value)
            if asked != value and _is_whole(asked) and _is_whole(value):
                found += COUNT_EXPONENT * _told_of_a_count(asked - value)
        return found

    def number_spreads(self, described: Described) -> Array:
        """How unsure each number is that is learnt from, as a standard deviation of its logarithm."""
        spreads = described.foretold.number_spreads if described.foretold else {}
        return np.array([spreads.get(name, 0.0) for name in self.usual_numbers])

    def _unlearnt(self, described: Described) -> float:
        """Variance due to numbers that are, or may be, other than in all runs: how time follows them, nothing has
        shown."""
        spreads = described.foretold.number_spreads if described.foretold else {}
        apart = (
            math.hypot(described.numbers.get(name, value) - value, spreads.get(name, 0.0))
            for name, value in self.constant_numbers.items()
        )
        return NUMBER_SPREAD**2 * sum(min(one, FARTHEST_NUMBER) ** 2 for one in apart)


def _told_of_a_count(apart: float) -> float:
    """How far apart counts are (logarithms), as far as numbers so far apart are counts: the farther, the less."""
    far = max(abs(apart) - FARTHEST_COUNT, 0.0) / (FARTHEST_NUMBER - FARTHEST_COUNT)
    return math.copysign(min(abs(apart), FARTHEST_COUNT) * max(1 - far, 0.0), apart)


def _is_whole(log_number: float) -> bool:
    value = math.exp(log_number)
    return value > 0.5 and abs(value - round(value)) < 1e-6 * value


def _numbered(names: Any) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for name in names:
        found.setdefault(name, len(found))
    return found


def _ids(numbered: Mapping[Any, int], names: list[Any]) -> Indices:
    return np.array([numbered[name] for name in names])


def _weight(runs: int) -> float:
    return float(runs) if runs < 3 else max(runs * MEDIAN_EFFICIENCY, 2.0)


def _squares(log_seconds: Sequence[float]) -> float:
    """Sum of squared deviations from the mean, of which strange runs count for no more than far ones."""
    if len(log_seconds) < 2:
        return 0.0
    middle = median(log_seconds)
    apart = [abs(value - middle) for value in log_seconds]
    most = FAR * 1.4826 * median(apart) if len(apart) > 4 else math.inf
    clipped = [min(value, most) for value in apart]
    return sum(value**2 for value in clipped) * (1 - 1 / len(clipped)) if len(clipped) > 2 else sum(clipped) ** 2 / 2


def _shared_numbers(found: list[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Of the numbers that all runs have: the means of those that differ between them, and those that never do."""
    shared = sorted(name for name in found[0] if all(name in one for one in found))
    differing = [name for name in shared if max(one[name] for one in found) - min(one[name] for one in found) > 1e-9]
    means = {name: sum(one[name] for one in found) / len(found) for name in differing[:MOST_NUMBERS]}
    return means, {name: found[0][name] for name in shared if name not in differing}


__all__ = ["Indexed"]
