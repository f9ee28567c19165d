"""What is known of one run, or of a task to come, as the regression sees it; and groups of runs that are equal."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.estimators.foretelling import Foretold, log_number
from server.estimators.interface import Profile
from server.estimators.machines import Machine, MachineSpeeds

MOST_RUNS = 16

GroupKey = tuple[str, Machine, str, float, tuple[tuple[str, str], ...], int, bool]
"""Node, machine, version, logarithm of the size, parameters, CPUs, and whether the runs were cut off."""


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
    `foretold` is how much of that is not known yet, but expected.

    Sizes are exact here; `Record.described` gives all that count as equal the same one.
    """

    log_size: float
    key: tuple[tuple[str, str], ...]
    numbers: Mapping[str, float]
    cpu_millicores: int
    foretold: Foretold | None = None

    @property
    def identity(self) -> Hashable:
        """Equal for profiles that get equal estimates."""
        told = self.foretold
        unsure = (told.size_spread, *told.numbers.items(), *told.number_spreads.items()) if told else None
        return (None if math.isnan(self.log_size) else self.log_size, self.key, self.cpu_millicores, unsure)

    @classmethod
    def of(cls, profile: Profile) -> Described:
        """Describe a profile."""
        size = profile.input_bytes
        known = 0 < size < math.inf
        log_size = math.log(size) if known else math.nan
        key = key_of(profile.parameters)
        numbers = {name: found for name, value in key if (found := log_number(value)) is not None}
        if profile.cpu_millicores > 0:
            numbers["cpus"] = math.log(profile.cpu_millicores / 1000)
        return cls(log_size, key, numbers, profile.cpu_millicores)


def key_of(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in parameters.items()))


def words_of(key: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The parameters that are no numbers; all of them where there is none."""
    return tuple((name, value) for name, value in key if log_number(value) is None) or key


__all__ = ["MOST_RUNS", "Described", "Group", "GroupKey", "key_of", "words_of"]
