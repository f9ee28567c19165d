"""Where runs go to several namespaces, each is held to the quotas, ranges and claims of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlopx import component, pipeline
from mlopx.spec import PvcSource, Task, Volume
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.limits.limits import KubernetesLimits
from server.cluster.limits.several import SeveralLimits
from server.connecting import connect_kubeflow
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.request import waiting_run
from server.domain.run import Attempt, Run, RunOptions
from server.domain.states import TaskState
from server.kube.access import Access
from server.kube.client import KubeClient
from server.platforms.kubeflow.namespaces import Namespaces
from server.settings import Settings
from server.testing.contracts.placement_requests import a_run, a_task
from server.testing.kube import KubeDouble

AT = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def two(double: KubeDouble) -> AsyncIterator[SeveralLimits]:
    """The limits of the namespaces `red` and `blue`, looked at once."""
    async with double.serve() as url, KubeClient(Access(url=url)) as client:
        source = KubernetesNodes(client, now=lambda: AT)
        found = {
            name: KubernetesLimits(
                client, namespace=name, nodes=source, images=None, default_image="python", now=lambda: AT
            )
            for name in ("red", "blue")
        }
        await source.look()
        for one in found.values():
            await one.look_once()
        yield SeveralLimits(found, Namespaces(("red", "blue")).of)


def put(double: KubeDouble, plural: str, namespace: str, name: str, **more: Any) -> None:
    about = {"name": name, "namespace": namespace} if namespace else {"name": name}
    double.objects.put(plural, {"metadata": about, **more})


def put_quota(double: KubeDouble, namespace: str, hard: str, used: str) -> None:
    spec, status = {"hard": {"requests.cpu": hard}}, {"hard": {"requests.cpu": hard}, "used": {"requests.cpu": used}}
    put(double, "resourcequotas", namespace, "compute", spec=spec, status=status)


async def test_a_run_waits_for_the_quota_of_its_own_namespace() -> None:
    double = KubeDouble()
    put_quota(double, "red", "4", "4")
    put_quota(double, "blue", "4", "0")
    async with two(double) as limits:
        runs = [
            replace(a_run(name, a_task(name, cpus=2)), project=project)
            for name, project in (("first", "red"), ("second", "blue"), ("third", "default"))
        ]
        waits = limits.waits(runs)
        assert set(waits) == {"first", "third"}, "what names no namespace goes to the first"
        assert "quota compute of namespace red" in waits["first"]
        limits.let_go(runs[1])
        more = replace(a_run("fourth", a_task("fourth", cpus=4)), project="blue")
        assert "quota compute of namespace blue" in limits.waits([more])["fourth"], "what was let go is counted there"


async def test_a_claim_is_looked_for_in_the_namespace_of_the_run() -> None:
    double = KubeDouble()
    labels = {"topology.kubernetes.io/zone": "a"}
    about = {"name": "n-a", "labels": labels}
    has = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    double.objects.put("nodes", {"metadata": about, "spec": {}, "status": {"allocatable": has}})
    affinity = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}
    placed = {"nodeAffinity": {"required": {"nodeSelectorTerms": [affinity]}}}
    put(double, "persistentvolumes", "", "pv", spec=placed)
    put(double, "persistentvolumeclaims", "red", "data", spec={"volumeName": "pv"}, status={"phase": "Bound"})
    task = Task(component="train", volumes=(Volume(name="data", source=PvcSource(claim="data"), mount_path="/d"),))
    async with two(double) as limits:
        red, blue = (limits.confining.confine(a_task("r"), task, project) for project in ("red", "blue"))
    assert [place.claim for place in red.volumes] == ["data"]
    assert blue.volumes == (), "there is no such claim there"


@component(cpu=8)
def heavy() -> int:
    return 1


@pipeline
def one():
    heavy().named("heavy")


async def test_refused_is_what_the_namespace_of_the_run_would_never_let_run() -> None:
    double = KubeDouble()
    put_quota(double, "red", "4", "0")
    said = "task heavy asks for 8 CPUs, and quota compute lets namespace red hold 4 CPUs in all"
    async with two(double) as limits:
        found = {project: limits.refusals(one.build(), project) for project in ("red", "blue", "else")}
    assert found == {"red": [said], "blue": [], "else": [said]}, "what names no namespace goes to the first"


@component
def light() -> int:
    return 1


@pipeline
def easy():
    light().named("light")


def submitted(project: str) -> Run:
    options = RunOptions(project=project)
    return start_run("r", compile_graph(easy.build()), parameters={}, options=options, at=AT).run


def begun(run: Run) -> Run:
    """The run with its only task running."""
    attempt = Attempt(1, TaskState.RUNNING, node="n", actual_node="n", started_at=AT)
    return replace(run, tasks={key: replace(task, attempts=(attempt,)) for key, task in run.tasks.items()})


async def test_limit_ranges_fill_in_what_a_task_leaves_open_there() -> None:
    double = KubeDouble()
    limit = {"type": "Container", "defaultRequest": {"cpu": "3"}}
    put(double, "limitranges", "blue", "usual", spec={"limits": [limit]})
    async with two(double) as limits:
        runs = [submitted(project) for project in ("red", "blue")]
        waiting = [waiting_run(run, limits.confining) for run in runs]
        assert [run.tasks[0].options[0].requests.cpu_millicores for run in waiting] == [0, 3000]
        bound = [waiting_run(begun(run), limits.confining) for run in runs]
        assert [run.bound[0].requests.cpu_millicores for run in bound] == [0, 3000], "also once it has its node"
        before = limits.confining.version()
        limits.of("blue").changed()
        assert limits.confining.version() == before + 1


async def test_the_settings_make_one_for_each_namespace(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(
        json.dumps(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here"}}],
                "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
            }
        )
    )
    for names, kind in (("red,blue", SeveralLimits), ("red", KubernetesLimits)):
        settings = Settings(kfp_url="http://127.0.0.1:9", kubeconfig=tmp_path / "kubeconfig", kfp_namespace=names)
        found = connect_kubeflow(settings, tmp_path, now=lambda: AT, node_of=lambda name: None)
        assert isinstance(found.limits, kind)
        if isinstance(found.limits, SeveralLimits):
            assert [found.limits.of(name).namespace for name in ("blue", "red", "else")] == ["blue", "red", "red"]
        await found.platform.aclose()
