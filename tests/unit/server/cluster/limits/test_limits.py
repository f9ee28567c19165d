"""Volumes, quotas and ranges of a namespace, through the API double: what they say to tasks and to whole runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx.spec import Accelerator, Component, ContainerCode, PipelineSpec, PvcSource, Resources, Task, Volume
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.limits.images import ImageBuilds
from server.cluster.limits.limits import LOOKING_SECONDS, UNCOUNTED_SECONDS, KubernetesLimits
from server.cluster.limits.registry import Registries
from server.domain.feasibility import refusal
from server.domain.node import Node
from server.kube.access import Access
from server.kube.client import KubeClient
from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import a_run, a_task
from server.testing.kube import KubeDouble

AT = datetime(2026, 1, 1, tzinfo=UTC)
HERE = "ml"


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


def put_node(
    double: KubeDouble, name: str, *, kind: str = "amd64", zone: str = "a", images: tuple[str, ...] = ()
) -> None:
    labels = {"kubernetes.io/arch": kind, "topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
    status = {
        "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": list(images)}],
    }
    double.objects.put("nodes", {"metadata": {"name": name, "labels": labels}, "status": status})


def put_volume(double: KubeDouble, name: str, *, mode: str = "ReadWriteMany", **volume: Any) -> None:
    """A claim with its volume; `volume` is what the volume says: `labels`, `terms`."""
    claim = {"spec": {"volumeName": f"pv-{name}", "accessModes": [mode]}}
    double.objects.put("persistentvolumeclaims", {"metadata": {"name": name, "namespace": HERE}, **claim})
    spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": volume["terms"]}}} if "terms" in volume else {}
    about = {"name": f"pv-{name}", "labels": volume.get("labels", {})}
    double.objects.put("persistentvolumes", {"metadata": about, "spec": spec})


def put_pod(double: KubeDouble, name: str, node: str, claim: str, *, phase: str = "Running") -> None:
    spec = {"nodeName": node, "volumes": [{"persistentVolumeClaim": {"claimName": claim}}], "containers": []}
    about = {"name": name, "namespace": HERE}
    double.objects.put("pods", {"metadata": about, "spec": spec, "status": {"phase": phase}})


def put_quota(double: KubeDouble, hard: dict[str, str], used: dict[str, str], **spec: Any) -> None:
    about = {"name": "compute", "namespace": HERE}
    double.objects.put(
        "resourcequotas", {"metadata": about, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}
    )


def put_range(double: KubeDouble, **limits: Any) -> None:
    about = {"name": "usual", "namespace": HERE}
    double.objects.put("limitranges", {"metadata": about, "spec": {"limits": [{"type": "Container", **limits}]}})


@asynccontextmanager
async def looked(
    double: KubeDouble, clock: Clock | None = None, images: ImageBuilds | None = None
) -> AsyncIterator[tuple[KubernetesLimits, list[Node]]]:
    clock = clock or Clock()
    async with double.serve() as url, KubeClient(Access(url=url)) as client:
        source = KubernetesNodes(client, now=clock)
        limits = KubernetesLimits(
            client, namespace=HERE, nodes=source, images=images, default_image="python:3.11-slim", now=clock
        )
        seen = await source.look()
        await limits.look_once()
        yield limits, list(seen.nodes)
        await limits.aclose()


def a_definition(*claims: str) -> Task:
    mounts = tuple(Volume(name=claim, source=PvcSource(claim=claim), mount_path="/d") for claim in claims)
    return Task(component="train", volumes=mounts)


def refusals(limits: KubernetesLimits, nodes: list[Node], *claims: str) -> dict[str, str]:
    task = limits.confine(a_task("r"), a_definition(*claims))
    found = {node.name: refusal(task, task.options[0], node) for node in nodes}
    return {name: said.text for name, said in found.items() if said is not None}


async def test_a_task_stays_in_the_zone_of_its_volume_and_the_others_say_why() -> None:
    double = KubeDouble()
    for zone in ("a", "b"):
        put_node(double, f"n-{zone}", zone=zone)
    affinity = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}
    put_volume(double, "data", terms=[affinity])
    put_volume(double, "old", labels={"topology.kubernetes.io/zone": "b__c"})
    put_volume(double, "anywhere")
    async with looked(double) as (limits, nodes):
        assert refusals(limits, nodes, "data") == {"n-a": "volume data is in zone b"}
        assert refusals(limits, nodes, "old") == {"n-a": "volume old is in zone b, c"}
        assert refusals(limits, nodes, "anywhere", "unknown") == {}
        task = limits.confine(a_task("r"), a_definition("data"))
        needs = NeedsTable(nodes).of(task)
        assert [nodes[index].name for index in needs.nodes] == ["n-b"]
        assert needs.rejected == {"volume data is in zone b": 1}


async def test_one_of_several_places_of_a_volume_is_enough_and_a_place_that_cannot_be_read_is_none() -> None:
    double = KubeDouble()
    for name in ("one", "two", "three"):
        put_node(double, name)
    terms: list[dict[str, Any]] = [
        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}
        for name in ("one", "two")
    ]
    put_volume(double, "local", terms=[*terms, {"matchExpressions": [{"key": "x", "operator": "Sideways"}]}])
    async with looked(double) as (limits, nodes):
        assert list(refusals(limits, nodes, "local")) == ["three"]


async def test_a_volume_for_one_node_that_is_in_use_keeps_tasks_on_that_node_while_it_is() -> None:
    double = KubeDouble()
    put_node(double, "one")
    put_node(double, "two")
    put_volume(double, "data", mode="ReadWriteOnce")
    put_pod(double, "notebook", "two", "data")
    put_pod(double, "done", "one", "data", phase="Succeeded")
    async with looked(double) as (limits, nodes):
        said = "volume data is on node two now, in use by pod notebook, and on one at a time (ReadWriteOnce)"
        assert refusals(limits, nodes, "data") == {"one": said}
        version = limits.confining.version()
        double.objects.delete("pods", HERE, "notebook")
        await limits._nodes.pods.sync()
        assert refusals(limits, nodes, "data") == {}
        assert limits.confining.version() > version


async def test_what_nobody_asks_for_is_filled_in_as_the_namespace_does() -> None:
    double = KubeDouble()
    put_range(double, defaultRequest={"cpu": "250m"}, default={"cpu": "1", "memory": "512Mi"})
    async with looked(double) as (limits, _):
        nothing = limits.fill(Resources())
        assert (nothing.cpu_millicores, nothing.memory_bytes) == (250, 512 * 2**20)
        assert limits.fill(Resources(cpu_millicores=3000)).cpu_millicores == 3000


def a_spec(**asked: Any) -> PipelineSpec:
    component = Component(name="train", code=ContainerCode(command=("true",)), image="a")
    task = Task(component="train", resources=Resources(**asked))
    return PipelineSpec(version="1.0", name="p", components={"train": component}, tasks={"train": task})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"cpu_millicores": 8000},
            "task train asks for 8 CPUs, and quota compute lets namespace ml hold 4 CPUs in all",
        ),
        ({"memory_bytes": 9 * 2**30}, "limit range usual of namespace ml lets a container have at most 4096 MiB"),
        ({"cpu_millicores": 10}, "limit range usual of namespace ml wants at least 0.1 CPUs"),
        ({"accelerator": Accelerator(accelerator="nvidia.com/gpu", count=2)}, "hold 1 nvidia.com/gpu in all"),
        ({"cpu_millicores": 4000, "memory_bytes": 2**30}, None),
    ],
)
async def test_what_a_namespace_would_never_run_is_refused_with_both_amounts(asked: Any, said: str | None) -> None:
    double = KubeDouble()
    put_quota(double, {"requests.cpu": "4", "requests.nvidia.com/gpu": "1"}, {"requests.cpu": "4"})
    put_range(double, max={"memory": "4Gi"}, min={"cpu": "100m"})
    async with looked(double) as (limits, _):
        found = limits.refusals(a_spec(**asked))
        assert (found == []) if said is None else (len(found) == 1 and said in found[0])


async def test_a_run_waits_while_its_first_tasks_would_break_the_quota_and_goes_when_there_is_room() -> None:
    double, clock = KubeDouble(), Clock()
    put_quota(double, {"requests.cpu": "4", "pods": "10"}, {"requests.cpu": "1", "pods": "1"})
    async with looked(double, clock) as (limits, _):
        first = a_run("first", a_task("first", cpus=2), a_task("first", "later", cpus=4, waits_for=["train"]))
        second = a_run("second", a_task("second", cpus=2))
        assert limits.waits([first, second]) == {
            "second": "waits for quota compute of namespace ml: it needs 2 CPUs, and 1 CPU of 4 CPUs are left"
        }
        limits.let_go(first)
        assert list(limits.waits([second])) == ["second"]
        clock.now += timedelta(seconds=UNCOUNTED_SECONDS + 1)
        assert limits.waits([second]) == {}
        put_quota(double, {"requests.cpu": "4"}, {"requests.cpu": "3500m"})
        await limits.quotas.sync()
        assert "0.5 CPUs of 4 CPUs are left" in limits.waits([second])["second"]


async def test_a_quota_for_other_pods_says_nothing() -> None:
    double = KubeDouble()
    put_quota(double, {"requests.cpu": "1"}, {}, scopes=["BestEffort"])
    async with looked(double) as (limits, _):
        assert limits.refusals(a_spec(cpu_millicores=8000)) == []


async def test_what_may_not_be_read_confines_nothing_and_is_said() -> None:
    double = KubeDouble()
    double.denied = {("list", "resourcequotas"), ("list", "persistentvolumes")}
    async with double.serve() as url, KubeClient(Access(url=url)) as client:
        source = KubernetesNodes(client, now=Clock())
        limits = KubernetesLimits(client, namespace=HERE, nodes=source, images=None, default_image="a", now=Clock())
        problems = await limits.look_once()
        assert len(problems) == 2
        assert limits.refusals(a_spec(cpu_millicores=8000)) == []
        assert limits.waits([a_run("r", a_task("r"))]) == {}


async def test_on_a_mixed_cluster_a_run_waits_a_moment_for_its_images_and_their_nodes_are_told_apart() -> None:
    double, clock = KubeDouble(), Clock()
    put_node(double, "intel")
    put_node(double, "arm", kind="arm64", images=("private.example/a:1",))
    images = ImageBuilds(Registries(), allowed=["none.example"], now=clock)
    async with looked(double, clock, images) as (limits, nodes):
        task = a_task("r")
        task = replace(task, options=(replace(task.options[0], image="private.example/a:1"),))
        run = a_run("r", task)
        limits.confine(task, a_definition())
        assert "its registry is asked" in limits.waits([run])["r"]
        following = asyncio.create_task(limits.run_forever())
        while not images.is_known("private.example/a:1"):
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert limits.waits([run]) == {}
        confined = limits.confine(task, a_definition())
        said = next(refusal(confined, confined.options[0], node) for node in nodes if node.name == "intel")
        assert said is not None
        assert said.kind == "architecture"
        assert "private.example/a:1 is made for arm64, not amd64 (known from where it ran before" in said.text
        assert [nodes[index].name for index in NeedsTable(nodes).of(confined).nodes] == ["arm"]


async def test_nobody_waits_for_a_registry_for_long() -> None:
    double, clock = KubeDouble(), Clock()
    put_node(double, "arm", kind="arm64")
    images = ImageBuilds(Registries(), allowed=["*"], now=clock)
    async with looked(double, clock, images) as (limits, _):
        run = a_run("r", a_task("r"))
        assert list(limits.waits([run])) == ["r"]
        clock.now += timedelta(seconds=LOOKING_SECONDS + 1)
        assert limits.waits([run]) == {}


async def test_where_all_nodes_are_of_the_usual_kind_no_registry_is_asked() -> None:
    double = KubeDouble()
    put_node(double, "intel")
    images = ImageBuilds(Registries(), allowed=["*"], now=Clock())
    async with looked(double, images=images) as (limits, _):
        limits.confine(a_task("r"), a_definition())
        assert limits.waits([a_run("r", a_task("r"))]) == {}
        assert not images.is_wanting
