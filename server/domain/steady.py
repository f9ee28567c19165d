"""Seconds since the epoch that never go back: the machine's clock, held up by its monotonic one."""

from __future__ import annotations

from collections.abc import Callable


class SteadySeconds:
    """The machine's clock, made steady: when that is set back, this one goes on at the speed of the monotonic clock.

    Args:
        wall: seconds since the epoch, as the machine tells them.
        monotonic: seconds that only ever grow.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._told, self._told_at = wall(), monotonic()

    def now(self) -> float:
        """The present; never less than what was told before."""
        wall = self._wall()  # read first: a pause before the next line must not put this clock ahead, for good
        elapsed = max(self._monotonic() - self._told_at, 0.0)
        self._told = max(wall, self._told + elapsed)
        self._told_at += elapsed
        return self._told

    def at(self, monotonic: float) -> float:
        """When the monotonic clock told this, as the present is told now."""
        return self.now() + monotonic - self._told_at

    def not_before(self, seconds: float) -> None:
        """Go on from no less than this."""
        self._told = max(self.now(), seconds)


__all__ = ["SteadySeconds"]
