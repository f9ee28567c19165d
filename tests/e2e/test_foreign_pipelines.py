"""Compiled Kubeflow pipelines through a real server process and the real command, beside the Kubeflow double."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.testing.kfp import KubeflowDouble, VirtualNode

COMPILED = """# compiled by hand, with a comment that must survive
pipelineInfo: {name: hand-made}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
root:
  inputDefinitions:
    parameters:
      count: {parameterType: NUMBER_INTEGER, defaultValue: 2.0}
  dag:
    tasks:
      first:
        cachingOptions: {}
        componentRef: {name: comp-work}
        inputs: {parameters: {count: {componentInputParameter: count}}}
      second:
        cachingOptions: {}
        componentRef: {name: comp-work}
        dependentTasks: [first]
        inputs: {parameters: {count: {runtimeValue: {constant: 7.0}}}}
components:
  comp-work:
    executorLabel: exec-work
    inputDefinitions: {parameters: {count: {parameterType: NUMBER_INTEGER}}}
deploymentSpec:
  executors:
    exec-work:
      container:
        image: python:3.11
        command: [python3, -c, "import sys; print('counted', sys.argv[1])"]
        args: ["{{$.inputs.parameters['count']}}"]
        resources: {cpuRequest: 0.5, resourceCpuRequest: 500m}
"""


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a test with the machine's clock


@dataclass
class Beside:
    """A server process beside the double."""

    double: KubeflowDouble
    server: Any

    async def mlopx(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "mlopx", *words],
            env={**os.environ, "MLOPX_URL": self.server.url, **environment},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    async def direct(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command without a server."""
        command = [sys.executable, "-m", "mlopx", "submit", "--direct", *words]
        return await asyncio.to_thread(
            subprocess.run, command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )

    async def until(self, holds: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """A power cut."""
        await asyncio.to_thread(self.server.kill)

    async def start(self) -> None:
        """Start the server again."""
        await asyncio.to_thread(self.server.start)


@pytest.fixture
def beside(make_server: Any, tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def one(**settings: str) -> AsyncIterator[Beside]:
        double = KubeflowDouble(tmp_path / "double", [VirtualNode("one"), VirtualNode("two")], now=now)
        async with double.serve() as (url, kube_url):
            kubeconfig = tmp_path / "kubeconfig"
            context = {"name": "double", "context": {"cluster": "double"}}
            cluster = {"name": "double", "cluster": {"server": kube_url}}
            document = {"current-context": "double", "contexts": [context], "clusters": [cluster]}
            kubeconfig.write_text(json.dumps(document))
            more = {"KFP_MODE": "place", "PLACER": "fifo_greedy", "PLACER_TIME_LIMIT": "60", "CLUSTER_FILE": ""}
            known = {"KFP_URL": url, "KUBECONFIG": str(kubeconfig), "UPDATE_INTERVAL": "0.2"}
            server = make_server(**{**known, **more, **settings})
            try:
                await asyncio.to_thread(server.start)
                yield Beside(double, server)
            finally:
                await asyncio.to_thread(server.stop)
                server.client.close()
                server.process = None

    return one


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "hand.yaml"
    path.write_text(COMPILED)
    return path


async def test_a_compiled_pipeline_is_submitted_seen_and_kept_to_the_letter(beside: Any, compiled: Path) -> None:
    async with beside() as ground:
        sent = await ground.mlopx("submit", str(compiled), "-p", "count=5", "--wait", "--json")
        assert sent.returncode == 0, sent.stderr
        run = json.loads(sent.stdout)
        shown = await ground.mlopx("show", run["id"])
        logged = await ground.mlopx("logs", run["id"], "second")
        kept, _ = await asyncio.to_thread(ground.server.client.download, f"/api/v1/runs/{run['id']}/document")
        again = await ground.mlopx("retry", run["id"], "--wait", "--json")
        planned = await ground.mlopx("plan", str(compiled), "--json")
        archived = await ground.mlopx("archive", run["id"])
    assert run["parameters"] == {"count": 5}
    assert [(task["key"], task["state"]) for task in run["tasks"]] == [("first", "succeeded"), ("second", "succeeded")]
    assert all(task["attempts"][-1]["actual_node"] in ("one", "two") for task in run["tasks"])
    assert "first" in shown.stdout
    assert logged.stdout == "counted 7\n"
    assert kept == COMPILED.encode()
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["parameters"] == {"count": 5}
    assert planned.returncode == 0, planned.stderr
    assert len(ground.double.runs) == 2
    assert archived.stdout == f"run {run['id']} is archived on its platform\n"
    assert [one.storage_state for one in ground.double.runs.values()] == ["ARCHIVED", "AVAILABLE"]


async def test_a_python_file_of_kubeflows_sdk_is_compiled_and_submitted(beside: Any, tmp_path: Path) -> None:
    flow = tmp_path / "flow.py"
    flow.write_text(
        "from kfp import dsl\n"
        "@dsl.container_component\n"
        "def say(text: str):\n"
        "    return dsl.ContainerSpec(image='python:3.11', command=['python3', '-c', 'print(1)'], args=[text])\n"
        "@dsl.pipeline\n"
        "def part(text: str = 'a'):\n"
        "    say(text=text)\n"
        "@dsl.pipeline\n"
        "def whole(text: str = 'b'):\n"
        "    part(text=text)\n"
        "    say(text='c')\n"
    )
    async with beside() as ground:
        sent = await ground.mlopx("submit", str(flow), "-p", "text=hello", "--wait", "--json")
        assert sent.returncode == 0, sent.stderr
        wrong = await ground.mlopx("submit", str(flow), "--pipeline", "nothing")
    run = json.loads(sent.stdout)
    assert run["name"] == "whole"
    assert {task["key"] for task in run["tasks"]} == {"part/say", "say"}
    assert [one.parameters for one in ground.double.runs.values()] == [{"text": "hello"}]
    assert wrong.returncode == 2
    assert "defines no pipeline 'nothing', but these: part, whole" in wrong.stderr


async def test_a_compiled_pipeline_is_scheduled_by_the_command(beside: Any, compiled: Path) -> None:
    when = ("--cron", "30 6 * * 1-5", "--tz", "Europe/Berlin")
    async with beside() as ground:
        made = await ground.mlopx("schedule", str(compiled), *when, "-p", "count=5", "--overlap", "Allow")
        listed = await ground.mlopx("schedules")
        paused = await ground.mlopx("schedules", "pause", "hand-made")
        shown = await ground.mlopx("schedules", "show", "hand-made", "--json")
        resumed = await ground.mlopx("schedules", "resume", "hand-made")
        wrong = await ground.mlopx("schedule", str(compiled), "--cron", "never")
        await ground.kill()
        await ground.start()
        kept = await ground.mlopx("schedules", "--json")
        deleted = await ground.mlopx("schedules", "delete", "hand-made")
        missing = await ground.mlopx("schedules", "show", "hand-made")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("schedule hand-made: first at 20")
    assert "30 6 * * 1-5" in listed.stdout
    assert paused.stdout == "schedule hand-made is paused\n"
    assert json.loads(shown.stdout)["is_paused"]
    assert resumed.stdout == "schedule hand-made goes on\n"
    assert wrong.returncode == 4
    assert "the cron expression 'never' needs five fields and has 1" in wrong.stderr
    [found] = json.loads(kept.stdout)["schedules"]
    assert (found["parameters"], found["overlap"], found["is_paused"]) == ({"count": "5"}, "Allow", False)
    assert deleted.returncode == 0
    assert missing.returncode == 4


async def test_a_server_killed_while_it_creates_the_run_does_not_create_it_twice(beside: Any, compiled: Path) -> None:
    async with beside() as ground:
        ground.double.world.holding = {"first"}
        ground.double.lost_answers = 1
        sent = json.loads((await ground.mlopx("submit", str(compiled), "--json")).stdout)
        await ground.until(lambda: bool(ground.double.runs))
        await ground.kill()
        await ground.start()
        read = ground.server.client.get
        path = f"/api/v1/runs/{sent['run_id']}"
        async with asyncio.timeout(120):
            while (await asyncio.to_thread(read, path))["platform_run_id"] is None:
                await asyncio.sleep(0.05)
        [record] = ground.double.runs.values()
        assert (await asyncio.to_thread(read, path))["platform_run_id"] == record.id
    assert len(ground.double.runs) == 1


async def test_what_is_no_pipeline_is_refused_at_once_and_by_the_server(beside: Any, tmp_path: Path) -> None:
    old, broken = tmp_path / "old.yaml", tmp_path / "broken.yaml"
    old.write_text("# v1\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\n")
    broken.write_text(COMPILED.replace("componentRef", "componentReff"))
    async with beside() as ground:
        here = await ground.mlopx("submit", str(old), MLOPX_URL="http://127.0.0.1:9")
        there = await ground.mlopx("submit", str(broken))
        unknown = await ground.mlopx("submit", str(broken.with_name("hand.yaml")))
        counts = await asyncio.to_thread(ground.server.client.get, "/")
    assert here.returncode == 2
    assert "old.yaml, line 2: is an Argo workflow, as Kubeflow Pipelines 1 compiled them" in here.stderr
    assert there.returncode == 4
    assert "broken.yaml" in there.stderr
    assert "componentReff" in there.stderr
    assert unknown.returncode == 2
    assert set(counts["runs"].values()) <= {0}
    assert not ground.double.runs


async def test_without_a_server_a_run_is_created_directly(tmp_path: Path, compiled: Path) -> None:
    double = KubeflowDouble(tmp_path / "double", [VirtualNode("one")], now=now)
    flow = tmp_path / "own.py"
    flow.write_text(
        "from mlopx import component, pipeline\n\n@component\ndef one(a: int) -> int:\n    return a\n\n"
        "@pipeline\ndef small(a: int = 1):\n    one(a=a)\n"
    )
    token = tmp_path / "token"
    token.write_text("secret")
    double.token = "secret"
    async with double.serve() as (url, _):
        ground = Beside(double, None)
        known = {"KFP_URL": url, "KFP_TOKEN_FILE": str(token), "MLOPX_URL": "http://127.0.0.1:9"}
        foreign = await ground.direct(str(compiled), "-p", "count=9", "--wait", "--json", **known)
        own = await ground.direct(str(flow), "-p", "a=4", "--wait", **known)
        wrong = await ground.direct(str(compiled), "-p", "other=9", **known)
        useless = await ground.direct(str(compiled), "--priority", "3", **known)
        homeless = await ground.direct(str(compiled), **{**known, "KFP_URL": ""})
        token.write_text("wrong")
        unknown = await ground.direct(str(compiled), **known)
    assert foreign.returncode == 0, foreign.stderr
    assert json.loads(foreign.stdout)["state"] == "SUCCEEDED"
    assert own.returncode == 0, own.stderr
    assert own.stdout.startswith("created small as run 0000")
    first, second = double.runs.values()
    assert (first.parameters, second.parameters) == ({"count": 9}, {"a": 4})
    assert double.experiments[first.experiment_id].display_name == "mlopx"
    assert wrong.returncode == 1
    assert "parameter 'other' is not one of this pipeline's (count)" in wrong.stderr
    assert useless.returncode == 2
    assert homeless.returncode == 78
    assert "set KFP_URL" in homeless.stderr
    assert unknown.returncode == 1
    assert "Kubeflow refuses us: 401" in unknown.stderr
    assert len(double.runs) == 2
