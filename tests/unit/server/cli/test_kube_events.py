"""`mlopx-server solve --kube-events`: the report, the exit code, and what is said of a bad file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from server.cli.app import app

NODE = {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}
SCORES = {"TaintToleration": 300, "NodeResourcesFit": 75, "NodeResourcesBalancedAllocation": 75}


def a_recording(fit: int = 75) -> dict[str, Any]:
    """Two equal nodes and one pod of a quarter of either."""
    spec = {"containers": [{"resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}]}
    scores = {"a": {**SCORES, "NodeResourcesFit": fit}, "b": SCORES}
    final = {node: sum(found.values()) for node, found in scores.items()}
    event = {"create": "pod", "spec": spec, "scores": scores, "final": final, "bound_to": "b"}
    return {"nodes": [{**NODE, "name": "a"}, {**NODE, "name": "b"}], "events": [event, {"delete": "pod"}]}


def solve(path: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["solve", "--kube-events", str(path), *more])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to write a recording to."""
    return tmp_path / "events.json"


def test_a_recording_without_differences_ends_well(file: Path) -> None:
    file.write_text(json.dumps(a_recording()))
    result = solve(file)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"{file}: 2 nodes, 2 events, 1 decisions",
        "  feasible sets: equal in 1 of 1",
        "  plug-in scores: equal in 1 of 1",
        "  final scores: equal in 1 of 1",
        "  choices: equal in 1 of 1",
    ]


def test_every_difference_is_told_and_ends_badly(file: Path) -> None:
    file.write_text(json.dumps(a_recording(fit=70)))
    result = solve(file)
    assert result.exit_code == 1
    assert result.output.splitlines()[-2:] == [
        "events[0] pod: score NodeResourcesFit on a: recorded 70, found 75",
        "events[0] pod: final on a: recorded 445, found 450",
    ]


def test_the_same_as_json(file: Path) -> None:
    file.write_text(json.dumps(a_recording(fit=70)))
    result = solve(file, "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["ok"], report["decisions"]) == (1, False, 1)
    assert report["equal"] == {"feasible": 1, "score": 0, "final": 0, "choice": 1}
    assert report["results"][0]["final"] == {"a": 450, "b": 450}
    assert report["results"][0]["best"] == ["a", "b"]
    assert report["results"][0]["differences"][1] == {
        "what": "final",
        "recorded": 445,
        "found": 450,
        "node": "a",
        "plugin": None,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "is not UTF-8 text at byte 0"),
        (b'{"nodes": [\n 1 2]}', ":2:4: is not JSON: Expecting ',' delimiter"),
        (b'{"nodes": [], "events": NaN}', "NaN is no number that JSON knows"),
        (b'{"nodes": [], "events": [{"delete": "x"}]}', "events[0].delete: there is no pod 'x' at this point"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    result = solve(file)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {file}")
    assert said in result.stderr
