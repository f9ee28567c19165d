"""What is kept of a component's runs: groups of equal runs, each with its latest times; bounded.

Equal are runs of one version, on one node, with inputs of about one size and the same parameters. A group gives its
median, so that one strange run moves nothing, and counts for as many runs as it holds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from typing import Any

from server.estimators.bands import LONGEST_SECONDS, SHORTEST_SECONDS
from server.estimators.described import Described, Group, GroupKey, key_of
from server.estimators.foretelling import Foretold, Inputs
from server.estimators.indexed import Indexed
from server.estimators.interface import Observation, Profile
from server.estimators.machines import MachineSpeeds, machine_of

MOST_GROUPS, MOST_PEAKS = 96, 32
SIZE_STEP, FINEST_STEP, STEPS = 0.05, 5e-4, 16
"""Sizes whose logarithms differ by less count as equal; less still, where all sizes of a component lie within a few
such steps: then what differs little may be all that varies."""

CENSORED = frozenset({"timeout", "oom"})
"""Ends of which is known that the run would have taken longer."""


class Record:
    """All that is kept of one component with one option."""

    __slots__ = ("_inputs", "_points", "_sizes", "alone", "groups", "held_out", "peak_fit", "peaks", "version")

    def __init__(self) -> None:
        self.groups: OrderedDict[GroupKey, Group] = OrderedDict()
        self.peaks: deque[tuple[float, float, bool]] = deque(maxlen=MOST_PEAKS)
        self.version = 0
        self._points: tuple[int, Indexed] | None = None
        self._sizes: list[float] = []
        self._inputs = Inputs()
        self.peak_fit: Any = None
        self.alone: tuple[int, Any] | None = None
        self.held_out: tuple[int, Any] | None = None

    def add(self, seen: Observation, speeds: MachineSpeeds) -> None:
        """Remember one run."""
        is_censored = seen.state in CENSORED
        described = self.described(seen.profile, is_new=True)
        self._inputs.add(seen.profile.given, seen.profile.parameters, described.log_size)
        if seen.peak_memory_bytes is not None and 0 < seen.peak_memory_bytes < math.inf:
            self.peaks.append((described.log_size, math.log(seen.peak_memory_bytes), seen.state == "oom"))
            self.peak_fit = None
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
        if not is_new and (told := self._foretold(profile)):
            log_size = exact.log_size if profile.is_input_known else told.log_size
            key = exact.key if told.parameters is None else key_of(told.parameters)
            exact = Described(log_size, key, {**exact.numbers, **told.numbers}, exact.cpu_millicores, told)
        if math.isnan(exact.log_size):
            return exact
        log_size = self._size(exact.log_size, is_new)
        return Described(log_size, exact.key, exact.numbers, exact.cpu_millicores, exact.foretold)

    def _foretold(self, profile: Profile) -> Foretold | None:
        known = profile.is_input_known
        return self._inputs.foretell(profile.given, profile.parameters, is_size_known=known)

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

    def latest(self, count: int) -> Indexed:
        """The latest groups alone, as arrays: of runs that came to their end and whose size is known, where there are
        such."""
        found: dict[GroupKey, Group] = {}
        poor: dict[GroupKey, Group] = {}
        for key in reversed(self.groups):
            *_, size, _, _, is_censored = key
            (poor if is_censored or (self._sizes and math.isnan(size)) else found)[key] = self.groups[key]
            if len(found) == count:
                break
        chosen = found or dict(list(poor.items())[:count])
        return Indexed.of(dict(reversed(chosen.items())))


def _group_key(seen: Observation, described: Described, is_censored: bool) -> GroupKey:
    machine = machine_of(seen.node_class or seen.node, seen.profile.accelerators)
    size = described.log_size if not math.isnan(described.log_size) else UNKNOWN_SIZE
    digest = seen.profile.component_digest
    return (seen.node, machine, digest, size, described.key, described.cpu_millicores, is_censored)


UNKNOWN_SIZE = math.nan
"""One and the same object, so that groups of unknown size are found again (NaN equals nothing but is itself)."""


__all__ = ["CENSORED", "Record"]
