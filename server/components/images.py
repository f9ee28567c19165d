"""Which images lie on which nodes, and so which tasks have to pull theirs: what starts cost, for plans and lessons.

Node sources tell of images with some delay (a kubelet looks twice a minute), so what was seen to start on a node counts
as being there at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.cluster.limits.images import spellings
from server.domain import events as happened
from server.domain.lifecycle import Change
from server.domain.node import Node
from server.domain.placement import WaitingRun
from server.domain.request import Defaults, defaults_for, options_of
from server.domain.run import Attempt, Run, TaskKey
from server.domain.starting import NO_STARTS, OWN_IMAGE, NodeImages, Starts, Wait
from server.estimators.classes import node_class
from server.estimators.waits import Waits

MOST_PENDING, MOST_LATELY = 20_000, 20_000
LAG = timedelta(minutes=2)
"""So long what started on a node counts as being there although the node's source does not tell of it."""

MOST_IMAGES = 256
"""Of so many images at most starts are foretold apart, in one answer."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt's image, its size where known, and whether its node had it before."""

    image: str
    size_bytes: float | None
    had_image: bool | None


@dataclass(frozen=True, slots=True)
class _Places:
    """Nodes that lack an image, and its bytes where any has it."""

    lacking: frozenset[str]
    size_bytes: float | None


class ImagesKnown:
    """Follows what starts where.

    Args:
        seen: the images on nodes, by node; of nodes that are not there nothing is known.
        own_image: what tasks run in that name none.
    """

    def __init__(
        self,
        seen: Callable[[], Mapping[str, NodeImages]],
        waits: Waits,
        *,
        defaults: Defaults,
        now: Callable[[], datetime],
        own_image: str = OWN_IMAGE,
    ) -> None:
        self._seen, self._waits, self._now, self._own_image = seen, waits, now, own_image
        self._defaults = defaults
        self._lately: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._pulling: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._pending: OrderedDict[tuple[str, TaskKey, int], tuple[str, Begun]] = OrderedDict()
        self._names: dict[str, tuple[str, ...]] = {}
        self._places: tuple[object, dict[str, _Places]] = (None, {})

    def notice(self, change: Change) -> None:
        """See what is about to start, and what has started."""
        for event in change.events:
            if isinstance(event, happened.TaskQueued | happened.TaskStarted):
                task = change.run.tasks[event.key]
                attempt = next((one for one in task.attempts if one.number == event.attempt), None)
                if attempt is not None:
                    self._note(change.run, event.key, attempt, is_started=isinstance(event, happened.TaskStarted))

    def begun(self, run_id: str, key: TaskKey, number: int) -> Begun | None:
        """What was seen of an attempt that is over; told once. None where its node tells of no images."""
        found = self._pending.pop((run_id, key, number), None)
        return found[1] if found is not None else None

    def has(self, node: str, image: str) -> bool | None:
        """Whether an image lies on a node; None where nobody knows."""
        told = self._seen().get(node)
        return None if told is None else self._is_there(node, image, told, self._names_of(image))

    def starts(self, runs: Iterable[WaitingRun], nodes: Sequence[Node]) -> Starts:
        """What the starts of these runs' tasks cost on these nodes."""
        queue = self._waits.queue()
        seen = self._seen()
        if not seen or not self._waits.version:
            return NO_STARTS if queue is None else Starts(queue)
        asked = dict.fromkeys(
            option.image or OWN_IMAGE for run in runs for task in run.tasks for option in task.options
        )
        classes = [(node.name, node_class(node)) for node in nodes]
        of_image: dict[str, Mapping[str, Wait]] = {}
        pulled: dict[str, frozenset[str]] = {}
        passed: dict[str, dict[str, float]] = {}
        pulling: dict[str, dict[str, datetime]] = {}
        for (node, image), since in list(self._pulling.items()):
            pulling.setdefault(image, {})[node] = since
        here = {kind: self._waits.here(kind) for kind in {kind for _, kind in classes}}
        for image in list(asked)[:MOST_IMAGES]:
            name = image or self._own_image
            place = self._place(name, seen)
            pulls = {kind: self._pull(name, place.size_bytes, kind, here[kind]) for kind in here}
            waits = ((node, pulls[kind] if node in place.lacking else here[kind]) for node, kind in classes)
            of_image[image] = {node: wait for node, wait in waits if wait is not None}
            pulled[image] = place.lacking
            passed[image] = self._passed(name, pulling.get(name, {}), queue, of_image[image])
        there = {node: wait for node, kind in classes if (wait := here[kind]) is not None}
        return Starts(queue, of_image, pulled, there, {image: nodes for image, nodes in passed.items() if nodes})

    def _pull(self, image: str, size: float | None, kind: str, here: Wait | None) -> Wait | None:
        """Where it has to be pulled; never sooner than where it lies already."""
        found = self._waits.pull(image, size, kind)
        return here if found is None or (here is not None and found.p50 < here.p50) else found

    def _passed(
        self, image: str, since: Mapping[str, datetime], queue: Wait | None, waits: Mapping[str, Wait]
    ) -> dict[str, float]:
        """How long ago tasks came to nodes that pull an image for them; on what takes longer than pulls do nobody
        counts."""
        found: dict[str, float] = {}
        for node in since.keys() & waits.keys():
            seconds = (self._now() - since[node]).total_seconds()
            if seconds <= waits[node].p90 + (queue.p90 if queue is not None else 0.0):
                found[node] = seconds
            else:
                self._pulling.pop((node, image), None)
        return found

    def _place(self, image: str, seen: Mapping[str, NodeImages]) -> _Places:
        """Where an image lies; looked up once for each look of the node sources."""
        if self._places[0] is not seen:
            self._places = (seen, {})
        known = self._places[1]
        found = known.get(image)
        if found is None:
            names = self._names_of(image)
            lacking = (node for node, told in seen.items() if self._is_there(node, image, told, names) is False)
            known[image] = found = _Places(frozenset(lacking), self._size_of(image))
        return found

    def _is_there(self, node: str, image: str, told: NodeImages, names: tuple[str, ...]) -> bool | None:
        found = told.has(names)
        if found is False:
            at = self._lately.get((node, image))
            return at is not None and self._now() - at <= LAG
        return found

    def _size_of(self, image: str) -> float | None:
        """Its bytes on any node that has it."""
        names = self._names_of(image)
        sizes = (told.size(names) for told in self._seen().values())
        return next((float(size) for size in sizes if size), None)

    def _note(self, run: Run, key: TaskKey, attempt: Attempt, *, is_started: bool) -> None:
        node = attempt.actual_node or attempt.node
        if node is None or node not in self._seen():
            return
        filled = defaults_for(run.options.project, self._defaults)
        options = options_of(run.graph.task(key.path), run.graph.component(key.path), filled)
        option = next((one for one in options if one.name == attempt.option), options[0])
        image = option.image or self._own_image
        known = self._pending.get((run.id, key, attempt.number))
        if known is None or known[0] != node:
            begun = Begun(image, self._size_of(image), self.has(node, image))
            self._pending[run.id, key, attempt.number] = (node, begun)
            while len(self._pending) > MOST_PENDING:
                self._pending.popitem(last=False)
            if begun.had_image is False:
                self._pulling.setdefault((node, image), self._now())
            while len(self._pulling) > MOST_PENDING:
                self._pulling.popitem(last=False)
        if is_started:
            self._pulling.pop((node, image), None)
            self._lately[node, image] = self._now()
            self._lately.move_to_end((node, image))
            self._places[1].pop(image, None)
            while len(self._lately) > MOST_LATELY:
                self._lately.popitem(last=False)

    def _names_of(self, image: str) -> tuple[str, ...]:
        if image not in self._names:
            if len(self._names) >= MOST_PENDING:
                self._names.clear()
            self._names[image] = spellings(image)
        return self._names[image]


__all__ = ["Begun", "ImagesKnown"]
