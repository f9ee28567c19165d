"""What strategies are told of the network: tasks go to their data, and a known network costs what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.domain.network import NodeNetwork
from server.domain.node import Node
from server.domain.resources import Resources
from server.simulation.engine import Case, simulate
from server.simulation.machines import Machine
from server.simulation.report import measures
from server.simulation.rules import Rules
from server.simulation.told import Telling
from server.simulation.transfers import Wires
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, make_work
from server.simulation.world import Nature

GIGABYTE = 1e9


def machines() -> list[Machine]:
    """Two nodes of two CPUs."""
    return [
        Machine(Node(kind, Resources(2000, 2**30, (), 110), {KIND_LABEL: kind}), kind) for kind in ("slow", "quick")
    ]


def make_case(data: str, placer: str = "online") -> Case:
    """Runs whose second task reads ten gigabytes that the first one wrote on the node that is slower for it."""
    tasks = [
        TaskWork("write", (Way({"slow": 5.0, "quick": 50.0}, 1000),), output_bytes=10 * GIGABYTE),
        TaskWork("read", (Way({"slow": 12.0, "quick": 9.0}, 1000),), (0,)),
    ]
    work = make_work("heavy", tasks, kinds=("slow", "quick"))
    return Case(
        machines=machines,
        arrivals=[Arrival(200.0 * number, f"r{number}", work) for number in range(6)],
        rules=Rules(placer),
        nature=Nature(wires=Wires("cards", 1e8)),
        telling=Telling(data=data),  # type: ignore[arg-type]  # a literal
    )


@pytest.mark.parametrize("placer", ["online", "srpt_eft", "heft"])
def test_a_strategy_that_knows_the_network_leaves_tasks_with_their_data(placer: str) -> None:
    blind = measures(simulate(make_case("nothing", placer)))
    told = measures(simulate(make_case("inputs", placer)))
    assert told.turnaround.mean <= 20 < 100 < blind.turnaround.mean


def test_all_bytes_can_be_told_before_they_are_written() -> None:
    told = measures(simulate(make_case("all")))
    assert told.turnaround.mean <= 20


def test_a_free_network_is_not_told() -> None:
    case = make_case("inputs")
    free = replace(case, nature=Nature())
    assert measures(simulate(free)) != measures(simulate(case))
    told = replace(free, telling=Telling(data="all"))
    assert measures(simulate(free)).turnaround == measures(simulate(told)).turnaround


def test_transfers_to_one_node_wait_for_its_card_only_where_it_is_shared() -> None:
    shared = NodeNetwork(100.0, {"slow": 10.0}, latency_seconds=1.0)
    alone = replace(shared, is_shared=False)
    inputs = {"a": 200.0, "slow": 100.0, "b": 300.0}
    assert shared.seconds(inputs, "b") == 1 + 2 + 10
    assert alone.seconds(inputs, "b") == 1 + 10
    assert shared.seconds({"b": 5.0}, "b") == 0
