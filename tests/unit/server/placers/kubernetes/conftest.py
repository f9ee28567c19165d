"""Builders for the scheduler's view: nodes, pods and both together, written as in a specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from server.placers.kubernetes.nodes import Machine, Machines, read_machine
from server.placers.kubernetes.pod_reading import read_pod
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.reading import Part
from server.placers.kubernetes.scheduling import Question

MakePod = Callable[..., Pod]
MakeMachine = Callable[..., Machine]


def a_pod(name: str = "pod", labels: Mapping[str, str] | None = None, namespace: str = "default", **spec: Any) -> Pod:
    """A pod of one container; `requests` and `image` are the container's, everything else the pod's."""
    container: dict[str, Any] = {"resources": {"requests": spec.pop("requests", {})}, "image": spec.pop("image", "")}
    return read_pod(name, Part({"containers": [container], **spec}, "spec"), labels or {}, namespace)


def a_machine(name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Machine:
    """A node of four processors; `extra` is what else it has to give."""
    has = {"cpu": cpu, "memory": memory, "pods": pods, **more.pop("extra", {})}
    return read_machine(Part({"name": name, "allocatable": has, **more}, "node"))


@pytest.fixture
def pod() -> MakePod:
    """Builds pods."""
    return a_pod


@pytest.fixture
def machine() -> MakeMachine:
    """Builds nodes."""
    return a_machine


@pytest.fixture
def feasible() -> Callable[[Pod, Machines], list[str]]:
    """The names of the nodes that can run a pod now."""
    return lambda pod, machines: [machines.nodes[index].name for index in Question(pod, machines).feasible()]


@pytest.fixture
def scores() -> Callable[[Pod, Machines, str], dict[str, int]]:
    """A plug-in's weighted scores by node; empty where it does not score."""

    def of(pod: Pod, machines: Machines, plugin: str) -> dict[str, int]:
        question = Question(pod, machines)
        decision = question.decide(question.feasible())
        found = decision.scores.get(plugin, ())
        return {machines.nodes[node].name: int(score) for node, score in zip(decision.nodes, found, strict=False)}

    return of
