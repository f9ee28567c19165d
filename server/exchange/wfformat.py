"""WfFormat 1.5 (wfcommons.org): a recorded workflow execution as a problem on a cluster of one's own.

* A task is one of `workflow.specification.tasks`; its seconds, cores and memory stand in `workflow.execution.tasks`.
* Seconds on a node are the recorded ones, times the speed of the machine it ran on, divided by the node's speed. The
  first machine of the file has speed 1, the others their MHz by its; where a MHz is not known, 1.
* It requests the cores (1 where none are recorded) and the memory that were recorded.
* An edge goes from parent to child, named by either; its bytes are those of files that the parent writes and the child
  reads. Files that no task writes lie on every node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.exchange.clusters import Cluster
from server.exchange.document import ProblemDocument, Requests, TaskEntry
from server.exchange.errors import UnreadableError


def is_workflow(found: Any) -> bool:
    """Whether a JSON document is meant as WfFormat."""
    return isinstance(found, dict) and "workflow" in found and "nodes" not in found


def to_document(found: Mapping[str, Any], cluster: Cluster) -> ProblemDocument:
    """The workflow as a problem document. Raises UnreadableError naming the place."""
    return _Workflow(found).on(cluster)


class _Workflow:
    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found
        version = found.get("schemaVersion")
        if version not in ("1.4", "1.5"):
            raise UnreadableError(f"schemaVersion: WfFormat 1.5 is read here, not {version!r}")
        workflow = _object(found, "workflow", "")
        specification = _object(workflow, "specification", "workflow")
        execution = _object(workflow, "execution", "workflow")
        self.tasks = _list(specification, "tasks", "workflow.specification")
        self.files = _by_id(
            _list(specification, "files", "workflow.specification", default=[]), "workflow.specification.files"
        )
        self.runs = _by_id(_list(execution, "tasks", "workflow.execution"), "workflow.execution.tasks")
        self.speeds = _speeds(_list(execution, "machines", "workflow.execution", default=[]))

    def on(self, cluster: Cluster) -> ProblemDocument:
        """The problem on the cluster given."""
        return ProblemDocument(
            name=str(self.found.get("name", "")) or None,
            nodes=list(cluster.nodes),
            tasks=[self._task(number, cluster) for number in range(len(self.tasks))],
            edges=[(sender, receiver, size) for (sender, receiver), size in self._edges().items()],
            network=cluster.network,
        )

    def _task(self, number: int, cluster: Cluster) -> TaskEntry:
        place = f"workflow.specification.tasks[{number}]"
        name = _text(self.tasks[number], "id", place)
        ran = self.runs.get(name)
        if ran is None:
            raise UnreadableError(f"{place}: workflow.execution.tasks knows no run of {name!r}")
        where = f"workflow.execution.tasks, {name}"
        machines = ran.get("machines") or [None]
        seconds = _amount(ran, "runtimeInSeconds", where) * self.speeds.get(machines[0], 1.0)
        return TaskEntry(
            name=name,
            run_seconds=[seconds / speed for speed in cluster.speeds],
            requests=Requests(
                cpus=_amount(ran, "coreCount", where, default=1.0),
                memory_bytes=_amount(ran, "memoryInBytes", where, default=0.0),
            ),
        )

    def _edges(self) -> dict[tuple[str, str], float]:
        known = {task["id"]: task for task in self.tasks}
        found: dict[tuple[str, str], float] = {}
        for number, task in enumerate(self.tasks):
            place = f"workflow.specification.tasks[{number}]"
            pairs = [(parent, task["id"]) for parent in _list(task, "parents", place, default=[])]
            pairs += [(task["id"], child) for child in _list(task, "children", place, default=[])]
            for sender, receiver in pairs:
                if sender not in known or receiver not in known:
                    raise UnreadableError(f"{place}: there is no task {sender if sender not in known else receiver!r}")
                found[(sender, receiver)] = 0.0
        for sender, receiver in found:
            found[(sender, receiver)] = self._bytes(known[sender], known[receiver])
        return found

    def _bytes(self, sender: Mapping[str, Any], receiver: Mapping[str, Any]) -> float:
        shared = set(sender.get("outputFiles") or ()) & set(receiver.get("inputFiles") or ())
        missing = sorted(shared - self.files.keys())
        if missing:
            raise UnreadableError(
                f"workflow.specification.files: knows no {missing[0]!r}, which {sender['id']!r} writes"
            )
        place = "workflow.specification.files"
        return float(sum(_amount(self.files[name], "sizeInBytes", f"{place}, {name}") for name in shared))


def _speeds(machines: list[Any]) -> dict[str, float]:
    mhz = {}
    for number, machine in enumerate(machines):
        place = f"workflow.execution.machines[{number}]"
        cpu = machine.get("cpu") if isinstance(machine, dict) else None
        mhz[_text(machine, "nodeName", place)] = cpu.get("speedInMHz") if isinstance(cpu, dict) else None
    first = next(iter(mhz.values()), None)
    return {name: float(value) / float(first) if value and first else 1.0 for name, value in mhz.items()}


def _by_id(entries: list[Any], place: str) -> dict[str, Any]:
    return {_text(entry, "id", f"{place}[{number}]"): entry for number, entry in enumerate(entries)}


def _object(of: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    found = of.get(key)
    if not isinstance(found, dict):
        raise UnreadableError(f"{place}{'.' * bool(place)}{key}: must be an object")
    return found


def _list(of: Mapping[str, Any], key: str, place: str, default: list[Any] | None = None) -> list[Any]:
    found = of.get(key, default)
    if not isinstance(found, list):
        raise UnreadableError(f"{place}.{key}: must be a list")
    return found


def _text(of: Any, key: str, place: str) -> str:
    found = of.get(key) if isinstance(of, dict) else None
    if not isinstance(found, str) or not found:
        raise UnreadableError(f"{place}.{key}: must be a text")
    return found


def _amount(of: Mapping[str, Any], key: str, place: str, default: float | None = None) -> float:
    found = of.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < float("inf"):
        raise UnreadableError(f"{place}: {key} must be a number that is 0 or more")
    return float(found)


__all__ = ["is_workflow", "to_document"]
