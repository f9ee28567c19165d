"""How long something that runs still takes, given how long it has run: an estimate that was passed was too short.

Run times are taken as log-normal around the estimate. What has run for a while is, on average, the longer kind; what
is overdue is expected to take a share of its run time more, not to end any moment. Without this every plan would count
on nodes that do not come free.
"""

from __future__ import annotations

import math
from statistics import NormalDist

OVERDUE_SECONDS = 1.0
"""The least rest of something that runs."""

OVERDUE_SHARE = 0.5
"""Rest of an overdue task whose start nobody knows, as a share of the time that it is overdue."""

_NORMAL = NormalDist()
_LEAST_TAIL = 1e-9


def rest_of(planned_rest: float, elapsed: float | None, spread: float) -> float:
    """Median seconds that are left.

    `planned_rest`: seconds until the expected end, negative when overdue. `elapsed`: seconds it has run, None where
    nobody knows. `spread`: standard deviation of the logarithm of the run time.
    """
    if elapsed is None or elapsed + planned_rest <= 0:
        return max(planned_rest, -OVERDUE_SHARE * planned_rest, OVERDUE_SECONDS)
    if spread <= 0 or elapsed <= 0:
        return max(planned_rest, OVERDUE_SECONDS)
    planned = elapsed + planned_rest
    tail = 0.5 * math.erfc(math.log(elapsed / planned) / spread / math.sqrt(2))
    if tail < _LEAST_TAIL:
        return max(OVERDUE_SHARE * elapsed, OVERDUE_SECONDS)
    whole = planned * math.exp(spread * _NORMAL.inv_cdf(1 - tail / 2))
    return max(whole - elapsed, OVERDUE_SECONDS)


__all__ = ["OVERDUE_SECONDS", "OVERDUE_SHARE", "rest_of"]
