"""What a pod holds is counted as Kubernetes' scheduler counts it."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.resources import Resources
from server.kube.pod_requests import beside_requests, requests_of


def container(name: str = "", cpu: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}} if cpu else {}, **more}


def sidecar(name: str, cpu: str) -> dict[str, Any]:
    return container(name, cpu, restartPolicy="Always")


def told(name: str, given: str, key: str = "resources") -> dict[str, Any]:
    return {"name": name, key: {"requests": {"cpu": given}} if key == "resources" else {"cpu": given}}


REFUSED = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]
DEFERRED = [{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]


@pytest.mark.parametrize(
    ("spec", "millicores"),
    [
        ({"containers": [container("main", "1"), container("wait", "250m")]}, 1250),
        ({"containers": [container("main", "1")], "initContainers": [container("init", "3")]}, 3000),
        ({"containers": [container("main", "2")], "initContainers": [sidecar("proxy", "500m")]}, 2500),
        ({"containers": [container("main", "1")], "initContainers": [sidecar("p", "1"), container("i", "3")]}, 4000),
        ({"containers": [container("main", "1")], "initContainers": [container("i", "3"), sidecar("p", "1")]}, 3000),
        ({"containers": [container("main", "2"), container("w")], "overhead": {"cpu": "100m"}}, 2100),
        ({"containers": [container("main")], "resources": {"requests": {"cpu": "4"}}}, 4000),
        ({"containers": [container("main", "1")], "resources": {"requests": {"cpu": "4"}}}, 4000),
        ({"containers": [container("main", "1")], "resources": {"limits": {"cpu": "4"}}}, 1000),
        ({"containers": [container("main")], "resources": {"limits": {"cpu": "4"}}, "overhead": {"cpu": "1"}}, 5000),
        ({"containers": [container("main", "1")], "resources": {"requests": {"memory": "4"}}}, 1000),
        ({"containers": []}, 0),
        ({}, 0),
    ],
)
def test_containers_sidecars_and_the_pod_as_a_whole(spec: dict[str, Any], millicores: int) -> None:
    assert requests_of({"spec": spec}) == requests_of({"spec": spec, "status": None})
    assert requests_of({"spec": spec}).cpu_millicores == millicores
    assert requests_of({"spec": spec}).pods == 1


@pytest.mark.parametrize(
    ("given", "conditions", "millicores"),
    [
        (told("main", "3"), [], 3000),
        (told("main", "1"), [], 2000),
        (told("main", "1"), DEFERRED, 2000),
        (told("main", "1"), REFUSED, 1000),
        (told("main", "1500m", "allocatedResources"), REFUSED, 1500),
        (told("other", "9"), REFUSED, 2000),
    ],
)
def test_the_larger_of_what_is_asked_and_given_counts_in_a_resize(
    given: dict[str, Any], conditions: list[Any], millicores: int
) -> None:
    status = {"containerStatuses": [given], "conditions": conditions}
    pod = {"spec": {"containers": [container("main", "2")]}, "status": status}
    assert requests_of(pod).cpu_millicores == millicores


def test_accelerators_may_be_limits_and_huge_pages_are_none() -> None:
    limits = {"nvidia.com/gpu": "1", "cpu": "500m", "memory": "1Gi", "hugepages-2Mi": "4Mi"}
    pod = {"spec": {"containers": [{"name": "main", "resources": {"limits": limits}}]}}
    asked = Resources.of(cpu_millicores=500, memory_bytes=2**30, accelerators={"nvidia.com/gpu": 1}, pods=1)
    assert requests_of(pod) == asked


@pytest.mark.parametrize(
    ("spec", "millicores"),
    [
        ({"containers": [container("main", "1")]}, 0),
        ({"containers": [container("wait", "250m"), container("main", "1")]}, 250),
        ({"containers": [container("train", "1"), container("proxy", "100m")]}, 100),
        ({"containers": [container("main", "1")], "initContainers": [container("init", "3")]}, 2000),
        ({"containers": [container("main", "1")], "initContainers": [container("init", "1")]}, 0),
        ({"containers": [container("main", "1")], "overhead": {"cpu": "50m"}}, 50),
        ({}, 0),
    ],
)
def test_what_stands_beside_a_task_is_what_its_own_container_did_not_ask_for(
    spec: dict[str, Any], millicores: int
) -> None:
    assert beside_requests({"spec": spec}) == Resources(cpu_millicores=millicores)


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        requests_of({"spec": {"containers": [container("main", "lots")]}})
