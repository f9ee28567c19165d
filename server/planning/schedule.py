"""An answer to a problem: where and when every task runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from server.planning.problem import Floats, Ints

UNPLACED = -1
"""Node of a task that nothing can run; its times are infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Attributes: `node` [n], `mode` [n] (number within the task, 0 the author's first choice), `start` and `finish`
    [n] in seconds from now, as predicted under the problem's network."""

    node: Ints
    mode: Ints
    start: Floats
    finish: Floats

    @property
    def makespan(self) -> float:
        """The last finish of what is placed, seconds from now; 0 of nothing."""
        placed = self.finish[self.node != UNPLACED]
        return float(placed.max()) if len(placed) else 0.0

    def order(self) -> Ints:
        """Tasks by start, the earlier finish first where two start together."""
        return np.lexsort((self.finish, self.start)).astype(np.int32)


__all__ = ["UNPLACED", "Schedule"]
