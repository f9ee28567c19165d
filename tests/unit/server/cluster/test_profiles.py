"""Node profiles: measured, written, read back, and given to the nodes they are of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app
from server.cluster import profiling
from server.cluster.profiles import Profiles, read_profiles
from server.domain.errors import ConfigurationError
from server.testing.contracts.placement_requests import a_node

QUICK = {"single": 2.0, "memory": 1.5}


def test_a_profile_counts_for_the_node_of_its_name_and_sets_its_speed() -> None:
    found = Profiles({"a": QUICK}).apply(a_node("a"))
    assert (found.speeds, found.speed) == (QUICK, 2.0)
    assert Profiles({"a": QUICK}).apply(a_node("b")).speeds == {}


def test_a_speed_that_somebody_set_stays() -> None:
    assert Profiles({"a": QUICK}).apply(a_node("a", speed=0.5)).speed == 0.5


def test_nodes_of_the_same_class_share_a_profile() -> None:
    labels = {"worker_type": "med"}
    profiles = Profiles({"a": QUICK})
    profiles.learn_classes((a_node("a", labels=labels),))
    assert profiles.apply(a_node("b", labels=labels)).speeds == QUICK
    assert profiles.apply(a_node("c", labels={"worker_type": "low"})).speeds == {}
    assert Profiles({"med": QUICK}).apply(a_node("b", labels=labels)).speeds == QUICK


def test_labels_give_speeds_too_and_nonsense_in_them_is_left_out() -> None:
    labels = {"mlopx.dev/speed.single": "1.4", "mlopx.dev/speed.disk": "fast", "mlopx.dev/speed.gemm": "-1"}
    assert Profiles().apply(a_node("a", labels=labels)).speeds == {"single": 1.4}


@pytest.mark.parametrize("text", ["{", "[]", '{"speeds": {"single": "quick"}}', "{}"])
def test_a_file_that_is_no_profile_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"a\.json is no node profile"):
        read_profiles(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        read_profiles(tmp_path / "none")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure little, but really."""
    monkeypatch.setattr(profiling, "TRY_SECONDS", 0.02)
    monkeypatch.setattr(profiling, "TRIES", 1)
    monkeypatch.setattr(profiling, "GEMM_SIZE", 64)
    monkeypatch.setattr(profiling, "COPY_BYTES", 2**20)
    monkeypatch.setattr(profiling, "DISK_BYTES", 2**20)


@pytest.mark.usefixtures("quick")
def test_what_is_measured_is_written_and_read_back(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["profile-node", "--node", "a", "--no-gpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert set(document["speeds"]) == {"single", "multi", "gemm", "memory", "disk"}
    assert all(speed > 0 for speed in document["speeds"].values())
    assert document["measured"]["memory"]["unit"] == "GB/s copied"
    node = read_profiles(tmp_path).apply(a_node("a"))
    assert node.speeds == document["speeds"]


@pytest.mark.usefixtures("quick")
def test_a_profile_can_be_a_line_of_the_table_of_nodes() -> None:
    result = CliRunner().invoke(app, ["profile-node", "--node", "a", "--no-gpu", "--csv"])
    header, line = result.stdout.splitlines()
    assert header.startswith("node,cpus,memory_bytes,speed_single")
    assert line.split(",")[0] == "a"
    assert line.endswith(",")  # no accelerator


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_measured_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = profiling.profile("a", tmp_path / "none")
    assert "disk" not in found.speeds
    assert any(note.startswith("disk: FileNotFoundError") for note in found.notes)
    assert any(note.startswith("gpu: LookupError") for note in found.notes) or "gpu" in found.speeds


def test_a_folder_to_measure_that_is_none_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["profile-node", "--folder", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr
