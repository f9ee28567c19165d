"""How a component's run time follows the size of its inputs, as far as its runs show that it does."""

from __future__ import annotations

import math
from collections import deque
from statistics import correlation, linear_regression, median

MOST_RUNS = 32
FEWEST_RUNS = 5
SMALLEST_CORRELATION = 0.75
"""Less is taken as no dependence at all (the rule of Lotaru, Bader et al., 2022)."""

SMALLEST_RANGE = math.log(1.5)
LARGEST_EXPONENT = 2.0
LARGEST_SHIFT = math.log(30)


class InputScale:
    """Fits run time ~ input size ^ exponent over the latest runs, speed taken out."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: deque[tuple[float, float]] = deque(maxlen=MOST_RUNS)

    def observe(self, input_bytes: float, log_work: float) -> None:
        """A run with inputs of a known size."""
        if input_bytes > 0 and math.isfinite(input_bytes):
            self._runs.append((math.log(input_bytes), log_work))

    def shift(self, input_bytes: float) -> float:
        """What to add to the logarithm of the usual run time for inputs of this size; 0 where nothing is known."""
        if input_bytes <= 0 or len(self._runs) < FEWEST_RUNS:
            return 0.0
        sizes, works = zip(*self._runs, strict=True)
        if max(sizes) - min(sizes) < SMALLEST_RANGE or max(works) == min(works):
            return 0.0
        if correlation(sizes, works) < SMALLEST_CORRELATION:
            return 0.0
        exponent = min(linear_regression(sizes, works).slope, LARGEST_EXPONENT)
        shift: float = exponent * (math.log(input_bytes) - median(sizes))
        return min(max(shift, -LARGEST_SHIFT), LARGEST_SHIFT)


__all__ = ["InputScale"]
