"""The picture of the nodes: several sources, one of them down, loads that grow old, profiles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.cluster.profiles import Profiles
from server.components.clock import Clock
from server.components.node_manager import NodeManager, beside_tasks
from server.components.reporting.rates import Rates
from server.domain.errors import UnavailableError
from server.domain.node import Load, Occupancy
from server.domain.placement import UNKNOWN_SECONDS
from server.domain.request import one_cpu_defaults
from server.domain.resources import Resources
from server.testing.contracts.placement_requests import a_node


class StoppedClock(Clock):
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Nodes(NodeSourceInterface):
    name = "nodes"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def look(self) -> NodesSeen:
        return NodesSeen(self.clock.now(), self.name, [a_node("a"), a_node("b")])


class Loads(NodeSourceInterface):
    name = "loads"

    def __init__(self, clock: Clock) -> None:
        self.clock, self.is_down, self.problems = clock, False, ()

    problems: Sequence[str]

    async def look(self) -> NodesSeen:
        if self.is_down:
            raise UnavailableError("it is down")
        now = self.clock.now()
        return NodesSeen(now, self.name, loads={"a": Load(now, 0.5)}, problems=self.problems)


def manager(
    clock: Clock, *sources: NodeSourceInterface, profiles: Profiles | None = None, rates: Rates | None = None
) -> NodeManager:
    return NodeManager(
        sources=sources,
        live=list,
        defaults=one_cpu_defaults,
        clock=clock,
        refresh_seconds=5,
        profiles=profiles,
        rates=rates,
    )


async def test_nodes_of_one_source_and_loads_of_another_are_one_picture() -> None:
    clock = StoppedClock()
    found = await manager(clock, Loads(clock), Nodes(clock)).snapshot()
    assert [node.name for node in found.nodes] == ["a", "b"]
    assert found.loads["a"].cpu_fraction == 0.5
    assert found.loads["a"].figures["cpu_fraction_expected"] == 0.5
    assert "b" not in found.loads


async def test_a_source_that_is_down_leaves_the_rest_and_its_loads_become_unknown_with_time() -> None:
    clock = StoppedClock()
    loads = Loads(clock)
    manages = manager(clock, Nodes(clock), loads)
    await manages.refresh()
    loads.is_down = True
    clock.at += timedelta(seconds=60)
    await manages.refresh()
    assert manages.problems() == {"loads": "it is down"}
    assert manages.current().loads["a"].cpu_fraction == 0.5
    clock.at += timedelta(seconds=100)
    await manages.refresh()
    found = manages.current()
    assert found.loads == {}
    assert len(found.nodes) == 2
    assert found.taken_at == clock.now()
    loads.is_down = False
    await manages.refresh()
    assert manages.problems() == {}


async def test_what_a_source_finds_wrong_is_told() -> None:
    clock = StoppedClock()
    loads = Loads(clock)
    loads.problems = ["two nodes of one name"]
    manages = manager(clock, Nodes(clock), loads)
    await manages.refresh()
    assert manages.problems() == {"loads": "two nodes of one name"}
    assert manages.current().loads


async def test_two_nodes_of_one_name_are_told_and_the_first_counts() -> None:
    class Others(Nodes):
        name = "others"

        async def look(self) -> NodesSeen:
            return NodesSeen(self.clock.now(), self.name, [a_node("b", cpus=64), a_node("c")])

    clock = StoppedClock()
    manages = manager(clock, Nodes(clock), Others(clock))
    await manages.refresh()
    assert [node.name for node in manages.current().nodes] == ["a", "b", "c"]
    assert manages.current().node("b") == a_node("b")
    assert manages.problems() == {"names": "several nodes are called b: what was seen first counts"}


async def test_nodes_get_their_profiles() -> None:
    clock = StoppedClock()
    manages = manager(clock, Nodes(clock), profiles=Profiles({"a": {"single": 3.0}}))
    a, b = (await manages.snapshot()).nodes
    assert (a.speed, b.speed) == (3.0, 1.0)
    assert manages.current().nodes[0] is manages.current().nodes[0]


async def test_nodes_carry_the_price_that_the_rates_name() -> None:
    clock = StoppedClock()
    found = await manager(clock, Nodes(clock), rates=Rates(node_hour={"a": 3.0})).snapshot()
    assert {node.name: node.price_per_hour for node in found.nodes} == {"a": 3.0, "b": None}


def test_what_lies_beside_a_task_is_expected_to_go_with_it() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    room = Resources.of(cpu_millicores=100)
    soon, later, unknown = (now + timedelta(seconds=seconds) for seconds in (30, 90, UNKNOWN_SECONDS))
    own = [
        Occupancy("a", room, "r", "train", soon),
        Occupancy("b", room, "r", "each.0", soon),
        Occupancy("b", room, "r", "each.1", later),
        Occupancy("a", room, "r", "open"),
    ]
    stranger, leaving = Occupancy("a", room), Occupancy("a", room, "r", "train", now)
    beside = [Occupancy(node, room, "r", task) for node, task in [("a", "train"), ("b", "each"), ("a", "open")]]
    moved = Occupancy("b", room, "r", "train")
    found = beside_tasks([stranger, leaving, *beside, moved], own, now)
    assert [one.expected_end_at for one in found] == [None, now, soon, later, unknown, unknown]
    assert {(one.run_id, one.task) for one in found} == {(None, None)}, "the task itself is counted with its run"
