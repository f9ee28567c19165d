"""A cluster file is read as written, and a slip in it is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import ConfigurationError
from server.platforms.local.cluster_file import Cluster, default_cluster, read_cluster

GOOD = """
[[node]]
name = "small"
cpus = 1
speed = 0.25
memory = "1Gi"
zone = "east"
labels = { worker_type = "low" }
taints = [{ key = "dedicated", value = "ml", effect = "NoSchedule" }]
accelerators = [{ kind = "nvidia.com/gpu", count = 2, memory = "16Gi" }]
price_per_hour = 0.5

[[node]]
name = "large"
cpus = 1.5

[[node_group]]
name = "spot"
cpus = 16
memory = "64Gi"
max_nodes = 4
startup_seconds = 90

[[volume]]
name = "shared"
folder = "shared"

[agent]
preload = ["json"]
throttle = "governor"
"""


def read(folder: Path, text: str, cores: float = 2.0) -> Cluster:
    (folder / "shared").mkdir(exist_ok=True)
    (folder / "cluster.toml").write_text(text)
    return read_cluster(folder / "cluster.toml", cores)


def test_everything_in_the_file_is_read(tmp_path: Path) -> None:
    cluster = read(tmp_path, GOOD)
    small, large = cluster.nodes
    assert (small.name, small.allocatable.cpu_millicores, small.speed) == ("small", 1000, 0.25)
    assert small.allocatable.memory_bytes == 1 << 30
    assert dict(small.allocatable.accelerators) == {"nvidia.com/gpu": 2}
    assert small.accelerator_memory_bytes == {"nvidia.com/gpu": 16 << 30}
    assert small.labels["worker_type"] == "low"
    assert small.labels["topology.kubernetes.io/zone"] == "east"
    assert small.taints[0].key == "dedicated"
    assert small.price_per_hour == 0.5
    assert (large.speed, large.allocatable.cpu_millicores) == (1.0, 1500)
    (group,) = cluster.groups
    assert (group.name, group.is_virtual, group.startup_seconds) == ("spot", True, 90)
    assert cluster.volumes == {"shared": tmp_path / "shared"}
    assert (cluster.preload, cluster.throttle) == (("json",), "governor")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("cpus = 1\n", "cpus = 0\n", r"\[\[node\]\] small: cpus must be a number above 0, not 0"),
        ("cpus = 1\n", "cpus = true\n", "cpus must be a number above 0, not True"),
        ("cpus = 1\n", "", "cpus must be a number above 0, not None"),
        ("cpus = 1\n", "cpu = 1\n", "unknown key cpu"),
        ('memory = "1Gi"', 'memory = "lots"', "lots"),
        ("labels = {", "labels = [] #", "labels must be a table of texts"),
        ("taints = [{ key", "taints = { key", "not TOML"),
        ('key = "dedicated", ', "", "a taint needs a key"),
        ('kind = "nvidia.com/gpu", ', "", "an accelerator needs a kind"),
        ("count = 2", "count = -1", "count must be a number above 0, not -1"),
        ("price_per_hour = 0.5", 'price_per_hour = "cheap"', "price_per_hour must be a number above 0, not 'cheap'"),
        ('name = "large"', 'name = "small"', "names small twice"),
        ('name = "large"', "", "has no name"),
        ("cpus = 1.5", "cpus = 4", "promise 4.25 cores .* this machine has 2 to give"),
        ("startup_seconds = 90", 'startup_seconds = "soon"', r"\[\[node_group\]\] spot: startup_seconds"),
        ('folder = "shared"', 'folder = "nowhere"', "nowhere does not exist"),
        ('throttle = "governor"', 'throttle = "hard"', "throttle 'hard' is not"),
        ('preload = ["json"]', 'preload = "json"', "preload must be a list of module names"),
        ("[agent]", "agent = 3\n[other]", "unknown key other"),
    ],
)
def test_a_slip_is_named_with_its_place(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert before in GOOD
    with pytest.raises(ConfigurationError, match=says) as caught:
        read(tmp_path, GOOD.replace(before, after, 1))
    assert "cluster.toml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "node = 3", "node = [3]", "[node]\nname = 'x'"])
def test_a_file_without_nodes_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cluster\.toml"):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.toml cannot be read: No such file"):
        read_cluster(tmp_path / "gone.toml", 2)


def test_promising_more_than_there_is_can_be_allowed_and_is_said(tmp_path: Path) -> None:
    text = "allow_overcommit = true\n" + GOOD.replace("cpus = 1.5", "cpus = 4")
    (warning,) = read(tmp_path, text).warnings
    assert "promise 4.25 cores" in warning


@given(cores=st.floats(0.5, 256))
def test_made_up_nodes_differ_and_never_promise_more_than_there_is(cores: float) -> None:
    nodes = default_cluster(cores, 16 << 30).nodes
    assert len({node.speed for node in nodes}) == 3
    assert all(0 < node.speed <= 1 for node in nodes)
    assert sum(node.allocatable.cpu_millicores / 1000 * node.speed for node in nodes) <= cores * 1.01
    assert sum(node.allocatable.memory_bytes for node in nodes) <= 16 << 30
