"""Runs of which is known only that they would have taken longer: cut off by a timeout, or out of memory."""

from __future__ import annotations

import math

LONGER, LONGER_SPREAD = 0.8, 0.6
"""Logarithm of how many times longer than its limit a run would have taken, where none was let to its end: half of a
normal distribution that begins there."""

LEAST_EXCESS, SMALLEST_SHRINKING = 0.04, 1e-4
"""Variance at least of a time of which only a limit is known; less than so small a part of the variance is no news."""


def longer(mean: float, sd: float, least: float) -> tuple[float, float]:
    """Of a normal variable of which is known that it is above `least`: the value, and its variance, that say as much
    if they are seen."""
    above = (least - mean) / sd
    if above > 6:
        return least + sd / above, LEAST_EXCESS
    hazard = math.exp(-0.5 * above**2) / (math.sqrt(math.pi / 2) * math.erfc(above / math.sqrt(2)))
    shrunk = hazard * (hazard - above)
    if shrunk < SMALLEST_SHRINKING:
        return mean, sd**2 / SMALLEST_SHRINKING
    return mean + sd / (hazard - above), max(sd**2 * (1 / shrunk - 1), LEAST_EXCESS)


__all__ = ["LONGER", "LONGER_SPREAD", "longer"]
