"""A placed file runs to the same result as the original under `kfp.local`, split components included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.platforms.kubeflow.placing import PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_node


def values_of(folder: Path) -> list[str]:
    """What all tasks handed over, in sorted order; artifacts by their content."""
    found = []
    for path in folder.rglob("executor_output.json"):
        told = json.loads(path.read_text())
        files = {
            name: (path.parent / name).read_text()
            for name in told.get("artifacts", {})
            if (path.parent / name).is_file()
        }
        found.append(json.dumps([told.get("parameterValues"), files], sort_keys=True))
    return sorted(found)


def placed(text: str) -> str:
    pipeline = read_pipeline(text)
    nodes = {task.path: a_node(f"node-{index}") for index, task in enumerate(pipeline.placeable())}
    placements = {path: TaskPlacement((node,)) for path, node in nodes.items()}
    return place_pipeline(pipeline, placements, mode=PlacementMode.REQUIRE).text


@pytest.mark.parametrize("name", ["artifact_inputs", "else_branches"])
def test_placed_it_does_what_it_did(judge: Any, compiled: Mapping[str, str], tmp_path: Path, name: str) -> None:
    judge.run(compiled[name], tmp_path / "before")
    judge.run(placed(compiled[name]), tmp_path / "after")
    before = values_of(tmp_path / "before")
    assert before
    assert values_of(tmp_path / "after") == before


def test_two_tasks_of_one_component_do_what_they_did_when_they_are_split(
    judge: Any, compiled: Mapping[str, str], tmp_path: Path
) -> None:
    document = yaml.safe_load(compiled["dependent_tasks"])
    tasks = document["root"]["dag"]["tasks"]
    tasks["add-2"]["componentRef"] = dict(tasks["add"]["componentRef"])
    text = placed(yaml.safe_dump(document))
    assert len({task.executor for task in read_pipeline(text).tasks.values()}) == 3
    judge.run(text, tmp_path / "split")
    judge.run(compiled["dependent_tasks"], tmp_path / "alone")
    assert values_of(tmp_path / "split") == values_of(tmp_path / "alone")
