"""What a task's inputs will be, before the tasks that make them are over: from what a run was given.

Sizes, and numbers that earlier tasks give back, follow powers of the numbers that went in, and are alike for equal
words: log value ~ level + slopes x log numbers + own level of these words + noise, all Gaussian. A number that never
differed has a slope that nothing has shown: the value is then as unsure as that slope.
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 2.25, 2.26 and 2.30.
"""

from __future__ import annotations

import marshal
import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from server.estimators.machines import Array

MOST_SEEN, MOST_LAWS, MOST_ANSWERS = 32, 64, 2_048
LEVEL_SPREAD, SLOPE_SPREAD, WORDS_SPREAD = 2.0, 0.7, 1.0
NOISES = (0.02, 0.1, 0.3, 1.0)
WIDEST = 3.0
"""Nothing is said to be more unsure than this, as a standard deviation of the logarithm."""

STEP, SPREAD_STEP = 0.1, 0.05
"""What is foretold is rounded to these steps of the logarithm, so that many runs share few estimates."""

Name = tuple[str, str]
"""Whose number, the task's own (`own`) or one that went into its inputs (`given`), and what it is called."""

SIZE: Name = ("size", "")


@dataclass(frozen=True, slots=True)
class Foretold:
    """Logarithms of values that are not known yet, with standard deviations: the size of the inputs (NaN: nothing is
    known of it), and numbers among the parameters by name. `parameters` are all those of the latest run that was given
    the same, None where there is none; then values are rounded."""

    log_size: float = math.nan
    size_spread: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    number_spreads: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one run was given (logarithms of numbers, and words), and what its inputs were then."""

    numbers: Mapping[Name, float]
    words: tuple[tuple[Name, str], ...]
    log_size: float
    given: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any], parameters: Mapping[str, Any], log_size: float) -> _Seen:
        return cls(*_read(given, parameters), log_size, given, parameters)

    def value(self, wanted: Name) -> float:
        return self.log_size if wanted == SIZE else self.numbers.get(wanted, math.nan)

    def is_like(self, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        return self.given == given and all(self.parameters.get(name) == value for name, value in parameters.items())


class Inputs:
    """The inputs of a component's latest runs, and the laws they show. Runs are read when somebody asks."""

    __slots__ = ("_answers", "_kept", "_known", "_laws")

    def __init__(self) -> None:
        self._kept: deque[tuple[Mapping[str, Any], Mapping[str, Any], float]] = deque(maxlen=MOST_SEEN)
        self._known: tuple[list[_Seen], frozenset[str]] | None = None
        self._laws: dict[tuple[Name, tuple[Name, ...]], _Law] = {}
        self._answers: dict[Hashable, Foretold] = {}

    def add(self, given: Mapping[str, Any], parameters: Mapping[str, Any], log_size: float) -> None:
        """Remember one run; the size as a logarithm, NaN where it is unknown."""
        self._kept.append((given, parameters, log_size))
        if self._known is not None:
            self._known = None
            self._laws.clear()
            self._answers.clear()

    def foretell(
        self, given: Mapping[str, Any], parameters: Mapping[str, Any], *, is_size_known: bool
    ) -> Foretold | None:
        """What is not known of a task's inputs, which was given this and has these parameters so far; None where
        nothing is missing."""
        missing = [name for name in self._read_all()[1] if name not in parameters]
        if is_size_known and not missing:
            return None
        asked = (is_size_known, marshal.dumps(dict(given)), marshal.dumps(dict(parameters)))
        found = self._answers.get(asked)
        if found is None:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[asked] = self._foretold(given, parameters, missing, is_size_known)
        return found

    @property
    def _seen(self) -> list[_Seen]:
        return self._read_all()[0]

    def _read_all(self) -> tuple[list[_Seen], frozenset[str]]:
        """The runs, and the names of all numbers among their own parameters."""
        if self._known is None:
            seen = [_Seen.of(*one) for one in self._kept]
            self._known = (seen, frozenset(name for one in seen for whose, name in one.numbers if whose == "own"))
        return self._known

    def _foretold(
        self, given: Mapping[str, Any], parameters: Mapping[str, Any], missing: Sequence[str], is_size_known: bool
    ) -> Foretold:
        before = next((one.parameters for one in reversed(self._seen) if one.is_like(given, parameters)), None)
        numbers, words = _read(given, parameters)

        def told(wanted: Name) -> tuple[float, float] | None:
            found = self._told(wanted, numbers, words)
            return found if found is None or before is not None else _rounded(*found)

        size = None if is_size_known else told(SIZE)
        others = {name: found for name in sorted(missing) if (found := told(("own", name)))}
        return Foretold(
            *(size or (math.nan, 0.0)),
            {name: mean for name, (mean, _) in others.items()},
            {name: spread for name, (_, spread) in others.items()},
            before,
        )

    def _told(
        self, wanted: Name, numbers: Mapping[Name, float], words: tuple[tuple[Name, str], ...]
    ) -> tuple[float, float] | None:
        names = tuple(sorted(numbers))
        law = self._laws.get((wanted, names))
        if law is None:
            alike = [one for one in self._seen if not math.isnan(one.value(wanted))]
            whole = [one for one in alike if all(name in one.numbers for name in names)]
            if not alike:
                return None
            if len(self._laws) >= MOST_LAWS:
                self._laws.clear()
            law = self._laws[wanted, names] = _Law.of(whole or alike, wanted, names if whole else ())
        return law.at(numbers, words)


@dataclass(frozen=True, slots=True)
class _Law:
    """The regression of one value on what was given."""

    names: tuple[Name, ...]
    middle: Array
    numbers: Array
    words: Sequence[tuple[tuple[Name, str], ...]]
    mean: float
    inverse: Array
    solved: Array
    noise: float

    @classmethod
    def of(cls, seen: Sequence[_Seen], wanted: Name, names: tuple[Name, ...]) -> _Law:
        numbers = np.array([[one.numbers[name] for name in names] for one in seen]).reshape(len(seen), len(names))
        values = np.array([one.value(wanted) for one in seen])
        middle, mean = numbers.mean(axis=0), float(values.mean())
        words = [one.words for one in seen]
        are_alike = np.array([[a == b for b in words] for a in words], dtype=float)
        apart = numbers - middle
        covariance = LEVEL_SPREAD**2 + SLOPE_SPREAD**2 * apart @ apart.T + WORDS_SPREAD**2 * are_alike
        found: list[tuple[float, float, Array, Array]] = []
        for noise in NOISES:
            whole = covariance + noise**2 * np.eye(len(seen))
            inverse = np.linalg.inv(whole)
            solved = inverse @ (values - mean)
            evidence = -0.5 * float((values - mean) @ solved + np.linalg.slogdet(whole)[1])
            found.append((evidence, noise, inverse, solved))
        _, noise, inverse, solved = max(found, key=lambda one: one[0])
        return cls(names, middle, apart, words, mean, inverse, solved, noise)

    def at(self, numbers: Mapping[Name, float], words: tuple[tuple[Name, str], ...]) -> tuple[float, float]:
        """Mean and standard deviation."""
        apart = np.array([numbers[name] for name in self.names]) - self.middle
        are_alike = np.array([one == words for one in self.words], dtype=float)
        cross = LEVEL_SPREAD**2 + SLOPE_SPREAD**2 * self.numbers @ apart + WORDS_SPREAD**2 * are_alike
        alone = LEVEL_SPREAD**2 + SLOPE_SPREAD**2 * float(apart @ apart) + WORDS_SPREAD**2 + self.noise**2
        spread = math.sqrt(max(alone - float(cross @ self.inverse @ cross), 0.0))
        return self.mean + float(cross @ self.solved), min(spread, WIDEST)


def _rounded(mean: float, spread: float) -> tuple[float, float]:
    return round(mean / STEP) * STEP, math.ceil(spread / SPREAD_STEP) * SPREAD_STEP


def _read(
    given: Mapping[str, Any], parameters: Mapping[str, Any]
) -> tuple[dict[Name, float], tuple[tuple[Name, str], ...]]:
    numbers: dict[Name, float] = {}
    words: list[tuple[Name, str]] = []
    for whose, values in (("given", given), ("own", parameters)):
        for name, value in sorted(values.items()):
            log = log_number(str(value))
            if log is None:
                words.append(((whose, name), str(value)))
            else:
                numbers[whose, name] = log
    return numbers, tuple(words)


def log_number(text: str) -> float | None:
    """Logarithm of a positive number, None of anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return math.log(value) if 0 < value < math.inf else None


__all__ = ["Foretold", "Inputs", "log_number"]
