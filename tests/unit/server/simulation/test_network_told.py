"""What strategies are told of the network: tasks go to their data, and a known network costs what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.domain.network import NodeNetwork, Zones
from server.domain.node import ZONE_LABEL, Node
from server.domain.placement import PlacementRequest
from server.domain.resources import Resources
from server.exchange.networks import read_network
from server.planning.stating import state
from server.simulation.agenda import Agenda
from server.simulation.engine import Case, Simulation, simulate
from server.simulation.machines import Machine
from server.simulation.reading import CaseMaker, read_scenario
from server.simulation.report import measures
from server.simulation.rules import Rules
from server.simulation.scenario import ServerTable
from server.simulation.told import Telling
from server.simulation.transfers import Sharing, Transfers, Wires
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


ZONES = Zones(1e7)


def zoned(placer: str, told: str = "all") -> Case:
    """As `make_case`, with a node of each kind in two zones; between these everything is ten times as slow."""
    case = make_case(told, placer)
    nodes = [
        Node(f"{kind}-{zone}", Resources(2000, 2**30, (), 110), {KIND_LABEL: kind, ZONE_LABEL: zone})
        for kind in ("slow", "quick")
        for zone in ("a", "b")
    ]
    wires = Wires("cards", 1e8, zones=ZONES).among(nodes)
    return replace(
        case,
        machines=lambda: [Machine(node, node.labels[KIND_LABEL]) for node in nodes],
        nature=replace(case.nature, wires=wires),
    )


@pytest.mark.parametrize("sharing", ["alone", "cards"])
def test_a_transfer_between_zones_is_slower_than_the_cards_and_leaves_the_rest_of_them_to_others(
    sharing: Sharing,
) -> None:
    agenda = Agenda()
    came: dict[str, float] = {}
    wires = Wires(sharing, 100.0, zones=Zones(10.0), zone_of={"near": "a", "here": "a", "far": "b"})
    transfers = Transfers(agenda, wires)
    transfers.fetch("here", [("far", 200.0)], lambda: came.update(far=agenda.seconds))
    transfers.fetch("here", [("near", 1800.0)], lambda: came.update(near=agenda.seconds))
    transfers.fetch("here", [("nowhere", 90.0)], lambda: came.update(nowhere=agenda.seconds))
    agenda.run(lambda: len(came) == 3)
    assert came["far"] == pytest.approx(20)
    assert came["near"] == pytest.approx(18 if sharing == "alone" else 21, rel=0.01)


def test_a_strategy_that_knows_the_zones_keeps_data_within_one() -> None:
    case = zoned("heft")
    simulation = Simulation(case)
    asked: list[PlacementRequest] = []
    simulation.decider.listen(lambda request, outcome: asked.append(request))
    simulation.run()
    (network,) = {request.network.link("slow-a", "slow-b") for request in asked if request.network is not None}
    assert network == 1e7
    pairs = state(asked[0]).problem.network.pairs
    assert pairs is not None
    assert pairs[0].tolist() == pytest.approx([0, 1e-7, 1e-8, 1e-7])


def test_a_scenario_says_what_lies_between_zones(tmp_path: Path) -> None:
    (tmp_path / "zones.toml").write_text(
        """
        [generator]
        kind = "data-heavy"
        pipelines = 2
        [network]
        sharing = "cards"
        bytes_per_second = 1e8
        [network.zones]
        bytes_per_second = 1e7
        [[cluster.node]]
        kind = "t0"
        cpus = 8
        labels = { "topology.kubernetes.io/zone" = "a" }
        [[cluster.node]]
        kind = "t1"
        cpus = 8
        labels = { "topology.kubernetes.io/zone" = "b" }
        """,
        encoding="utf-8",
    )
    path = tmp_path / "zones.toml"
    case = CaseMaker(path, read_scenario(path)).case(ServerTable(placer="fifo_greedy"), 0)
    assert case.nature.wires.network.link("t0", "t1") == 1e7
    assert read_network(path) == NodeNetwork(1e8, is_shared=True, zones=ZONES)
