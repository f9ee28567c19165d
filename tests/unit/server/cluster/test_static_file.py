"""A cluster that is only described: its nodes as the file says them, and a sentence for every slip."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.cluster.static_file import StaticFileNodes, read_nodes
from server.domain.errors import ConfigurationError
from server.domain.node import Taint

FULL = """
allow_overcommit = true
[[node]]
name = "gpu-1"
cpus = "7910m"
memory = "32Gi"
architecture = "arm64"
zone = "eu-1a"
hostname = "gpu-1.example"
speed = 1.5
pods = 50
price_per_hour = 2
labels = { disk = "ssd", "cores" = 8, fast = true }
taints = [{ key = "gpu", value = "yes", effect = "NoExecute" }, { key = "old" }]
accelerators = [{ kind = "nvidia.com/gpu", count = 2, memory = "40Gi", model = "A100" }]
[[node_group]]
name = "more"
cpus = 4
startup_seconds = 90
[[volume]]
name = "claim"
folder = "data"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    return path


def test_a_node_is_what_the_file_says(tmp_path: Path) -> None:
    node, group = read_nodes(written(tmp_path, FULL))
    assert node.name == "gpu-1"
    assert node.allocatable.cpu_millicores == 7910
    assert node.allocatable.memory_bytes == 32 * 2**30
    assert node.allocatable.accelerators == (("nvidia.com/gpu", 2),)
    assert node.allocatable.pods == 50
    assert node.accelerator_memory_bytes == {"nvidia.com/gpu": 40 * 2**30}
    assert (node.architecture, node.zone, node.speed, node.price_per_hour) == ("arm64", "eu-1a", 1.5, 2.0)
    assert node.labels["kubernetes.io/hostname"] == "gpu-1.example"
    assert (node.labels["disk"], node.labels["cores"], node.labels["fast"]) == ("ssd", "8", "true")
    assert node.labels["nvidia.com/gpu.product"] == "A100"
    assert node.taints == (Taint("gpu", "yes", "NoExecute"), Taint("old", "", "NoSchedule"))
    assert (group.group, group.is_virtual, group.startup_seconds) == ("more", True, 90.0)


async def test_the_file_is_read_each_time(tmp_path: Path) -> None:
    path = written(tmp_path, '[[node]]\nname = "a"\ncpus = 1\n')
    source = StaticFileNodes(path, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert [node.name for node in (await source.look()).nodes] == ["a"]
    path.write_text('[[node]]\nname = "b"\ncpus = 1\n')
    assert [node.name for node in (await source.look()).nodes] == ["b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [[node]]"),
        ("x", "is not TOML"),
        ("[[node]]\ncpus = 1\n", "[[node]] 1: has no name"),
        ('[[node]]\nname = "a"\n', "[[node]] a: has no cpus"),
        ('[[node]]\nname = "a"\ncpus = 1\ncolour = "red"\n', "unknown key colour"),
        ('[[node]]\nname = "a"\ncpus = "many"\n', "[[node]] a: cpus: 'many' is not a CPU amount"),
        ('[[node]]\nname = "a"\ncpus = 1\nspeed = 0\n', "speed must be a number above 0"),
        ('[[node]]\nname = "a"\ncpus = 1\nzone = 1\n', "zone must be a text"),
        ('[[node]]\nname = "a"\ncpus = 1\nlabels = 1\n', "labels must be a table of texts"),
        ('[[node]]\nname = "a"\ncpus = 1\ntaints = [{ effect = "x" }]\n', "a taint needs a key"),
        ('[[node]]\nname = "a"\ncpus = 1\naccelerators = [1]\n', "an accelerator needs a kind"),
        ('[[node]]\nname = "a"\ncpus = 1\nis_schedulable = 1\n', "must be true or false"),
        ("node = 1\n", "node must be a list of tables"),
        ('[[node]]\nname = "a"\ncpus = 1\n[[node]]\nname = "a"\ncpus = 1\n', "names a twice"),
    ],
)
def test_a_slip_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_nodes(written(tmp_path, text))
    assert said in str(caught.value)
    assert "cluster.toml" in str(caught.value)


async def test_beside_a_cluster_the_file_only_tells_what_could_grow(tmp_path: Path) -> None:
    seen = await StaticFileNodes(
        written(tmp_path, FULL), lambda: datetime(2026, 1, 1, tzinfo=UTC), is_groups_only=True
    ).look()
    assert [(node.name, node.is_virtual) for node in seen.nodes] == [("more", True)]
