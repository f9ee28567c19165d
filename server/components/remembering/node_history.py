"""Which nodes there were when: written down whenever a node comes, goes or changes, read back as a timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from server.components.clock import Clock
from server.domain.node import Node
from server.stores.interface import Note, RunStoreInterface

KIND = "nodes"
MOST_NOTES = 20_000
_NODES = TypeAdapter(tuple[Node, ...])


@dataclass(frozen=True, slots=True)
class NodeLife:
    """A node as it was last, and the spans in which it took tasks; an open span ends with None."""

    node: Node
    spans: tuple[tuple[datetime, datetime | None], ...]


class NodeHistory:
    """Writes down what changed about the nodes since it last looked."""

    def __init__(
        self, *, store: RunStoreInterface, nodes: Callable[[], Sequence[Node]], clock: Clock, every_seconds: float
    ) -> None:
        self._store, self._nodes, self._clock, self._every_seconds = store, nodes, clock, every_seconds
        self._known: dict[str, Node] | None = None

    async def look(self) -> None:
        """Compare with the last look. The first one writes all nodes down."""
        nodes = {node.name: node for node in self._nodes() if not node.is_virtual}
        known = self._known or {}
        changed = [node for name, node in nodes.items() if known.get(name) != node]
        gone = sorted(set(known) - set(nodes))
        if self._known is not None and not changed and not gone:
            return
        document = {"set": _NODES.dump_python(tuple(changed), mode="json"), "gone": gone, "all": self._known is None}
        note = Note(KIND, "", self._clock.now(), document)
        await asyncio.to_thread(self._store.add_notes, [note])
        self._known = nodes

    async def look_forever(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(self._every_seconds)


def node_lives(notes: Iterable[Note]) -> dict[str, NodeLife]:
    """The nodes of a stretch of history, by name, from its notes in order."""
    found: dict[str, NodeLife] = {}
    for note in notes:
        nodes = _NODES.validate_python(note.document["set"])
        gone = set(note.document["gone"])
        if note.document["all"]:
            gone |= set(found) - {node.name for node in nodes}
        for name in gone:
            if name in found:
                found[name] = _until(found[name], note.at)
        for node in nodes:
            found[node.name] = _seen(found.get(node.name), node, note.at)
    return found


def _seen(life: NodeLife | None, node: Node, at: datetime) -> NodeLife:
    is_open = life is not None and bool(life.spans) and life.spans[-1][1] is None
    takes = node.is_ready and node.is_schedulable
    spans = life.spans if life is not None else ()
    if takes and not is_open:
        spans = (*spans, (at, None))
    plain = replace(node, is_ready=True, is_schedulable=True)
    found = NodeLife(plain, spans)
    return found if takes else _until(found, at)


def _until(life: NodeLife, at: datetime) -> NodeLife:
    if not life.spans or life.spans[-1][1] is not None:
        return life
    return replace(life, spans=(*life.spans[:-1], (life.spans[-1][0], at)))


def read_lives(store: RunStoreInterface) -> Mapping[str, NodeLife]:
    """All that is on record."""
    return node_lives(store.notes(KIND, limit=MOST_NOTES))


__all__ = ["NodeHistory", "NodeLife", "node_lives", "read_lives"]
