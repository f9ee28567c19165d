"""Chance that depends on the seed and on what it is for, never on the order of draws: the same task has the same luck
under every strategy, so strategies are compared on equal terms."""

from __future__ import annotations

import math
import random


def chance(seed: int, *purpose: object) -> random.Random:
    """Draws for one purpose."""
    return random.Random(":".join(map(str, (seed, *purpose))))


def lognormal(sigma: float, seed: int, *purpose: object) -> float:
    """A factor around 1 (its median), with this standard deviation of the logarithm."""
    return math.exp(chance(seed, *purpose).gauss(0.0, sigma)) if sigma else 1.0


__all__ = ["chance", "lognormal"]
