"""What it costs to start a task on a node, before and besides its run: the platform's queue, and the pull of its image.

Values only; what is learned of past starts is in `server.estimators`, which images lie where is told by node sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_TOLD = 50
"""So many images a kubelet tells of by default, the largest first: a node that tells of so many may have others."""

OWN_IMAGE = ""
"""Stands for the image in which the platform runs tasks that name none."""


@dataclass(frozen=True, slots=True)
class NodeImages:
    """Images that lie on a node: bytes by each of their names. `is_all`: no others do."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    is_all: bool = True

    def has(self, names: tuple[str, ...]) -> bool | None:
        """Whether an image is there, by any of its names; None where that is not known."""
        if any(name in self.sizes for name in names):
            return True
        return False if self.is_all else None

    def size(self, names: tuple[str, ...]) -> int | None:
        """Its bytes, None where it is not there."""
        return next((self.sizes[name] for name in names if name in self.sizes), None)


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds that something before a run takes: a median with a band, and in words what it is known from."""

    p50: float
    p10: float
    p90: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Starts:
    """What is known of starts at one moment, where a platform tells apart what they consist of.

    Attributes:
        queue: until the platform has a node for a task, on whatever node; None where nothing is known.
        of_image: from then to the run's first second, by image and node: the container, and the pull of an image that
            is not there. `pulled` names the nodes, by image, that have to pull it.
        there: the container alone, by node, once the image is there.
        passed: how many seconds ago a task began to pull an image, by image and node, while it still may.
    """

    queue: Wait | None = None
    of_image: Mapping[str, Mapping[str, Wait]] = field(default_factory=dict)
    pulled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    there: Mapping[str, Wait] = field(default_factory=dict)
    passed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def waits(self, image: str | None, node: str, *, is_brought: bool = False) -> tuple[Wait, ...]:
        """What comes before the run of a task with this image on a node, in order. `is_brought`: another task has
        pulled it."""
        begins = self.of_image.get(image or OWN_IMAGE, _NOTHING).get(node)
        if is_brought and self.is_pulled(image, node):
            begins = self.there.get(node)
        return tuple(wait for wait in (self.queue, begins) if wait is not None)

    def seconds(self, image: str | None, node: str, at: float = 0.0, brought_at: float = math.inf) -> float:
        """Medians of all that, in seconds, if the task's turn comes `at` (seconds from now); 0 where nothing is known.

        A node pulls an image once: who comes while it does waits for the rest. `brought_at`: when another task that is
        planned there will have brought it; what pulls already is known.
        """
        whole = sum(wait.p50 for wait in self.waits(image, node))
        passed = self.passed.get(image or OWN_IMAGE, _NO_SECONDS).get(node)
        rest = min(brought_at, math.inf if passed is None else whole - passed) - at
        if rest >= whole:
            return whole
        return max(rest, sum(wait.p50 for wait in self.waits(image, node, is_brought=True)))

    def is_pulled(self, image: str | None, node: str) -> bool:
        """Whether the node has to pull the image."""
        return node in self.pulled.get(image or OWN_IMAGE, ())


_NOTHING: Mapping[str, Wait] = {}
_NO_SECONDS: Mapping[str, float] = {}
NO_STARTS = Starts()


__all__ = ["MOST_TOLD", "NO_STARTS", "OWN_IMAGE", "NodeImages", "Starts", "Wait"]
