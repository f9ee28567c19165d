"""Nodes that come, go and change are found again, with the spans in which they took tasks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from server.components.clock import Clock
from server.components.remembering.node_history import NodeHistory, read_lives
from server.domain.node import Node
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import a_node

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


class Hands(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = BEGIN

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


async def test_the_spans_in_which_a_node_took_tasks_are_known() -> None:
    clock, store = Hands(), MemoryRunStore()
    nodes: list[Node] = [a_node("a"), a_node("b", is_virtual=True)]
    history = NodeHistory(store=store, nodes=lambda: nodes, clock=clock, every_seconds=5)

    async def at(second: float, *now: Node) -> None:
        clock.at = BEGIN + timedelta(seconds=second)
        nodes[:] = now
        await history.look()

    await at(0, a_node("a"), a_node("b", is_virtual=True))
    await at(5, a_node("a"), a_node("b", is_virtual=True))
    assert len(store.notes("nodes")) == 1
    await at(10, a_node("a"), a_node("c", cpus=2))
    await at(20, replace(a_node("a"), is_ready=False), a_node("c", cpus=8))
    await at(30, a_node("a"))
    lives = read_lives(store)
    spans = {
        name: [tuple(None if end is None else (end - BEGIN).total_seconds() for end in span) for span in life.spans]
        for name, life in lives.items()
    }
    assert spans == {"a": [(0, 20), (30, None)], "c": [(10, 30)]}
    assert lives["c"].node == a_node("c", cpus=8)
    assert lives["a"].node.is_ready


async def test_what_vanished_while_no_server_looked_is_gone() -> None:
    clock, store = Hands(), MemoryRunStore()
    for second, names in ((0, "ab"), (100, "b")):
        clock.at = BEGIN + timedelta(seconds=second)
        nodes = [a_node(name) for name in names]
        await NodeHistory(store=store, nodes=partial(list, nodes), clock=clock, every_seconds=5).look()
    lives = read_lives(store)
    assert lives["a"].spans == ((BEGIN, BEGIN + timedelta(seconds=100)),)
    assert lives["b"].spans == ((BEGIN, None),)
