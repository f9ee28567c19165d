"""The five examples give the same outputs on the local platform and, compiled and placed, on the Kubeflow double."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mlopx import Pipeline
from server.connecting import translate
from server.domain.run import Run
from server.domain.states import TaskState
from server.platforms.local.cluster_file import Cluster, node_of
from server.platforms.local.platform import LocalPlatform
from server.stores.files import FileArtifactStore
from server.stores.memory import MemoryRunStore
from server.testing import house as house_module
from server.testing.house import open_house
from server.testing.kfp import VirtualNode

SMALLER: dict[str, dict[str, Any]] = {
    "bikes": {"rounds": 30},
    "diamonds": {"rows": 6_000, "trials": 3},
    "digits": {},
    "languages": {"longest": 2},
    "segments": {"folds": 2},
}
"""Arguments with which every branch of the full runs is taken, sooner."""

PAGES = ("HTML", "Markdown")
"""Artifacts for people name the run and what it took; their bytes differ."""


def load(root: Path, name: str) -> Pipeline:
    spec = importlib.util.spec_from_file_location(name, root / "pipelines" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name)
    assert isinstance(found, Pipeline)
    return found


def outputs(run: Run) -> dict[str, dict[str, Any]]:
    """What came out, by task and port: values, and types, metadata and digests of artifacts."""
    found: dict[str, dict[str, Any]] = {}
    for key, task in run.tasks.items():
        if task.state is TaskState.SUCCEEDED:
            found[str(key)] = {
                port: output.value
                if output.artifact is None
                else (
                    output.artifact.type,
                    dict(output.artifact.metadata),
                    None if output.artifact.type in PAGES else output.artifact.digest,
                )
                for port, output in task.outputs.items()
            }
    return found


async def on_this_machine(pipeline: Pipeline, given: dict[str, Any], root: Path, folder: Path, clock: Any) -> Run:
    node = node_of("alpha", 8000, 1.0, 16 << 30, {})
    cluster = Cluster(nodes=(node,), throttle="none").with_volumes({"datasets": root / "data"})
    platform = LocalPlatform(
        cluster=cluster,
        state=folder,
        artifacts=FileArtifactStore(folder / "artifacts"),
        secret=lambda name, key: None,
        grace_seconds=5.0,
        now=clock.now,
    )
    try:
        async with open_house(platform, MemoryRunStore(), folder, clock) as house:
            return await house.ended((await house.submit(pipeline, **given)).id)
    finally:
        await platform.aclose(stop_tasks=True)


@pytest.fixture
def nodes() -> list[VirtualNode]:
    """Nodes on which everything fits."""
    return [VirtualNode("one", cpu="4"), VirtualNode("two", cpu="8")]


@pytest.mark.parametrize("name", SMALLER)
async def test_an_example_gives_the_same_outputs_on_both(
    name: str, make: Any, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house_module, "LONGEST_SECONDS", 200.0)
    pipeline, given = load(project_root, name), SMALLER[name]
    async with asyncio.timeout(400), make() as ground:
        ground.double.world.volumes["datasets"] = project_root / "data"
        ground.double.world.pods.claims.add("datasets")
        async with ground.house(translate=translate, max_hold_seconds=0, update_seconds=1.0) as house:
            there = await house.ended((await house.submit(pipeline, **given)).id)
        here = await on_this_machine(pipeline, given, project_root, tmp_path / "local", ground.clock)
    assert str(there.state) == str(here.state) == "succeeded"
    assert {str(key): str(task.state) for key, task in there.tasks.items()} == {
        str(key): str(task.state) for key, task in here.tasks.items()
    }
    assert outputs(there) == outputs(here)
    assert all(
        task.current.actual_node in ("one", "two") for task in there.tasks.values() if task.state is TaskState.SUCCEEDED
    )
