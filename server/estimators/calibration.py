"""How good the predictions were: every finished run is compared with what was predicted for it before it was learnt.

Kept per component and node class, bounded; bands are widened or narrowed by what recent errors say.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from server.domain.placement import Estimate
from server.estimators.bands import SHORTEST_SECONDS, Z90

MOST_PLACES, MOST_ERRORS, MOST_RECENT = 2_000, 64, 256
PRIOR_ERRORS = 40.0
PRIOR_TRACK = 5.0
NARROWEST, WIDEST, STEP = 0.8, 2.0, 0.05


@dataclass(frozen=True, slots=True)
class Quality:
    """Errors of the predictions for one component on one class of nodes.

    `coverage` is the share of runs inside the band from the 10th to the 90th percentile (0.8 is right);
    `median_error` and `p90_error` are |predicted - actual| / actual.
    """

    component: str
    node_class: str
    runs: int
    coverage: float
    median_error: float
    p90_error: float
    bias: float


class Calibration:
    """Collects prediction errors."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[str, str], deque[tuple[float, bool]]] = OrderedDict()
        self._counts: dict[tuple[str, str], int] = {}
        self._recent: deque[float] = deque(maxlen=MOST_RECENT)
        self.runs = 0

    def add(self, component: str, node_class: str, predicted: Estimate, seconds: float) -> None:
        """A run of known length, and what was predicted for it."""
        actual = max(seconds, SHORTEST_SECONDS)
        place = (component, node_class)
        errors = self._places.setdefault(place, deque(maxlen=MOST_ERRORS))
        self._places.move_to_end(place)
        if len(self._places) > MOST_PLACES:
            forgotten, _ = self._places.popitem(last=False)
            self._counts.pop(forgotten, None)
        errors.append((math.log(predicted.p50 / actual), predicted.p10 <= actual <= predicted.p90))
        self._counts[place] = self._counts.get(place, 0) + 1
        self.runs += 1
        edge = predicted.p90 if actual > predicted.p50 else predicted.p10
        width = abs(math.log(edge / predicted.p50))
        self._recent.append(abs(math.log(actual / predicted.p50)) / max(width, 1e-3))

    def start_anew(self) -> None:
        """Forget how wide bands should have been: they are made in another way from now on."""
        self._recent.clear()

    def qualities(self) -> list[Quality]:
        """Per component and node class, by name."""
        return [_quality(*place, self._counts[place], errors) for place, errors in sorted(self._places.items())]

    def overall(self) -> Quality | None:
        """Over everything kept, None before the first comparison."""
        kept = [error for errors in self._places.values() for error in errors]
        return _quality("", "", self.runs, kept) if kept else None

    def widening(self) -> float:
        """Factor on the width of bands that would have made recent ones hold eight runs of ten."""
        if not self._recent:
            return 1.0
        ordered = sorted(self._recent)
        needed = ordered[min(len(ordered) - 1, round(0.8 * len(ordered)))]
        factor = (len(ordered) * min(needed, 4.0) + PRIOR_ERRORS) / (len(ordered) + PRIOR_ERRORS)
        return min(max(round(factor / STEP) * STEP, NARROWEST), WIDEST)


class Track:
    """Past errors of one estimator, latest runs only, both of logarithms and in coarse steps.

    `bias` is what to add to the logarithm of its predictions, `spread` the standard deviation that is left.
    """

    def __init__(self, spread: float) -> None:
        self._errors: deque[float] = deque(maxlen=MOST_ERRORS)
        self._first_spread = spread
        self.bias, self.spread = 0.0, spread

    def add(self, log_error: float) -> None:
        """Logarithm of actual over predicted."""
        self._errors.append(log_error)
        count, middle = len(self._errors), _middle(self._errors)
        own = 1.4826 * _middle([abs(error - middle) for error in self._errors])
        spread = math.sqrt((PRIOR_TRACK * self._first_spread**2 + count * own**2) / (PRIOR_TRACK + count))
        self.bias = round(middle * count / (count + PRIOR_TRACK) / STEP) * STEP
        self.spread = max(round(spread / STEP) * STEP, STEP)


def banded_sd(estimate: Estimate) -> float:
    """Standard deviation of the logarithm that a band stands for."""
    return math.log(estimate.p90 / estimate.p10) / (2 * Z90)


def _quality(component: str, node_class: str, runs: int, errors: Iterable[tuple[float, bool]]) -> Quality:
    kept = list(errors)
    relative = sorted(abs(math.expm1(error)) for error, _ in kept)
    return Quality(
        component=component,
        node_class=node_class,
        runs=runs,
        coverage=sum(inside for _, inside in kept) / len(kept),
        median_error=relative[len(relative) // 2],
        p90_error=relative[min(len(relative) - 1, int(0.9 * len(relative)))],
        bias=math.expm1(_middle([error for error, _ in kept])),
    )


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


__all__ = ["Calibration", "Quality", "Track", "banded_sd"]
