"""Accelerators that only their drivers tell of, and what claims hold of them, over a double of the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from server.cluster.kubernetes import KubernetesNodes
from server.domain.node import Occupancy
from server.domain.resources import Resources
from server.kube.access import Access
from server.kube.client import KubeClient
from server.kube.devices import EXTENDED, ClassSeen, read_class
from server.testing.kube import KubeDouble

AT = datetime(2026, 1, 1, tzinfo=UTC)
GPU = "gpu.nvidia.com"
BY_DRIVER = "device.driver == 'gpu.nvidia.com'"
WHOLE = f"{BY_DRIVER} && device.attributes['gpu.nvidia.com'].type == 'gpu'"


def a_node(name: str, **extended: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110", **extended}},
    }


def a_device(name: str, *, memory: str = "80Gi", kind: str = "gpu", **more: Any) -> dict[str, Any]:
    attributes = {"type": {"string": kind}, "productName": {"string": "NVIDIA H100"}, "index": {"int": 0}}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}, **more}


def a_slice(
    name: str, node: str | None, *devices: dict[str, Any], generation: int = 1, is_basic: bool = False
) -> dict[str, Any]:
    told = [{"name": one.pop("name"), "basic": one} for one in devices] if is_basic else list(devices)
    pool = {"name": node or "shared", "generation": generation, "resourceSliceCount": 1}
    spec = {"driver": GPU, "pool": pool, "devices": told, **({"nodeName": node} if node else {"allNodes": True})}
    return {"metadata": {"name": name}, "spec": spec}


def a_claim(name: str, node: str, *devices: str, **more: Any) -> dict[str, Any]:
    results = [{"request": "r", "driver": GPU, "pool": node, "device": one, **more} for one in devices]
    return {
        "metadata": {"name": name, "namespace": "x"},
        "status": {"allocation": {"devices": {"results": results}}, "reservedFor": [{"resource": "pods", "name": "p"}]},
    }


def a_class(name: str = "gpus", resource: str | None = "nvidia.com/gpu", cel: str = WHOLE) -> dict[str, Any]:
    asked = {"extendedResourceName": resource} if resource else {}
    return {"metadata": {"name": name}, "spec": {"selectors": [{"cel": {"expression": cel}}], **asked}}


def a_cluster(version: str | None = "v1") -> KubeDouble:
    double = KubeDouble()
    double.device_version = version
    double.objects.put("nodes", a_node("one"))
    return double


@asynccontextmanager
async def source(double: KubeDouble) -> AsyncIterator[KubernetesNodes]:
    async def short_sleep(seconds: float) -> None:
        await asyncio.sleep(0.001)

    async with double.serve() as url, KubeClient(Access(url=url), sleep=short_sleep) as client:
        yield KubernetesNodes(client, now=lambda: AT, sleep=short_sleep)


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1"])
async def test_a_node_has_what_its_drivers_tell_of_with_model_and_memory(version: str) -> None:
    double = a_cluster(version)
    devices = [a_device("gpu-0"), a_device("gpu-1", memory="40Gi"), a_device("gpu-0-mig-1", kind="mig")]
    double.objects.put("resourceslices", a_slice("s", "one", *devices, is_basic=version == "v1beta1"))
    double.objects.put("deviceclasses", a_class())
    async with source(double) as nodes:
        [node] = (await nodes.look()).nodes
        again = (await nodes.look()).nodes
    assert node.allocatable.accelerators == (("nvidia.com/gpu", 2),)
    assert node.accelerator_memory_bytes == {"nvidia.com/gpu": 40 * 2**30}
    assert node.accelerator_models == {"nvidia.com/gpu": "NVIDIA H100"}
    assert again == (node,)


async def test_claims_hold_devices_and_those_of_extended_resources_are_counted_by_their_pods() -> None:
    double = a_cluster()
    double.objects.put("resourceslices", a_slice("s", "one", *(a_device(f"gpu-{n}") for n in range(4))))
    double.objects.put("deviceclasses", a_class())
    double.objects.put("resourceclaims", a_claim("held", "one", "gpu-0", "gpu-1", "unknown"))
    double.objects.put("resourceclaims", a_claim("admin", "one", "gpu-2", adminAccess=True))
    extended = a_claim("extended", "one", "gpu-3")
    extended["metadata"]["annotations"] = {EXTENDED: "true"}
    double.objects.put("resourceclaims", extended)
    double.objects.put("resourceclaims", {"metadata": {"name": "waits", "namespace": "x"}, "spec": {}})
    async with source(double) as nodes:
        seen = await nodes.look()
    assert list(seen.foreign) == [Occupancy("one", Resources.of(accelerators={"nvidia.com/gpu": 2}))]
    assert not seen.problems


async def test_what_a_node_tells_of_itself_counts_once() -> None:
    double = a_cluster()
    double.objects.put("nodes", a_node("one", **{"nvidia.com/gpu": "2"}))
    double.objects.put("resourceslices", a_slice("s", "one", a_device("gpu-0"), a_device("gpu-1")))
    double.objects.put("resourceclaims", a_claim("held", "one", "gpu-0"))
    async with source(double) as nodes:
        seen = await nodes.look()
    assert seen.nodes[0].allocatable.accelerators == (("nvidia.com/gpu", 2),)
    assert not seen.foreign


async def test_only_slices_of_the_newest_generation_count_and_only_devices_that_may_be_used() -> None:
    double = a_cluster()
    double.objects.put("resourceslices", a_slice("old", "one", a_device("gpu-0"), a_device("gpu-1")))
    broken = a_device("gpu-2", taints=[{"key": "broken", "effect": "NoExecute"}])
    double.objects.put("resourceslices", a_slice("new", "one", a_device("gpu-0"), broken, generation=2))
    double.objects.put("resourceslices", a_slice("network", None, a_device("nic")))
    async with source(double) as nodes:
        [node] = (await nodes.look()).nodes
    assert node.allocatable.accelerators == ((GPU, 1),)


@pytest.mark.parametrize(("version", "denied"), [(None, False), ("v1", True)])
async def test_without_the_api_or_the_right_nodes_have_what_they_tell_of(version: str | None, denied: bool) -> None:
    double = a_cluster(version)
    double.objects.put("resourceslices", a_slice("s", "one", a_device("gpu-0")))
    if denied:
        double.denied.add(("list", "resourceslices"))
    async with source(double) as nodes:
        seen = await nodes.look()
    assert seen.nodes[0].allocatable.accelerators == ()
    assert not seen.problems


async def test_that_nobody_knows_what_is_held_is_said() -> None:
    double = a_cluster()
    double.objects.put("resourceslices", a_slice("s", "one", a_device("gpu-0")))
    double.denied.add(("list", "resourceclaims"))
    async with source(double) as nodes:
        seen = await nodes.look()
    assert seen.nodes[0].allocatable.accelerators == ((GPU, 1),)
    assert any("what others hold of the devices of drivers is unknown" in one for one in seen.problems)


async def test_changes_come_by_watching() -> None:
    double = a_cluster()
    double.objects.put("resourceslices", a_slice("s", "one", a_device("gpu-0"), a_device("gpu-1")))
    async with source(double) as nodes:
        following = asyncio.create_task(nodes.run_forever())
        while not (seen := await nodes.look()).nodes[0].allocatable.accelerators:
            await asyncio.sleep(0.005)
        assert not seen.foreign
        double.objects.put("resourceclaims", a_claim("held", "one", "gpu-1"))
        while not (seen := await nodes.look()).foreign:
            await asyncio.sleep(0.005)
        assert list(seen.foreign) == [Occupancy("one", Resources.of(accelerators={GPU: 1}))]
        double.objects.delete("resourceslices", "", "s")
        while (await nodes.look()).nodes[0].allocatable.accelerators:
            await asyncio.sleep(0.005)
        following.cancel()
    lists = [call.plural for call in double.calls if call.verb == "list"]
    assert lists.count("resourceslices") <= 2


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (a_class(), ClassSeen(GPU, "gpu", "nvidia.com/gpu")),
        (a_class(cel=BY_DRIVER), ClassSeen(GPU, "", "nvidia.com/gpu")),
        (a_class(resource=None), None),
        (a_class(cel=f"{WHOLE} && device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('40Gi')) >= 0"), None),
        (a_class(cel="true"), None),
        ({"metadata": {"name": "empty"}}, None),
    ],
)
def test_a_class_names_a_resource_only_if_it_takes_all_devices_of_a_kind(told: Any, found: ClassSeen | None) -> None:
    assert read_class(told) == found
