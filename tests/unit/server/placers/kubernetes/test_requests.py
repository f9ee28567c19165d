"""What a pod asks for in all, and what counts in scores."""

from __future__ import annotations

from typing import Any

import pytest

from server.placers.kubernetes.pod_reading import read_pod
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.reading import MalformedError, Part

MIB = 2**20


def spec(**parts: Any) -> Pod:
    return read_pod("pod", Part(parts, "spec"), {}, "default")


def container(limits: dict[str, str] | None = None, **requests: str) -> dict[str, Any]:
    return {"resources": {"requests": requests, "limits": limits or {}}}


def test_containers_run_side_by_side_and_add_up() -> None:
    pod = spec(containers=[container(cpu="500m", memory="1Gi"), container(cpu="1", memory="512Mi")])
    assert pod.requests == {"cpu": 1500, "memory": 1536 * MIB}
    assert (pod.scored_cpu_millicores, pod.scored_memory_bytes) == (1500, 1536 * MIB)


def test_initialising_containers_run_before_one_at_a_time() -> None:
    pod = spec(
        initContainers=[container(cpu="2", memory="1Gi"), container(cpu="1", memory="3Gi")],
        containers=[container(cpu="1", memory="1Gi"), container(cpu="500m", memory="1Gi")],
    )
    assert pod.requests == {"cpu": 2000, "memory": 3072 * MIB}


def test_a_sidecar_runs_beside_what_comes_after_it() -> None:
    sidecar = {**container(cpu="1", memory="1Gi"), "restartPolicy": "Always"}
    pod = spec(
        initContainers=[container(cpu="4"), sidecar, container(cpu="3500m")],
        containers=[container(cpu="2", memory="1Gi")],
    )
    assert pod.requests == {"cpu": 4500, "memory": 2048 * MIB}


def test_overhead_comes_on_top() -> None:
    pod = spec(containers=[container(cpu="1")], overhead={"cpu": "250m", "memory": "120Mi"})
    assert pod.requests == {"cpu": 1250, "memory": 120 * MIB}


def test_a_limit_without_a_request_is_the_request() -> None:
    pod = spec(containers=[container(limits={"cpu": "2", "nvidia.com/gpu": "1"}, cpu="1")])
    assert pod.requests == {"cpu": 1000, "nvidia.com/gpu": 1}


def test_what_is_not_asked_for_counts_in_scores_per_container() -> None:
    pod = spec(containers=[container(), container(cpu="1"), container(memory="1Gi")])
    assert pod.requests == {"cpu": 1000, "memory": 1024 * MIB}
    assert pod.scored_cpu_millicores == 100 + 1000 + 100
    assert pod.scored_memory_bytes == (200 + 200 + 1024) * MIB


def test_a_request_of_nothing_counts_as_nothing() -> None:
    pod = spec(containers=[container(cpu="0", memory="0")])
    assert (pod.scored_cpu_millicores, pod.scored_memory_bytes) == (0, 0)


def test_fractions_are_added_before_they_are_rounded_but_thousandths_are_the_smallest() -> None:
    pod = spec(containers=[container(cpu="0.0005", memory="0.5"), container(cpu="1n", memory="0.5")])
    assert pod.requests == {"cpu": 2, "memory": 1}
    assert spec(containers=[container(memory="16Pi")]).requests == {"memory": 2**54}


def test_the_pods_own_request_replaces_the_sum() -> None:
    pod = spec(containers=[container(cpu="1", memory="1Gi")], resources={"requests": {"cpu": "3"}})
    assert pod.requests == {"cpu": 3000, "memory": 1024 * MIB}


def test_the_pods_own_limit_stands_in_where_nothing_is_asked_for() -> None:
    pod = spec(containers=[container(cpu="1")], resources={"limits": {"cpu": "3", "memory": "2Gi"}})
    assert pod.requests == {"cpu": 1000, "memory": 2048 * MIB}


def test_a_limit_of_the_pod_makes_all_that_its_containers_ask_for_its_own() -> None:
    containers = [container(cpu="1", memory="1Gi"), container(cpu="1")]
    pod = spec(containers=containers, resources={"limits": {"cpu": "3"}})
    assert pod.requests == {"cpu": 2000, "memory": 1024 * MIB}
    assert (pod.scored_memory_bytes, pod.held_memory_bytes) == (1224 * MIB, 1024 * MIB)


def test_huge_pages_are_the_pods_limit_and_not_what_its_containers_take() -> None:
    pages = container({"hugepages-2Mi": "4Mi"}, memory="1Gi")
    both = spec(containers=[pages, container()], resources={"limits": {"hugepages-2Mi": "8Mi"}})
    assert both.requests == {"hugepages-2Mi": 8 * MIB, "memory": 1024 * MIB}
    assert both.held_memory_bytes == 1024 * MIB
    implied = spec(containers=[pages, container()], resources={"requests": {"cpu": "1"}})
    assert implied.requests == {"cpu": 1000, "hugepages-2Mi": 4 * MIB, "memory": 1024 * MIB}
    assert implied.held_memory_bytes == 1024 * MIB


def test_once_bound_a_pod_is_taken_at_its_own_word_and_before_that_at_its_containers() -> None:
    whole = spec(containers=[container(cpu="1", memory="1Gi")], resources={"requests": {"cpu": "3", "memory": "4Gi"}})
    assert (whole.scored_cpu_millicores, whole.held_cpu_millicores) == (1000, 3000)
    assert (whole.scored_memory_bytes, whole.held_memory_bytes) == (1024 * MIB, 4096 * MIB)
    containers = [container(memory="1Gi"), container()]
    pod = spec(containers=containers, resources={"requests": {"cpu": "1"}})
    assert (pod.scored_memory_bytes, pod.held_memory_bytes) == (1224 * MIB, 1024 * MIB)
    without = spec(containers=[container(), container()], resources={"requests": {"cpu": "1"}})
    assert (without.scored_memory_bytes, without.held_memory_bytes) == (400 * MIB, 400 * MIB)
    plain = spec(containers=containers)
    assert (plain.scored_memory_bytes, plain.held_memory_bytes) == (1224 * MIB, 1224 * MIB)


def test_resources_that_the_scheduler_does_not_know_are_left_out() -> None:
    pod = spec(
        containers=[container(**{"cpu": "1", "storage": "1Gi", "example.com/dongle": "2", "hugepages-2Mi": "4Mi"})]
    )
    assert pod.requests == {"cpu": 1000, "example.com/dongle": 2, "hugepages-2Mi": 4 * MIB}


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ({}, "spec: 'containers' is missing"),
        ({"containers": {}}, r"spec.containers: should be a list, is a mapping"),
        ({"containers": ["x"]}, r"spec.containers\[0\]: should be a mapping, is text"),
        (
            {"containers": [container(cpu="many")]},
            r"spec.containers\[0\].resources.requests.cpu: 'many' is not a quant",
        ),
        ({"containers": [container(memory="-1Gi")]}, r"spec.containers\[0\].resources.requests.memory: .* negative"),
        ({"containers": [container()], "nodeSelector": {"a": 1}}, "spec.nodeSelector.a: should be text, is a number"),
        ({"containers": [container()], "tolerations": [{"key": 3}]}, r"spec.tolerations\[0\].key: should be text"),
        ({"containers": [container()], "hostNetwork": "yes"}, "spec.hostNetwork: should be true or false"),
        (
            {"containers": [container()], "topologySpreadConstraints": [{"whenUnsatisfiable": "Never"}]},
            r"topologySpreadConstraints\[0\].whenUnsatisfiable: should be DoNotSchedule or ScheduleAnyway",
        ),
    ],
)
def test_a_broken_specification_is_refused_with_the_place(broken: dict[str, Any], place: str) -> None:
    with pytest.raises(MalformedError, match=place):
        spec(**broken)
