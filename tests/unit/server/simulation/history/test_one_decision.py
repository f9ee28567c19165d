"""A past decision made again: the same question gives the same answer, another strategy's difference is shown."""

from __future__ import annotations

from typing import Any

import pytest

from server.components.decision_unit import DecisionUnit
from server.components.remembering.questions import Questions
from server.domain.errors import NotFoundError
from server.simulation.history.one_decision import replay_decision
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task


async def a_past(placer: str, **more: Any) -> tuple[MemoryRunStore, list[str]]:
    """A store after one cycle, and its decisions' ids."""
    store = MemoryRunStore()
    questions = Questions(store)
    tasks = [a_task("r", f"task-{number}") for number in range(4)]
    asked = a_request([a_node("a", cpus=1), a_node("b", cpus=1), a_node("c", cpus=1)], [a_run("r", *tasks)], **more)
    numbers = iter("abcdefgh")
    outcome = DecisionUnit(placer=placer, new_id=lambda: next(numbers), in_process=True).decide_now(asked)
    store.add_decisions(outcome.decisions)
    questions.notice(asked, outcome)
    await questions.aclose()
    return store, [one.id for one in outcome.decisions]


@pytest.mark.parametrize("placer", ["random_random", "fifo_round_robin", "fifo_greedy", "custom"])
async def test_the_same_question_gets_the_same_answer(placer: str) -> None:
    store, ids = await a_past(placer, seed=7)
    assert len(ids) == 4
    for one in ids:
        found = replay_decision(store, one)
        assert found.is_same, found.sentence
        assert found.placer == placer
        assert "decides the same again" in found.sentence
        assert (found.waiting, found.nodes) == (4, 3)


async def test_another_strategy_s_difference_is_shown() -> None:
    store, ids = await a_past("fifo_round_robin", history={"a": 5, "b": 0, "c": 0})
    found = [replay_decision(store, one, "random_random") for one in ids]
    other = [one for one in found if not one.is_same]
    assert all(f"was on {one.decision.node}" in one.sentence for one in other if one.decision.node)
    assert {one.placer for one in found} == {"random_random"}
    assert other


async def test_a_decision_whose_question_is_not_kept_is_named() -> None:
    store, _ = await a_past("fifo_greedy")
    with pytest.raises(NotFoundError, match="no question with decision 'zz' is kept"):
        replay_decision(store, "zz")
