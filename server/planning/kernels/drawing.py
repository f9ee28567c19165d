"""Chance in kernels: one series of numbers from a seed, the same compiled or not."""

from __future__ import annotations

from server.planning.kernels.compiling import inlined
from server.planning.problem import Ints


@inlined
def draw(state: Ints) -> float:
    """The next of a series of numbers from 0 up to 1 (a 48-bit linear congruence)."""
    state[0] = (int(state[0]) * 25214903917 + 11) & 281474976710655
    return (int(state[0]) >> 16) / 4294967296.0


__all__ = ["draw"]
