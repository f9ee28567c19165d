"""The commands that look at Kubeflow from outside the server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


async def test_rights_are_listed_and_the_past_is_learned_from(make: Any, tmp_path: Path) -> None:
    async with make() as ground:
        config = {
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": ground.kube_url}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        settings = {"KFP_URL": ground.url, "KUBECONFIG": str(tmp_path / "kubeconfig"), "STATE_DIR": str(tmp_path / "s")}

        async def command(*words: str) -> tuple[int, str]:
            program = [sys.executable, "-c", "from server.cli import main; main()", *words]
            environment = {**os.environ, **settings}
            ended = await asyncio.to_thread(
                subprocess.run, program, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert "Traceback" not in ended.stderr, ended.stderr
            return ended.returncode, ended.stdout

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
