"""What `check` says of Kubeflow: its version and what follows from it, and each right where several users share it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlopx import component, pipeline
from server.cli.rbac import _rows
from server.settings import Settings


@component
def one() -> int:
    return 1


@pipeline
def small():
    one().request(cpu="100m")


async def rows_of(ground: Any, tmp_path: Path, **more: str) -> dict[str, tuple[bool, str]]:
    """The rows of `check --rbac`, by name."""
    config = {
        "current-context": "double",
        "contexts": [{"name": "double", "context": {"cluster": "double"}}],
        "clusters": [{"name": "double", "cluster": {"server": ground.kube_url}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    settings = Settings(kfp_url=ground.url, kubeconfig=tmp_path / "kubeconfig", **more)
    return {name: (is_fine, said) for name, is_fine, said in await _rows(settings)}


async def test_rights_on_runs_are_asked_for_where_kubeflow_is_multi_user(make: Any, tmp_path: Path) -> None:
    async with make() as ground:
        alone = await rows_of(ground, tmp_path)
        assert not any("pipelines.kubeflow.org" in name for name in alone), "nobody asks for them there"
        ground.double.is_multi_user = True
        ground.double.kube.denied = {("list", "runs"), ("terminate", "runs")}
        rows = await rows_of(ground, tmp_path, kfp_namespace="team-a,team-b")
    for team in ("team-a", "team-b"):
        is_fine, said = rows[f"list runs.pipelines.kubeflow.org (namespace {team})"]
        assert not is_fine
        assert "none is followed" in said
        is_fine, said = rows[f"to submit: terminate runs.pipelines.kubeflow.org (namespace {team})"]
        assert is_fine, "the server itself needs it not"
        assert said == "this account has it not, and need not; whoever submits without it: " + (
            "a run that is cancelled here goes on in Kubeflow"
        )
    assert rows["get runs.pipelines.kubeflow.org (namespace team-a)"] == (True, "granted")


@pytest.mark.parametrize(("stated", "is_preferred"), [(None, False), ((2, 15), True)])
async def test_a_server_that_tells_no_version_gets_nothing_that_old_ones_drop(
    make: Any, tmp_path: Path, stated: tuple[int, int] | None, is_preferred: bool
) -> None:
    async with make() as ground:
        ground.double.version = "master"
        settings = {"kfp_version": ".".join(map(str, stated))} if stated else {}
        said = (await rows_of(ground, tmp_path, **settings))["kubeflow"][1]
        async with ground.house(version=stated) as house:
            await house.ended((await house.submit(small)).id)
    [record] = ground.double.runs.values()
    [config] = record.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert ("nodeAffinity" in config) == is_preferred
    assert config["nodeSelector"]["labels"]
    assert ("taken as older than 2.14" in said) != is_preferred
