"""`compile` and `place`: files in, files and reasons out, one sentence for what is wrong, nothing else needed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cli.app import run
from server.testing.compiled import a_container, a_pipeline, a_task

CLUSTER = """
[[node]]
name = "small"
cpus = 2
memory = "4Gi"
zone = "b"
speed = 0.5

[[node]]
name = "big"
cpus = 16
memory = "64Gi"
zone = "b"
speed = 2

[[node_group]]
name = "gpus"
cpus = 8
memory = "32Gi"
accelerators = [{ kind = "nvidia.com/gpu", count = 4 }]
"""
HOST = "kubernetes.io/hostname"


class Command:
    """The command line, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Exit code, what it printed, and what it complained about."""
        strategy = [] if arguments[0] != "place" or "--placer" in arguments else ["--placer", "fifo_greedy"]
        self.monkeypatch.setattr(sys, "argv", ["mlopx-server", *map(str, arguments), *strategy])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = self.capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER)
    return path


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    gpu = {"resources": {"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}}}
    text = a_pipeline(
        {"load": a_task("comp-load"), "train": a_task("comp-train", "load"), "gpu": a_task("comp-gpu")},
        {"comp-load": {}, "comp-train": {}, "comp-gpu": {}},
        {"exec-load": {"importer": {"artifactUri": {"constant": "gs://x"}}}, "exec-gpu": a_container(**gpu)},
    )
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return path


def configs(path: Path) -> Any:
    _, platform = yaml.safe_load_all(path.read_text())
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_place_writes_the_file_and_says_where_each_task_goes_and_why(
    command: Command, pipeline: Path, cluster: Path, tmp_path: Path
) -> None:
    placed = tmp_path / "placed.yaml"
    code, out, err = command("place", pipeline, "--cluster", cluster, "-o", placed, "--json", "--placer", "fifo_greedy")
    assert (code, err) == (0, "")
    report = json.loads(out)
    rows = {row["task"]: row for row in report["tasks"]}
    assert (report["placer"], report["mode"], set(rows)) == ("fifo_greedy", "default", {"train", "gpu"})
    assert rows["train"]["node"] == "big"
    assert rows["train"]["alternatives"] == ["small"]
    assert rows["train"]["reason"]
    assert [one["task"] for one in report["left_alone"]] == ["load"]
    wishes = [entry["weight"] for entry in configs(placed)["exec-train"]["nodeAffinity"] if "weight" in entry]
    assert wishes == [100, 60]


def test_a_need_that_only_a_growable_group_meets_passes_through_and_that_is_said(
    command: Command, pipeline: Path, cluster: Path, tmp_path: Path
) -> None:
    placed = tmp_path / "placed.yaml"
    _, out, _ = command("place", pipeline, "--cluster", cluster, "-o", placed)
    assert "left to the autoscaler: node group gpus could grow a node for it" in out
    assert "exec-gpu" not in configs(placed)


def test_a_pin_goes_before_the_strategy_and_is_a_requirement(
    command: Command, pipeline: Path, cluster: Path, tmp_path: Path
) -> None:
    placed = tmp_path / "placed.yaml"
    _, out, _ = command(
        "place", pipeline, "--cluster", cluster, "-o", placed, "--pin", "train=small", "--pin", "gpu=big"
    )
    assert configs(placed)["exec-train"] == {"nodeSelector": {"labels": {HOST: "small"}}}
    assert configs(placed)["exec-gpu"] == {"nodeSelector": {"labels": {HOST: "big"}}}
    assert re.search(r"train +small +pinned by you", out)
    assert "it may never start there: too little nvidia.com/gpu" in out


@pytest.mark.parametrize("mode", ["require", "prefer"])
def test_the_mode_says_how_firmly(command: Command, pipeline: Path, cluster: Path, tmp_path: Path, mode: str) -> None:
    placed = tmp_path / "placed.yaml"
    command("place", pipeline, "--cluster", cluster, "-o", placed, "--mode", mode)
    assert ("nodeSelector" in configs(placed)["exec-train"]) == (mode == "require")


def test_the_same_question_gives_the_same_bytes(
    command: Command, pipeline: Path, cluster: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    command("place", pipeline, "--cluster", cluster, "-o", first)
    command("place", pipeline, "--cluster", cluster, "-o", second)
    assert first.read_bytes() == second.read_bytes()


def test_a_spec_is_compiled_with_the_option_that_suits_the_node(
    command: Command, project_root: Path, cluster: Path, tmp_path: Path
) -> None:
    placed = tmp_path / "placed.yaml"
    spec = project_root / "pipelines" / "golden" / "digits.json"
    _, out, _ = command("place", spec, "--cluster", cluster, "-o", placed, "--json")
    row = next(row for row in json.loads(out)["tasks"] if row["task"] == "train-network")
    assert (row["node"], row["option"]) == ("big", "cpu")
    document, _ = yaml.safe_load_all(placed.read_text())
    environment = document["deploymentSpec"]["executors"]["exec-train-network"]["container"]["env"]
    assert {"name": "MLOPX_OPTION", "value": "cpu"} in environment


@pytest.mark.parametrize("source", ["pipelines/segments.py", "pipelines/golden/segments.json"])
def test_compile_takes_a_spec_or_the_file_that_defines_it(
    command: Command, project_root: Path, tmp_path: Path, source: str
) -> None:
    made = tmp_path / "kfp.yaml"
    code, _, err = command("compile", project_root / source, "-o", made)
    assert (code, f"wrote {made}" in err) == (0, True)
    document, _ = yaml.safe_load_all(made.read_text())
    assert document["pipelineInfo"]["name"] == "segments"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["place", "PIPELINE", "--cluster", "CLUSTER", "--pin", "train"], "--pin 'train' is not TASK=NODE"),
        (["place", "PIPELINE", "--cluster", "CLUSTER", "--pin", "nope=big"], "the pipeline has no task 'nope'"),
        (["place", "PIPELINE", "--cluster", "CLUSTER", "--pin", "train=nope"], "the cluster has no node 'nope'"),
        (["place", "PIPELINE", "--cluster", "CLUSTER", "--pin", "load=big"], "takes no placement: it is an importer"),
        (["place", "PIPELINE", "--cluster", "CLUSTER", "--placer", "nope"], "there is no placer 'nope'"),
        (["place", "PIPELINE", "--cluster", "MISSING"], "cannot be read: No such file"),
        (["place", "MISSING", "--cluster", "CLUSTER"], "cannot be read: No such file"),
        (["place", "CLUSTER", "--cluster", "CLUSTER"], "cannot be read as YAML at line"),
        (["place", "PIPELINE", "--cluster", "CLUSTER", "-o", "NOWHERE"], "cannot be written: No such file"),
        (["compile", "PIPELINE"], "is compiled already"),
        (["compile", "MISSING.json"], "there is no file"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    command: Command, pipeline: Path, cluster: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    names = {"PIPELINE": str(pipeline), "CLUSTER": str(cluster), "NOWHERE": str(tmp_path / "no" / "x.yaml")}
    code, _, err = command(*(names.get(one, one) for one in arguments))
    assert code != 0
    assert err.startswith("error: ")
    assert said in err


def test_what_is_too_large_is_refused_where_it_is_ours_and_noted_where_it_is_not(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    executors = {"exec-a": a_container(args=["x" * 140_000])}
    for sdk in ("mlopx", "kfp-2.17.0"):
        text = a_pipeline({"a": a_task("comp-a")}, {"comp-a": {}}, executors, sdkVersion=sdk)
        (tmp_path / f"{sdk}.yaml").write_text(text)
    code, _, err = command("place", tmp_path / "mlopx.yaml", "--cluster", tmp_path / "cluster.toml")
    assert code != 0
    assert "task a: runtime and source take 140004 bytes as carried, more than 16384" in " ".join(err.split())
    code, out, _ = command("place", tmp_path / "kfp-2.17.0.yaml", "--cluster", tmp_path / "cluster.toml", "--json")
    assert code == 0
    assert any("one argument of the command takes 140000 bytes" in note for note in json.loads(out)["notes"])


def test_tasks_that_may_come_from_the_cache_are_counted_since_nobody_knows_here_what_ran_before(
    command: Command, cluster: Path, tmp_path: Path
) -> None:
    tasks = {"a": a_task("comp-a", cachingOptions={"enableCache": True}), "b": a_task("comp-b", cachingOptions={})}
    for name, some in (("some", tasks), ("none", {"b": tasks["b"]})):
        (tmp_path / f"{name}.yaml").write_text(a_pipeline(some, {"comp-a": {}, "comp-b": {}}))
    code, out, _ = command("place", tmp_path / "some.yaml", "--cluster", cluster, "--json")
    assert code == 0
    assert json.loads(out)["caching"].startswith("not known here: 1 of 2 tasks may come from Kubeflow's cache")
    assert "caching: not known here: 1 of 2 tasks" in command("place", tmp_path / "some.yaml", "--cluster", cluster)[1]
    assert "caching" not in command("place", tmp_path / "none.yaml", "--cluster", cluster)[1]
