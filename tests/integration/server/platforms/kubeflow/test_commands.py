"""The commands that look at Kubeflow from outside the server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from server.cli.app import run as run_command

TELL = "print('working')"


def a_body() -> dict[str, Any]:
    container = {"image": "python:3.11", "command": ["python3", "-c", TELL]}
    document = {
        "pipelineInfo": {"name": "theirs"},
        "root": {"dag": {"tasks": {"only": {"taskInfo": {"name": "only"}, "componentRef": {"name": "comp-only"}}}}},
        "components": {"comp-only": {"executorLabel": "exec-only"}},
        "deploymentSpec": {"executors": {"exec-only": {"container": container}}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    return {"display_name": "theirs", "pipeline_spec": document}


def called(words: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and what a command printed, in this process: it is called in a thread of its own."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["mlopx-server", *words])
        with pytest.raises(SystemExit) as ended:
            run_command()
    return (ended.value.code if isinstance(ended.value.code, int) else 0), printed.getvalue()


async def test_rights_are_listed_and_the_past_is_learned_from(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make() as ground:
        config = {
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": ground.kube_url}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        settings = {"KFP_URL": ground.url, "KUBECONFIG": str(tmp_path / "kubeconfig"), "STATE_DIR": str(tmp_path / "s")}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

        async def command(*words: str) -> tuple[int, str]:
            return await asyncio.to_thread(called, words)

        run = ground.double.create(a_body())
        await ground.double.ended(run.id)
        old = ground.double.create(a_body())
        await ground.double.ended(old.id)
        ground.double.collect(old.id)

        ground.double.kube.denied = {("watch", "nodes")}
        code, text = await command("check", "--rbac")
        assert code == 1
        assert "ok   kubeflow: version 2.17.0, single-user" in text
        assert "BAD  watch nodes (cluster): without it: no node is known: nothing can be placed" in text
        ground.double.kube.denied = set()
        assert (await command("check", "--rbac"))[0] == 0

        code, text = await command("learn", "--since", "30d", "--json")
        assert code == 0
        told = json.loads(text)
        assert told["tasks"] == 1
        assert told["runs"] - told["runs_without_nodes"] == 1, "of the other nothing is known; it is waited for a while"
        code, text = await command("observed", "--json")
        [line] = [one for one in json.loads(text) if "task" in one]
        assert (line["task"], line["node"] in ("one", "two"), line["state"]) == ("only", True, "succeeded")
        assert (await command("learn", "--since", "soon"))[0] == 78
    assert ground.double.kube.written == []
