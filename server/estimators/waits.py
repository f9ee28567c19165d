"""How long the parts of a start take, where a platform tells them apart: its queue, the container, and image pulls.

A pull's seconds follow the image's bytes, where they are known; what images and classes of nodes have of their own is
learned beside that, from few pulls with caution. Apart from run times: a slow registry makes no component look slow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from server.domain.starting import Wait
from server.estimators.bands import Z90
from server.estimators.interface import Observation

MOST_QUEUES, MOST_BEGUN, MOST_PULLS = 128, 512, 256
LEAST_SECONDS = 0.5
"""Kubernetes keeps whole seconds: what took less is not told from nothing."""

IMAGE_PART, CLASS_PART = 0.5, 2.0
"""So many pulls would be needed to count half of what sets an image (a class of nodes) apart."""

OWN_SPREAD, NEW_SPREAD, FEW_IMAGES = 0.25, 0.8, 4
"""Standard deviations of the logarithm: the least of another pull of an image, and what images are taken to be apart as
long as few were pulled."""

SCALE = 1.4826
"""From a median of absolute deviations to a standard deviation."""


@dataclass(frozen=True, slots=True)
class _Begun:
    node_class: str
    seconds: float
    was_there: bool | None


@dataclass(frozen=True, slots=True)
class _Pull:
    image: str
    node_class: str
    log_bytes: float | None
    log_seconds: float


class Waits:
    """Learns from the latest starts; bounded. `version` grows with what is learned."""

    def __init__(self) -> None:
        self.version = 0
        self._queues: deque[float] = deque(maxlen=MOST_QUEUES)
        self._begun: deque[_Begun] = deque(maxlen=MOST_BEGUN)
        self._pulls: deque[_Pull] = deque(maxlen=MOST_PULLS)

    def observe(self, seen: Observation) -> None:
        """Learn from one start, however the run ended."""
        if _is_told(seen.queue_seconds):
            self.version += 1
            self._queues.append(seen.queue_seconds or 0.0)
        if not _is_told(seen.pull_seconds):
            return
        self.version += 1
        seconds, place = seen.pull_seconds or 0.0, seen.node_class or seen.node
        if seen.had_image is False and seen.image:
            size = math.log(seen.image_bytes) if seen.image_bytes else None
            self._pulls.append(_Pull(seen.image, place, size, math.log(max(seconds, LEAST_SECONDS))))
        else:
            self._begun.append(_Begun(place, seconds, seen.had_image))

    def queue(self) -> Wait | None:
        """Until the platform has a node for a task."""
        return _banded(self._queues, f"from {_count(len(self._queues), 'task')}") if self._queues else None

    def here(self, node_class: str) -> Wait | None:
        """From then to the start, on nodes of a class that have the image: as of that class, else of all nodes; of
        starts of which nobody knows whether the image was there only where there are no others."""
        there = [one for one in self._begun if one.was_there]
        for some, place in ((there, node_class), (there, ""), (list(self._begun), node_class), (list(self._begun), "")):
            found = [one.seconds for one in some if place in (one.node_class, "")]
            if found:
                return _banded(found, f"from {_count(len(found), 'start')}{' on such nodes' if place else ''}")
        return None

    def pull(self, image: str, size_bytes: float | None, node_class: str) -> Wait | None:
        """From then to the start, on nodes of a class that have to pull the image; None before the first pull of any.

        Seconds ~ bytes x level x own factor of the image x own factor of the class, in logarithms, by medians.
        """
        if not self._pulls:
            return None
        sizes = [one.log_bytes for one in self._pulls if one.log_bytes is not None]
        usual = median(sizes) if sizes else 0.0
        rates = [one.log_seconds - (usual if one.log_bytes is None else one.log_bytes) for one in self._pulls]
        level = median(rates)
        by_image: dict[str, list[float]] = {}
        for one, rate in zip(self._pulls, rates, strict=True):
            by_image.setdefault(one.image, []).append(rate - level)
        middles = {name: median(some) for name, some in by_image.items()}
        rests = [rate - level - middles[one.image] for one, rate in zip(self._pulls, rates, strict=True)]
        there = [rest for one, rest in zip(self._pulls, rests, strict=True) if one.node_class == node_class]
        own = len(by_image.get(image, ()))
        spread = max(SCALE * median(map(abs, rests)), OWN_SPREAD)
        if not own:
            between = SCALE * median(map(abs, middles.values())) if len(middles) >= FEW_IMAGES else NEW_SPREAD
            spread = math.hypot(spread, between)
        size = math.log(size_bytes) if size_bytes and sizes else self._size_of(image, usual)
        factors = _shrunk(by_image.get(image, []), IMAGE_PART) + _shrunk(there, CLASS_PART)
        middle = math.exp(level + size + factors)
        source = f"from {_count(own, 'pull')} of it" if own else f"from {_count(len(rates), 'pull')} of other images"
        return Wait(middle, middle * math.exp(-Z90 * spread), middle * math.exp(Z90 * spread), source)

    def pulled(self) -> list[tuple[str, int, float]]:
        """Images that were pulled, by name: how often, and the median of the seconds until their tasks ran."""
        seconds: dict[str, list[float]] = {}
        for one in self._pulls:
            seconds.setdefault(one.image, []).append(math.exp(one.log_seconds))
        return [(image, len(some), median(some)) for image, some in sorted(seconds.items())]

    def _size_of(self, image: str, usual: float) -> float:
        """What it had when it was pulled before."""
        known = [one.log_bytes for one in self._pulls if one.image == image and one.log_bytes is not None]
        return known[-1] if known else usual


def _is_told(seconds: float | None) -> bool:
    return seconds is not None and 0 <= seconds < math.inf


def _banded(values: Sequence[float] | deque[float], source: str) -> Wait:
    ordered = sorted(values)
    low, middle, high = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.1, 0.5, 0.9))
    return Wait(middle, low, high, source)


def _shrunk(values: Sequence[float], part: float) -> float:
    return median(values) * len(values) / (len(values) + part) if values else 0.0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


__all__ = ["Waits"]
