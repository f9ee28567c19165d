"""Recorded events of a real scheduler: the nodes, and pods created and deleted one after the other.

Volumes, devices, services and other labels of namespaces than their names are not told of. A pod with a claim is taken
to wait for it; where it did not, the replay names `VolumeBinding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.placers.kubernetes.nodes import Machine, read_machine
from server.placers.kubernetes.pod_reading import read_pod
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.reading import Part


@dataclass(frozen=True, slots=True)
class Created:
    """A pod was created, and the scheduler decided.

    Attributes:
        scores: weighted scores by node and plug-in; zeros may be left out.
        final: their sum by node; empty where the scheduler did not need to score.
        bound_to: where the pod went, None if nowhere.
    """

    place: str
    pod: Pod
    scores: Mapping[str, Mapping[str, int]]
    final: Mapping[str, int]
    bound_to: str | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A pod was deleted."""

    place: str
    pod: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Nodes, and what happened on them."""

    machines: tuple[Machine, ...]
    events: tuple[Created | Deleted, ...]


def read_recording(document: Any) -> Recording:
    """Read a whole document. Raises MalformedError that names the place."""
    root = Part(document, "document")
    root.required("nodes"), root.required("events")
    machines = tuple(read_machine(_named(item, "nodes")) for item in root.items("nodes"))
    known: set[str] = set()
    for index, machine in enumerate(machines):
        if machine.name in known:
            raise Part(None, f"nodes[{index}].name").problem(f"{machine.name!r} is there twice")
        known.add(machine.name)
    return Recording(machines, tuple(_event(_named(item, "events"), known) for item in root.items("events")))


def _named(item: Part, key: str) -> Part:
    return Part(item.value, item.place.replace(f"document.{key}", key, 1))


def _event(item: Part, nodes: set[str]) -> Created | Deleted:
    kinds = [key for key in ("create", "delete") if item.part(key) is not None]
    if len(kinds) != 1:
        raise item.problem("should hold either 'create' or 'delete' with the name of a pod")
    name = item.required(kinds[0]).string()
    if kinds == ["delete"]:
        return Deleted(item.place, name)
    metadata = item.part("metadata") or item
    final = _scores(item.part("final"), nodes)
    bound_to = item.text("bound_to") or None
    if bound_to is not None:
        _check_node(item.required("bound_to"), bound_to, nodes)
    return Created(
        place=item.place,
        pod=read_pod(name, item.required("spec"), metadata.labels("labels"), metadata.text("namespace", "default")),
        scores=_plugins(item.part("scores"), nodes),
        final=final,
        bound_to=bound_to,
    )


def _plugins(item: Part | None, nodes: set[str]) -> dict[str, dict[str, int]]:
    found = {} if item is None else item.mapping()
    for name, part in found.items():
        _check_node(part, name, nodes)
    return {node: {name: score.integer() for name, score in part.mapping().items()} for node, part in found.items()}


def _scores(item: Part | None, nodes: set[str]) -> dict[str, int]:
    found = {} if item is None else item.mapping()
    for name, part in found.items():
        _check_node(part, name, nodes)
    return {name: part.integer() for name, part in found.items()}


def _check_node(item: Part, name: str, nodes: set[str]) -> None:
    if name not in nodes:
        raise item.problem(f"there is no node {name!r}")


__all__ = ["Created", "Deleted", "Recording", "read_recording"]
