"""A replay of what a simulator did gives what it did, and under another strategy what that would have done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from server.components.reporting.rates import Rates
from server.domain.node import Node
from server.domain.placement import Estimate
from server.domain.request import kubernetes_defaults
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.simulation.agenda import START
from server.simulation.engine import Loss, simulate
from server.simulation.history.reading import History, HistoryError, read_history
from server.simulation.history.replaying import ReplayReport, replay
from server.simulation.report import measures


class Knowing(EstimatorInterface):
    """Knows that slow nodes take three times as long; what exactly does not matter to a replay, only the ratio."""

    name = "knowing"

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        seconds = [10.0 if node.name.startswith("quick") else 30.0 for node in nodes]
        return [[Estimate(one, one, one, "known") for one in seconds] for _ in profiles]

    def observe(self, observations: Sequence[Observation]) -> None:
        """It knows."""


def replayed(history: History, *placers: str) -> ReplayReport:
    return replay(
        history,
        placers,
        estimator=Knowing(),
        defaults=kubernetes_defaults,
        baseline="fifo_greedy",
        rates=Rates(node_hour={"quick-1": 4.0, "slow-1": 1.0, "slow-2": 1.0}),
    )


async def test_replaying_what_really_ran_gives_what_really_happened(past: Any) -> None:
    store, finished, _ = past.record("fifo_round_robin")
    await past.see_nodes(store)
    history = read_history(store, since=past.since, until=past.until)
    report = replayed(history)
    assert (report.strategy, report.runs, report.left_out) == ("fifo_round_robin", 12, {})
    assert report.real.turnaround_mean == pytest.approx(measures(finished).turnaround.mean)
    assert report.error.mean == pytest.approx(0, abs=1e-6)
    assert report.error.of_runs == pytest.approx(0, abs=1e-6)
    assert report.simulated.node_hours == pytest.approx(report.real.node_hours)
    assert report.simulated.money == pytest.approx(report.real.money)
    assert report.warnings == ()


async def test_another_strategy_is_replayed_as_it_would_have_gone(past: Any) -> None:
    store, _, case = past.record("fifo_round_robin")
    await past.see_nodes(store)
    report = replayed(read_history(store, since=past.since, until=past.until), "fifo_greedy", "random_random")
    for one in report.replays:
        truth = measures(simulate(replace(case, rules=replace(case.rules, placer=one.placer)))).turnaround.mean
        assert one.figures.turnaround_mean == pytest.approx(truth, rel=0.02)
        assert one.change == pytest.approx(truth / report.real.turnaround_mean - 1, abs=0.02)
    assert report.sentences[0].startswith(
        "with fifo_greedy instead of fifo_round_robin in the last 2 days: turnaround -"
    )
    assert "(simulated; simulator error " in report.sentences[0]


async def test_a_node_that_went_is_gone_in_the_replay_too(past: Any) -> None:
    lost = Loss("slow-1", 30.0, None)
    store, finished, _ = past.record("fifo_round_robin", losses=(lost,))
    await past.see_nodes(store)
    first = store.notes("nodes")[0]
    store.add_notes(
        [replace(first, at=START + timedelta(seconds=30), document={"set": [], "gone": ["slow-1"], "all": False})]
    )
    report = replayed(read_history(store, since=past.since, until=past.until), "fifo_greedy")
    assert abs(report.error.mean) < 0.1
    assert report.real.turnaround_mean == pytest.approx(measures(finished).turnaround.mean)


async def test_too_little_history_is_said_in_a_sentence(past: Any) -> None:
    store, _, _ = past.record("fifo_greedy", count=3)
    await past.see_nodes(store)
    with pytest.raises(HistoryError, match=r"3 runs that ended are on record since .*; a replay needs 5"):
        read_history(store, since=past.since, until=past.until)


def test_without_a_record_of_the_nodes_nothing_is_made_up(past: Any) -> None:
    store, _, _ = past.record("fifo_greedy")
    with pytest.raises(HistoryError, match="12 on nodes that are not on record"):
        read_history(store, since=past.since, until=past.until)
