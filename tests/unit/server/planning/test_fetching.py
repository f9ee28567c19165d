"""How long inputs take to arrive when all that is planned shares the nodes' network cards."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from server.domain.network import NodeNetwork
from server.domain.placement import TaskRef
from server.domain.run import TaskKey
from server.planning.fetching import fetch_seconds
from server.planning.forecast import forecast, predecessors
from server.planning.steps import Move, Step
from server.simulation.agenda import Agenda
from server.simulation.transfers import Transfers, Wires

NETWORK = NodeNetwork(100.0)


def key(name: str) -> TaskRef:
    return ("run", TaskKey(name))


def step(name: str, *moves: Move, node: str = "here", seconds: float = 10.0, **more: Any) -> Step:
    start = more.pop("start", 0.0)
    waits = tuple(key(other) for other in more.pop("waits_for", ()))
    return Step(
        key(name), node, start, start + seconds, seconds, seconds, seconds, waits_for=waits, moves=moves, **more
    )


def fetched(*steps: Step, network: NodeNetwork = NETWORK) -> dict[str, float]:
    found = fetch_seconds(steps, predecessors(steps), network)
    return {str(task): seconds for (_, task), seconds in found.items()}


def test_what_lies_on_the_node_costs_nothing_and_the_rest_comes_at_the_rate_of_the_slower_card() -> None:
    network = NodeNetwork(100.0, of_node={"slow": 10.0}, latency_seconds=1.0)
    steps = (step("a", Move("there", 1000)), step("b", Move("slow", 1000), node="other"), step("c", Move("here", 1000)))
    assert fetched(*steps, network=network) == pytest.approx({"a": 11, "b": 101})


def test_transfers_to_one_node_share_its_card_and_leave_it_to_the_others_when_they_have_come() -> None:
    found = fetched(step("a", Move("one", 500)), step("b", Move("two", 1000)))
    assert found == pytest.approx({"a": 10, "b": 15})


def test_transfers_from_one_node_share_its_card_too() -> None:
    found = fetched(step("a", Move("one", 1000)), step("b", Move("one", 1000), node="there"))
    assert found == pytest.approx({"a": 20, "b": 20})


def test_where_cards_are_not_shared_each_has_its_bandwidth_for_itself() -> None:
    network = NodeNetwork(100.0, is_shared=False)
    assert fetched(step("a", Move("one", 500), Move("two", 1000)), step("b", Move("one", 100)), network=network) == (
        pytest.approx({"a": 10, "b": 1})
    )


def test_data_from_outside_comes_no_faster_than_its_place_gives_it() -> None:
    assert fetched(step("a", Move("", 1000, 20.0))) == pytest.approx({"a": 50})


def test_a_task_fetches_when_what_it_waits_for_has_ended() -> None:
    steps = (
        step("a", node="there", seconds=30),
        step("b", Move("there", 1000), waits_for=("a",), start=30.0),
        step("c", Move("there", 1000)),
    )
    assert fetched(*steps) == pytest.approx({"b": 10, "c": 10})


def test_a_fetch_that_is_under_way_is_not_over_yet_however_long_it_has_taken() -> None:
    assert fetched(step("a", Move("there", 1000), fetches_since=-4.0)) == pytest.approx({"a": 10})
    late = step("a", Move("there", 1000), fetches_since=-40.0)
    assert fetched(late) == pytest.approx({"a": 40})
    seen = forecast([late], {}, network=NETWORK)
    assert 0 < seen.starts[key("a")].p50 < 40


def test_starts_wait_for_inputs_and_what_follows_waits_for_them() -> None:
    steps = [
        step("a", node="there"),
        step("b", Move("there", 10_000), waits_for=("a",), start=10.0),
        step("c", waits_for=("b",), start=20.0),
    ]
    without, seen = forecast(steps, {}), forecast(steps, {}, network=NETWORK)
    assert without.starts[key("b")].p50 == pytest.approx(10, abs=0.1)
    assert seen.starts[key("b")].p50 == pytest.approx(110, rel=0.1)
    assert seen.starts[key("b")].p10 < seen.starts[key("b")].p50 < seen.starts[key("b")].p90
    assert seen.starts[key("c")].p50 == seen.ends[key("b")].p50


def test_times_are_close_to_those_of_fairly_shared_cards() -> None:
    """Against the simulator, which shares by max-min fairness."""
    rng = random.Random(7)
    names = [f"n{number}" for number in range(6)]
    steps = []
    for number in range(60):
        node, other = rng.sample(names, 2)
        steps.append(step(f"t{number}", Move(other, rng.uniform(100, 5000)), node=node))
    agenda = Agenda()
    came: dict[str, float] = {}
    transfers = Transfers(agenda, Wires("cards", 100.0))

    def arrived(name: str) -> Callable[[], None]:
        return lambda: came.update({name: agenda.seconds})

    for one in steps:
        (move,) = one.moves
        transfers.fetch(one.node, [(move.source, move.size_bytes)], arrived(str(one.key[1])))
    agenda.run(lambda: len(came) == len(steps))
    found = fetched(*steps)
    ratios = sorted(found[name] / came[name] for name in came)
    assert 0.95 <= ratios[len(ratios) // 2] <= 1.15
    assert max(found.values()) == pytest.approx(max(came.values()), rel=0.25)
