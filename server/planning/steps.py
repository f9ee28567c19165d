"""One task of a plan with what is foretold of it: where, after what, how long, and what it fetches first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from server.domain.placement import TaskRef

Z90 = 1.2815515655446004
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True, slots=True)
class Move:
    """Bytes that a step fetches from a node, or (`source` empty) from outside, at most so fast."""

    source: str
    size_bytes: float
    bytes_per_second: float = math.inf


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a plan; all times in seconds from now.

    Attributes:
        start, finish: as planned; of a running task, `start` is negative.
        p10, p50, p90: its predicted run time.
        waits_for: the steps that must end first.
        is_running: whether it has started.
        moves: what it fetches before it starts.
        fetches_since: of a task that has its node and has not started, when it began to fetch: negative.
        begins_p50: seconds that it takes to start once its turn has come (the platform's queue, its image); of what
            runs, 0.
        begins_spread: standard deviation of their logarithm.
        pulls: the image that its node has to pull, unless another has brought it by then (None: none).
        brought_p50: seconds that it takes to start in that case.
    """

    key: TaskRef
    node: str
    start: float
    finish: float
    p10: float
    p50: float
    p90: float
    waits_for: tuple[TaskRef, ...] = ()
    is_running: bool = False
    moves: tuple[Move, ...] = ()
    fetches_since: float | None = None
    begins_p50: float = 0.0
    begins_spread: float = SMALLEST_SPREAD
    pulls: str | None = None
    brought_p50: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of its run time."""
        return max(math.log(max(self.p90, 1e-9) / max(self.p10, 1e-9)) / (2 * Z90), SMALLEST_SPREAD)


__all__ = ["SMALLEST_SPREAD", "Z90", "Move", "Step"]
