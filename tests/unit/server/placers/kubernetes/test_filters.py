"""Which nodes can run a pod at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.placers.kubernetes.nodes import Machine, Machines
from server.placers.kubernetes.pods import Pod

MakePod = Callable[..., Pod]
MakeMachine = Callable[..., Machine]
Feasible = Callable[[Pod, Machines], list[str]]


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("term", "nodes"),
    [
        (expression("kind", "In", "a", "b"), ["one", "two"]),
        (expression("kind", "NotIn", "a"), ["two", "three"]),
        (expression("kind", "Exists"), ["one", "two"]),
        (expression("kind", "DoesNotExist"), ["three"]),
        (expression("size", "Gt", "10"), ["two"]),
        (expression("size", "Lt", "10"), ["one"]),
        (expression("size", "Gt", "-1"), ["one", "two"]),
        (expression("size", "Gt", "1_0"), []),
        (expression("size", "Gt", "many"), []),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["two"]}]}, ["two"]),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["two"]}]}, ["one", "three"]),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["one", "two"]}]}, []),
        ({}, []),
        (
            {
                **expression("kind", "Exists"),
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["two"]}],
            },
            ["two"],
        ),
    ],
)
def test_a_required_term_keeps_the_pod_to_the_nodes_it_matches(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, term: dict[str, Any], nodes: list[str]
) -> None:
    machines = Machines(
        [
            machine("one", labels={"kind": "a", "size": "2"}),
            machine("two", labels={"kind": "b", "size": "11"}),
            machine("three", labels={"size": "1_000"}),
        ]
    )
    assert feasible(pod(affinity=required(term)), machines) == nodes


def test_one_of_the_required_terms_is_enough_and_the_selector_holds_beside_them(
    pod: MakePod, machine: MakeMachine, feasible: Feasible
) -> None:
    machines = Machines([machine(name, labels={"kind": name, "disk": disk}) for name, disk in ("as", "bs", "ch")])
    terms = required(expression("kind", "In", "b"), expression("kind", "In", "c"))
    assert feasible(pod(affinity=terms), machines) == ["b", "c"]
    assert feasible(pod(affinity=terms, nodeSelector={"disk": "s"}), machines) == ["b"]
    assert feasible(pod(nodeSelector={"disk": "s", "nothing": "x"}), machines) == []


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "is_enough"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "PreferNoSchedule"}, False),
        ({"key": "gpu", "operator": "Gt", "value": "0"}, False),
    ],
)
def test_a_taint_that_repels_must_be_tolerated(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, toleration: dict[str, str], is_enough: bool
) -> None:
    machines = Machines([machine("one", taints=[TAINT])])
    assert feasible(pod(), machines) == []
    assert bool(feasible(pod(tolerations=[toleration]), machines)) is is_enough


def test_every_taint_must_be_tolerated_but_the_soft_ones(
    pod: MakePod, machine: MakeMachine, feasible: Feasible
) -> None:
    soft, old = {"key": "spot", "effect": "PreferNoSchedule"}, {"key": "old", "effect": "NoExecute"}
    machines = Machines([machine("soft", taints=[soft]), machine("both", taints=[TAINT, old])])
    assert feasible(pod(tolerations=[{"key": "gpu", "operator": "Exists"}]), machines) == ["soft"]
    assert feasible(pod(tolerations=[{"operator": "Exists"}]), machines) == ["soft", "both"]


def test_every_pod_stays_a_while_on_a_node_that_is_out_of_reach(
    pod: MakePod, machine: MakeMachine, feasible: Feasible
) -> None:
    away = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    machines = Machines([machine("away", taints=[away]), machine("shut", taints=[{**away, "effect": "NoSchedule"}])])
    assert feasible(pod(), machines) == ["away"]


@pytest.mark.parametrize(
    ("own", "is_taken"),
    [
        ({"operator": "Equal", "value": "no", "effect": "NoExecute"}, False),
        ({"operator": "Equal", "value": "no"}, False),
        ({"operator": "Equal", "value": "no", "effect": "NoSchedule"}, True),
        ({"operator": "Equal", "value": "", "effect": "NoExecute"}, True),
    ],
)
def test_a_pod_that_speaks_of_such_a_node_itself_is_taken_at_its_word(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, own: dict[str, Any], is_taken: bool
) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
    asking = pod(tolerations=[{"key": taint["key"], **own}])
    assert bool(feasible(asking, Machines([machine("one", taints=[taint])]))) is is_taken


def test_a_cordoned_node_takes_only_who_tolerates_it(pod: MakePod, machine: MakeMachine, feasible: Feasible) -> None:
    machines = Machines([machine("shut", unschedulable=True), machine("open", unschedulable=False)])
    assert feasible(pod(), machines) == ["open"]
    tolerant = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert feasible(tolerant, machines) == ["shut", "open"]


@pytest.mark.parametrize(
    ("requests", "nodes"),
    [
        ({"cpu": "4"}, ["small", "large"]),
        ({"cpu": "4001m"}, ["large"]),
        ({"memory": "8Gi"}, ["small", "large"]),
        ({"memory": "8589934593"}, ["large"]),
        ({"nvidia.com/gpu": "2"}, ["large"]),
        ({"nvidia.com/gpu": "3"}, []),
        ({"nvidia.com/gpu": "0"}, ["small", "large"]),
        ({"example.com/unheard-of": "1"}, []),
        ({"ephemeral-storage": "10Gi"}, ["large"]),
        ({"hugepages-2Mi": "2Mi"}, []),
        ({}, ["small", "large"]),
    ],
)
def test_what_is_asked_for_must_fit(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, requests: dict[str, str], nodes: list[str]
) -> None:
    large = machine("large", cpu="16", memory="64Gi", extra={"nvidia.com/gpu": "2", "ephemeral-storage": "10Gi"})
    assert feasible(pod(requests=requests), Machines([machine("small"), large])) == nodes


def test_what_runs_takes_its_room_and_gives_it_back(pod: MakePod, machine: MakeMachine, feasible: Feasible) -> None:
    machines = Machines([machine("one")])
    first = pod("first", requests={"cpu": "3"})
    machines.add(first, 0)
    assert feasible(pod(requests={"cpu": "1001m"}), machines) == []
    assert feasible(pod(requests={"cpu": "1"}), machines) == ["one"]
    machines.remove(first, 0)
    assert feasible(pod(requests={"cpu": "4"}), machines) == ["one"]


def test_a_node_takes_so_many_pods_and_no_more(pod: MakePod, machine: MakeMachine, feasible: Feasible) -> None:
    machines = Machines([machine("one", pods="1")])
    machines.add(pod("first"), 0)
    assert feasible(pod(), machines) == []


@pytest.mark.parametrize(
    ("port", "is_free"),
    [
        ({"hostPort": 80}, False),
        ({"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 81}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, False),
        ({"hostPort": 80, "hostIP": "0.0.0.0"}, False),
        ({"containerPort": 80}, True),
    ],
)
def test_a_host_port_can_be_had_once(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, port: dict[str, Any], is_free: bool
) -> None:
    machines = Machines([machine("one")])
    taken = {"hostPort": 80, "hostIP": "10.0.0.1", "protocol": "TCP"}
    machines.add(pod("first", containers=[{"ports": [taken]}]), 0)
    assert bool(feasible(pod(containers=[{"ports": [port]}]), machines)) is is_free


def test_a_port_that_two_pods_came_to_share_is_free_once_one_of_them_leaves(
    pod: MakePod, machine: MakeMachine, feasible: Feasible
) -> None:
    # as kube-scheduler 1.36 has it: two pods that name their node and the same port, one of them deleted
    machines = Machines([machine("one")])
    asked = [{"ports": [{"containerPort": 80, "hostPort": 80}]}]
    first, second = (pod(name, containers=asked, nodeName="one") for name in ("first", "second"))
    machines.add(first, 0)
    machines.add(second, 0)
    assert feasible(pod(containers=asked), machines) == []
    machines.remove(first, 0)
    assert feasible(pod(containers=asked), machines) == ["one"]


def test_on_the_hosts_network_every_port_is_a_host_port(pod: MakePod, machine: MakeMachine, feasible: Feasible) -> None:
    machines = Machines([machine("one")])
    machines.add(pod("first", containers=[{"ports": [{"containerPort": 80}]}], hostNetwork=True), 0)
    assert feasible(pod(containers=[{"ports": [{"hostPort": 80}]}]), machines) == []


def test_a_claim_that_nobody_knows_keeps_the_pod_waiting(
    pod: MakePod, machine: MakeMachine, feasible: Feasible
) -> None:
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    own = [{"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]
    assert feasible(pod(volumes=claim), Machines([machine("one")])) == []
    assert feasible(pod(volumes=own), Machines([machine("one")])) == []
    assert feasible(pod(volumes=[{"name": "scratch", "emptyDir": {}}]), Machines([machine("one")])) == ["one"]


def gce(**more: Any) -> dict[str, Any]:
    return {"gcePersistentDisk": {"pdName": "one", **more}}


def iscsi(**more: Any) -> dict[str, Any]:
    return {"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:one", "lun": 1, **more}}


def rbd(*monitors: str, **more: Any) -> dict[str, Any]:
    return {"rbd": {"monitors": list(monitors), "image": "one", **more}}


AWS = {"awsElasticBlockStore": {"volumeID": "one", "readOnly": True}}


@pytest.mark.parametrize(
    ("there", "asked", "is_free"),
    [
        (gce(), gce(), False),
        (gce(), gce(readOnly=True), False),
        (gce(readOnly=True), gce(readOnly=True), True),
        (gce(), gce(pdName="two"), True),
        (AWS, AWS, False),
        (iscsi(), iscsi(lun=2), False),
        (iscsi(readOnly=True), iscsi(readOnly=True), True),
        (rbd("m1", "m2"), rbd("m2", "m3", pool="rbd"), False),
        (rbd("m1"), rbd("m2"), True),
        (rbd("m1"), rbd("m1", pool="other"), True),
        (rbd("m1", readOnly=True), rbd("m1", readOnly=True), True),
        (gce(), {"hostPath": {"path": "/data"}}, True),
    ],
)
def test_a_disk_without_a_claim_is_shared_by_readers_only(
    pod: MakePod, machine: MakeMachine, feasible: Feasible, there: dict[str, Any], asked: dict[str, Any], is_free: bool
) -> None:
    machines = Machines([machine("one"), machine("two")])
    machines.add(pod("first", volumes=[{"name": "data", **there}]), 0)
    found = feasible(pod(volumes=[{"name": "data", **asked}]), machines)
    assert found == (["one", "two"] if is_free else ["two"])
