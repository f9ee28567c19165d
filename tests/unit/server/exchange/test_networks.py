"""Networks between live nodes, from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.domain.network import NodeNetwork
from server.domain.node import ZONE_LABEL, Node
from server.exchange.errors import UnreadableError
from server.exchange.networks import read_network
from server.testing.contracts.placement_requests import a_node

CLUSTER = """
[[node]]
name = "fast"
count = 2
cpus = 16
bytes_per_second = 1.25e9
[[node]]
name = "other"
memory = "64Gi"
[network]
bytes_per_second = 125e6
latency_seconds = 0.0001
sharing = "max_min"
"""


def a_file(folder: Path, text: str) -> Path:
    (folder / "network.toml").write_text(text, encoding="utf-8")
    return folder / "network.toml"


def test_a_cluster_file_says_what_the_network_does(tmp_path: Path) -> None:
    found = read_network(a_file(tmp_path, CLUSTER))
    assert found == NodeNetwork(125e6, {"fast-1": 1.25e9, "fast-2": 1.25e9}, 0.0001, is_shared=True)


@pytest.mark.parametrize(
    ("sharing", "is_shared"), [("alone", False), ("contention_free", False), ("cards", True), ("one_port", True)]
)
def test_scenarios_and_clusters_words_for_sharing_are_understood(tmp_path: Path, sharing: str, is_shared: bool) -> None:
    found = read_network(a_file(tmp_path, f'[network]\nbytes_per_second = 1e8\nsharing = "{sharing}"\n'))
    assert found is not None
    assert found.is_shared is is_shared


ZONED = """
[network]
bytes_per_second = 1e9
[network.zones]
bytes_per_second = 1e8
within = { c = 5e8 }
[[network.zones.between]]
zones = ["b", "a"]
bytes_per_second = 2e8
[[node]]
name = "own"
bytes_per_second = 3e8
"""


def in_zones(**zones: str) -> list[Node]:
    return [a_node(name, labels={ZONE_LABEL: zone} if zone else {}) for name, zone in zones.items()]


def test_zones_slow_what_goes_between_them_and_nodes_without_one_are_near_to_all(tmp_path: Path) -> None:
    found = read_network(a_file(tmp_path, ZONED))
    assert found is not None
    network = found.among(in_zones(one="a", two="a", three="b", four="c", own="c", nowhere=""))
    assert network.link("one", "two") == 1e9
    assert network.link("one", "three") == network.link("three", "one") == 2e8
    assert network.link("one", "four") == network.link("four", "three") == 1e8
    assert network.link("four", "nowhere") == 5e8
    assert network.rate("own") == 3e8
    assert network.link("one", "nowhere") == 1e9
    assert network.seconds({"three": 4e8}, "one") == 2
    assert found.link("one", "three") == 1e9


def test_another_label_may_say_what_a_zone_is(tmp_path: Path) -> None:
    text = '[network]\nbytes_per_second = 1e9\n[network.zones]\nbytes_per_second = 1e8\nlabel = "rack"\n'
    found = read_network(a_file(tmp_path, text))
    assert found is not None
    nodes = [a_node(name, labels={"rack": name, ZONE_LABEL: "same"}) for name in ("r1", "r2")]
    assert found.among(nodes).link("r1", "r2") == 1e8


def test_a_network_that_is_free_is_none(tmp_path: Path) -> None:
    assert read_network(a_file(tmp_path, '[network]\nsharing = "free"\nbytes_per_second = 1e8\n')) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network", "is not TOML"),
        ("[nodes]\n", "there is no [network] in it"),
        ("[network]\n", "network.bytes_per_second: is missing"),
        ("[network]\nbytes_per_second = 0\n", "network.bytes_per_second: input should be greater than 0"),
        ("[network]\nbytes_per_second = 1e8\nspeed = 2\n", "network.speed: there is no such key here"),
        ("[network]\nbytes_per_second = 1e8\n[network.zones]\n", "network.zones.bytes_per_second: is missing"),
        (
            "[network]\nbytes_per_second = 1e8\n[network.zones]\nbytes_per_second = 1e7\n"
            '[[network.zones.between]]\nzones = ["a", "a"]\nbytes_per_second = 1e7\n',
            "network.zones.between[0]: give two different zones",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_network(a_file(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'network.toml'}: {said}")
