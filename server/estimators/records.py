"""What is kept of a component's runs: groups of equal runs, each with its latest times; bounded.

Equal are runs of one version, on one node, with inputs of about one size and the same parameters. A group gives its
median, so that one strange run moves nothing, and counts for as many runs as it holds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from server.estimators.bands import LONGEST_SECONDS, SHORTEST_SECONDS
from server.estimators.covariance import NUMBER_SPREAD
from server.estimators.interface import Observation, Profile
from server.estimators.machines import Indices, Machine, MachineSpeeds, machine_of
from server.estimators.points import Points

MOST_GROUPS, MOST_RUNS, MOST_NUMBERS, MOST_PEAKS = 96, 16, 5, 32
SIZE_STEP, FINEST_STEP, STEPS = 0.05, 5e-4, 16
"""Sizes whose logarithms differ by less count as equal; less still, where all sizes of a component lie within a few
such steps: then what differs little may be all that varies."""

FARTHEST_NUMBER = math.log(1000.0)
"""A number counts as no farther from the one that all runs had than this: seeds are far away, and mean nothing."""

MEDIAN_EFFICIENCY = 0.64
"""A median of many says as much as the mean of so many times fewer."""

FAR = 3.0
"""Robust standard deviations beyond which a run is strange."""

CENSORED = frozenset({"timeout", "oom"})
"""Ends of which is known that the run would have taken longer."""

GroupKey = tuple[str, Machine, str, float, tuple[tuple[str, str], ...], int, bool]


@dataclass(slots=True)
class Group:
    """Equal runs: logarithms of the latest seconds, how many there were in all, and the machine's speeds then."""

    speeds: MachineSpeeds
    numbers: Mapping[str, float]
    log_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RUNS))
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Described:
    """A profile as regression sees it: logarithm of the input size (NaN: unknown), parameters in words and numbers.

    Sizes are exact here; `Record.described` gives all that count as equal the same one.
    """

    log_size: float
    key: tuple[tuple[str, str], ...]
    numbers: Mapping[str, float]
    cpu_millicores: int

    @property
    def identity(self) -> Hashable:
        """Equal for profiles that get equal estimates."""
        return (None if math.isnan(self.log_size) else self.log_size, self.key, self.cpu_millicores)

    @classmethod
    def of(cls, profile: Profile) -> Described:
        """Describe a profile."""
        size = profile.input_bytes
        known = 0 < size < math.inf
        log_size = math.log(size) if known else math.nan
        key = tuple(sorted((str(name), str(value)) for name, value in profile.parameters.items()))
        numbers = {name: found for name, value in key if (found := _log_number(value)) is not None}
        if profile.cpu_millicores > 0:
            numbers["cpus"] = math.log(profile.cpu_millicores / 1000)
        return cls(log_size, key, numbers, profile.cpu_millicores)


class Record:
    """All that is kept of one component with one option."""

    __slots__ = ("_points", "_sizes", "alone", "groups", "held_out", "memory", "peaks", "version")

    def __init__(self) -> None:
        self.groups: OrderedDict[GroupKey, Group] = OrderedDict()
        self.peaks: deque[tuple[float, float, bool]] = deque(maxlen=MOST_PEAKS)
        self.version = 0
        self._points: tuple[int, Indexed] | None = None
        self._sizes: list[float] = []
        self.memory: dict[float, tuple[float, float]] = {}
        self.alone: tuple[int, Any] | None = None
        self.held_out: tuple[int, Any] | None = None

    def add(self, seen: Observation, speeds: MachineSpeeds) -> None:
        """Remember one run."""
        is_censored = seen.state in CENSORED
        described = self.described(seen.profile, is_new=True)
        if seen.peak_memory_bytes is not None and 0 < seen.peak_memory_bytes < math.inf:
            self.peaks.append((described.log_size, math.log(seen.peak_memory_bytes), seen.state == "oom"))
            self.memory.clear()
        self.version += 1
        key = _group_key(seen, described, is_censored)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(speeds, described.numbers)
        group.log_seconds.append(math.log(min(max(seen.run_seconds, SHORTEST_SECONDS), LONGEST_SECONDS)))
        group.runs += 1
        group.speeds = speeds
        self.groups.move_to_end(key)
        if len(self.groups) > MOST_GROUPS:
            self.groups.popitem(last=False)

    def described(self, profile: Profile, *, is_new: bool = False) -> Described:
        """A profile with the size that sizes like its own have here; `is_new` sizes are remembered."""
        exact = Described.of(profile)
        if math.isnan(exact.log_size):
            return exact
        return replace(exact, log_size=self._size(exact.log_size, is_new))

    def _size(self, log_size: float, is_new: bool) -> float:
        sizes = self._sizes
        low, high = (min(sizes[0], log_size), max(sizes[-1], log_size)) if sizes else (log_size, log_size)
        step = min(max((high - low) / STEPS, FINEST_STEP), SIZE_STEP)
        at = bisect_left(sizes, log_size)
        near = [size for size in sizes[max(at - 1, 0) : at + 1] if abs(size - log_size) <= step / 2]
        if near:
            return min(near, key=lambda size: abs(size - log_size))
        if not is_new:
            return round(log_size / step) * step
        if len(sizes) >= 2 * MOST_GROUPS:
            sizes[:] = sorted({key[3] for key in self.groups if not math.isnan(key[3])})
        insort(sizes, log_size)
        return log_size

    def indexed(self) -> Indexed:
        """The runs as arrays, made once per version."""
        if self._points is None or self._points[0] != self.version:
            self._points = (self.version, Indexed.of(self.groups))
        return self._points[1]


@dataclass(frozen=True, slots=True)
class Indexed:
    """Runs as arrays, and what their whole numbers stand for."""

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
        words = _numbered(map(_words_of, keys))
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
            words=_ids(words, [_words_of(key[4]) for key in groups]),
            numbers=np.array(numbers).reshape(len(groups), len(usual)),
            is_censored=np.array([key[6] for key in groups], dtype=bool),
            degrees=np.array([max(len(group.log_seconds) - 1.0, 0.0) for group in groups.values()]),
            squares=np.array([_squares(group.log_seconds) for group in groups.values()]),
            excess=np.zeros(len(groups)),
        )
        speeds = tuple(group.speeds for group in groups.values())
        of_point = tuple(key[1] for key in groups)
        return cls(points, speeds, of_point, machines, nodes, versions, keys, words, usual, constant)

    def kinds(self) -> list[tuple[Machine, MachineSpeeds]]:
        """Machine and speeds of each point."""
        return list(zip(self.machine_of_point, self.speeds, strict=True))

    def queries(
        self, digest: str, described: Described, machines: Sequence[Machine], nodes: Sequence[str | None]
    ) -> Points:
        """A profile on machines (and named nodes of them) as points to predict."""
        count = len(machines)
        numbers = [described.numbers.get(name, usual) - usual for name, usual in self.usual_numbers.items()]
        return Points(
            log_seconds=np.zeros(count),
            weight=np.ones(count),
            log_size=np.full(count, described.log_size),
            machine=np.array([self.machines.get(machine, -1) for machine in machines]),
            node=np.array([self.nodes.get(node, -1) if node is not None else -1 for node in nodes]),
            version=np.full(count, self.versions.get(digest, -1)),
            key=np.full(count, self.keys.get(described.key, -1)),
            words=np.full(count, self.words.get(_words_of(described.key), -1)),
            numbers=np.tile(np.array(numbers), (count, 1)).reshape(count, len(numbers)),
            is_censored=np.zeros(count, dtype=bool),
            degrees=np.zeros(count),
            squares=np.zeros(count),
            excess=np.full(count, self._unlearnt(described)),
        )

    def _unlearnt(self, described: Described) -> float:
        """Variance due to numbers that are other than in all runs: how time follows them, nothing has shown."""
        apart = (abs(described.numbers.get(name, value) - value) for name, value in self.constant_numbers.items())
        return NUMBER_SPREAD**2 * sum(min(one, FARTHEST_NUMBER) ** 2 for one in apart)


def _group_key(seen: Observation, described: Described, is_censored: bool) -> GroupKey:
    machine = machine_of(seen.node_class or seen.node, seen.profile.accelerators)
    size = described.log_size if not math.isnan(described.log_size) else UNKNOWN_SIZE
    digest = seen.profile.component_digest
    return (seen.node, machine, digest, size, described.key, described.cpu_millicores, is_censored)


UNKNOWN_SIZE = math.nan
"""One and the same object, so that groups of unknown size are found again (NaN equals nothing but is itself)."""


def _words_of(key: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The parameters that are no numbers; all of them where there is none."""
    return tuple((name, value) for name, value in key if _log_number(value) is None) or key


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


def _log_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return math.log(value) if 0 < value < math.inf else None


__all__ = ["CENSORED", "Described", "Indexed", "Record"]
