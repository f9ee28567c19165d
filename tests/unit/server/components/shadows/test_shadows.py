"""Shadows never hold the live strategy up, and say what they dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.components.decision_unit import DecisionUnit, Outcome
from server.components.placer_registry import placer_path
from server.components.shadows.shadows import Shadows
from server.domain.placement import PlacementRequest
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


@pytest.fixture
def store() -> MemoryRunStore:
    return MemoryRunStore()


@pytest.fixture
async def shadows(store: MemoryRunStore) -> AsyncIterator[Shadows]:
    made = Shadows(
        {"fifo_random": placer_path("fifo_random")}, store=store, limit_seconds=10.0, cpu_share=0.5, monotonic=Hands()
    )
    yield made
    await made.aclose()


def a_cycle() -> tuple[PlacementRequest, Outcome]:
    request = a_request([a_node("a"), a_node("b")], [a_run("r", a_task("r", "one"), a_task("r", "two"))])
    unit = DecisionUnit(placer="fifo_greedy", new_id=lambda: "d", in_process=True)
    return request, unit.decide_now(request)


async def test_a_cycle_is_compared_and_what_comes_meanwhile_is_dropped(shadows: Shadows, store: MemoryRunStore) -> None:
    request, outcome = a_cycle()
    shadows.notice(request, outcome)
    shadows.notice(request, outcome)
    assert shadows.counts["fifo_random"].dropped == 1
    await shadows.settle()
    (found,) = shadows.summaries()
    assert (found.comparisons, found.tasks, found.counts.compared) == (1, 2, 1)
    assert found.agreement is not None
    assert 0 <= found.agreement <= 1
    assert found.predicted_difference is not None
    assert [note.document["live"] for note in store.notes("shadow", subject="fifo_random")] == ["fifo_greedy"]


async def test_after_a_comparison_the_shadows_rest(shadows: Shadows) -> None:
    request, outcome = a_cycle()
    shadows.notice(request, outcome)
    await shadows.settle()
    shadows.notice(request, outcome)
    assert shadows.counts["fifo_random"].dropped == 1
    for _ in range(20):
        shadows._monotonic()
    shadows.notice(request, outcome)
    await shadows.settle()
    assert shadows.counts["fifo_random"].compared == 2


async def test_a_shadow_that_cannot_answer_is_counted_and_named(store: MemoryRunStore) -> None:
    shadows = Shadows({"broken": "no.such.module:Placer"}, store=store, limit_seconds=5.0)
    shadows.notice(*a_cycle())
    await shadows.settle()
    assert shadows.counts["broken"].failed == 1
    assert "no.such.module" in shadows.counts["broken"].problem or "No module" in shadows.counts["broken"].problem
    assert store.notes("shadow") == []
    await shadows.aclose()


async def test_a_server_may_go_while_a_shadow_thinks(store: MemoryRunStore) -> None:
    shadows = Shadows({"fifo_random": placer_path("fifo_random")}, store=store, limit_seconds=30.0)
    shadows.notice(*a_cycle())
    await asyncio.sleep(0)
    await shadows.aclose()
    assert shadows.counts["fifo_random"].compared == 0
