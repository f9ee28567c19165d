"""The Argo Workflow object behind a run: its tree of nodes, as the controller keeps it in `status.nodes`.

Source: `argoproj.io/v1alpha1` and the names that KFP's backend compiler gives to templates and tasks. Times are whole
seconds. `is_compressed` and `is_offloaded` keep the nodes as large workflows do.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from datetime import datetime
from typing import Any

from server.testing.kube.objects import Object, Objects


class Workflow:
    """One Workflow, written through to the Kubernetes double with every change."""

    def __init__(self, objects: Objects, name: str, namespace: str, run_id: str, created_at: datetime) -> None:
        self._objects, self.name, self.namespace = objects, name, namespace
        self.nodes: dict[str, dict[str, Any]] = {}
        self.phase, self.message = "Running", ""
        self.is_compressed = self.is_offloaded = self.is_gone = self.is_stopped = False
        self._created_at = created_at
        self._finished_at: datetime | None = None
        self.labels = {"pipeline/runid": run_id}
        self.write()

    def put(self, path: str, type_: str, phase: str, at: datetime, **more: Any) -> None:
        """Say how a node stands; `path` is its name without the workflow's."""
        name = f"{self.name}.{path}" if path else self.name
        node_id = node_id_of(self.name, name)
        node = self.nodes.setdefault(
            node_id,
            {"id": node_id, "name": name, "displayName": name.rsplit(".", 1)[-1], "type": type_, "startedAt": _at(at)},
        )
        node.update(phase=phase, **{key: value for key, value in more.items() if value is not None})
        if phase in ("Succeeded", "Failed", "Error", "Skipped", "Omitted"):
            node["finishedAt"] = _at(at)
        self.write()

    def end(self, phase: str, at: datetime, message: str = "") -> None:
        """The whole of it is over; nodes that were running end with it."""
        self.phase, self.message, self._finished_at = phase, message, at
        for node in self.nodes.values():
            if node["phase"] in ("Running", "Pending"):
                node.update(phase="Failed" if phase != "Succeeded" else phase, finishedAt=_at(at), message=message)
        self.write()

    def stop(self) -> None:
        """KFP stops a run by giving its Workflow no time; Argo says nothing of it but at the pods that it ends."""
        self.is_stopped = True
        self.write()

    def write(self) -> None:
        """Put the object as it is now."""
        if not self.is_gone:
            self._objects.put("workflows", self.object())

    def collect(self) -> None:
        """Remove the object, as the controller does some time after the end."""
        self.is_gone = True
        self._objects.delete("workflows", self.namespace, self.name)

    def object(self) -> Object:
        """The Workflow as the Kubernetes API shows it."""
        status: dict[str, Any] = {"phase": self.phase, "startedAt": _at(self._created_at)}
        if self._finished_at is not None:
            status["finishedAt"] = _at(self._finished_at)
        if self.message:
            status["message"] = self.message
        if self.is_offloaded:
            status["offloadNodeStatusVersion"] = "fnv:1"
        elif self.is_compressed:
            status["compressedNodes"] = base64.b64encode(gzip.compress(json.dumps(self.nodes).encode())).decode()
        else:
            status["nodes"] = self.nodes
        about = {"name": self.name, "namespace": self.namespace, "labels": self.labels}
        return {
            "kind": "Workflow",
            "apiVersion": "argoproj.io/v1alpha1",
            "metadata": {**about, "creationTimestamp": _at(self._created_at)},
            "spec": {"activeDeadlineSeconds": 0} if self.is_stopped else {},
            "status": status,
        }


def node_id_of(workflow: str, name: str) -> str:
    """Argo's id of a node: the workflow's name and a hash of the node's."""
    if name == workflow:
        return workflow
    return f"{workflow}-{int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)}"


def _at(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
