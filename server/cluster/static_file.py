"""Nodes from a file: a plain description of a cluster that nobody needs to reach, for placing offline and for tests.

[[node]]
name = "gpu-1"
cpus = 8                 # or "7910m"; what tasks may be given
memory = "32Gi"          # "1Gi" by default
architecture = "amd64"   # the default
zone = "eu-1a"
speed = 1.5              # of one of its CPUs; 1 is the reference
labels = { disk = "ssd" }
taints = [{ key = "gpu", value = "yes", effect = "NoSchedule" }]
accelerators = [{ kind = "nvidia.com/gpu", count = 2, memory = "40Gi", model = "A100" }]

[[node_group]]           # nodes that an autoscaler would add: the same keys, and
startup_seconds = 120

The local platform's cluster file may be given too: what only it understands is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlopx.spec import parse_cpu, parse_memory
from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.domain.errors import ConfigurationError
from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, ZONE_LABEL, Node, Taint
from server.domain.resources import Resources
from server.domain.toml_text import parse_toml

MODEL_LABEL = "nvidia.com/gpu.product"
"""The label that an accelerator's `model` becomes."""

TABLES = {"node", "node_group"}
PASSED_OVER = {"volume", "agent", "allow_overcommit"}
NODE_KEYS = {
    *("name", "cpus", "memory", "pods", "architecture", "zone", "speed", "labels", "taints", "accelerators"),
    *("hostname", "price_per_hour", "is_schedulable"),
}
GROUP_KEYS = NODE_KEYS | {"startup_seconds", "max_nodes"}
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class StaticFileNodes(NodeSourceInterface):
    """Reads the file each time it is asked, so that an edit is seen. Node groups come as virtual nodes.

    `is_groups_only`: the nodes themselves are told by somebody else, a cluster say.
    """

    def __init__(self, path: Path, now: Callable[[], datetime], *, is_groups_only: bool = False) -> None:
        self.name = str(path)
        self._path, self._now, self._is_groups_only = path, now, is_groups_only

    async def look(self) -> NodesSeen:
        nodes = read_nodes(self._path)
        kept = tuple(node for node in nodes if node.is_virtual) if self._is_groups_only else nodes
        return NodesSeen(seen_at=self._now(), source=self.name, nodes=kept)


def read_nodes(path: Path) -> tuple[Node, ...]:
    """The nodes of a file, groups last. Raises ConfigurationError naming the file, the table and the key."""
    try:
        document = parse_toml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the cluster file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"the cluster file {path} {error}") from error
    return _Reader(path).nodes(document)


class _Reader:
    """Reads the tables of one file, and says where something is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def nodes(self, document: Mapping[str, Any]) -> tuple[Node, ...]:
        self._known("top level", document, TABLES | PASSED_OVER)
        nodes = [
            self._node("node", index, one) for index, one in enumerate(self._tables("top level", document, "node"))
        ]
        groups = [
            self._node("node_group", index, one)
            for index, one in enumerate(self._tables("top level", document, "node_group"))
        ]
        if not nodes and not groups:
            raise self._fail("top level", "has no [[node]]", "add one with name, cpus and memory")
        names = [node.name for node in (*nodes, *groups)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise self._fail("top level", f"names {', '.join(twice)} twice")
        return (*nodes, *groups)

    def _node(self, table: str, index: int, given: Any) -> Node:
        is_group = table == "node_group"
        self._known(f"[[{table}]] {index + 1}", given, GROUP_KEYS if is_group else NODE_KEYS)
        name = given.get("name")
        where = f"[[{table}]] {name or index + 1}"
        if not isinstance(name, str) or not name:
            raise self._fail(where, "has no name")
        devices = [self._device(where, one) for one in self._tables(where, given, "accelerators")]
        model = next((model for _, _, _, model in devices if model), None)
        labels = self._base_labels(where, name, given) | ({MODEL_LABEL: model} if model else {})
        labels |= self._labels(where, given.get("labels", {}))
        return Node(
            name=name,
            allocatable=Resources.of(
                cpu_millicores=self._amount(where, given, "cpus", parse_cpu),
                memory_bytes=self._amount(where, {"memory": "1Gi", **given}, "memory", parse_memory),
                accelerators={kind: count for kind, count, _, _ in devices},
                pods=int(self._number(where, given, "pods", 110)),
            ),
            labels=labels,
            taints=tuple(self._taint(where, one) for one in self._tables(where, given, "taints")),
            speed=self._number(where, given, "speed", 1.0),
            accelerator_memory_bytes={kind: memory for kind, _, memory, _ in devices if memory},
            is_schedulable=self._flag(where, given, "is_schedulable"),
            group=name if is_group else None,
            is_virtual=is_group,
            startup_seconds=self._number(where, given, "startup_seconds", 60.0) if is_group else 0.0,
            price_per_hour=self._number(where, given, "price_per_hour", 0.0) if "price_per_hour" in given else None,
        )

    def _base_labels(self, where: str, name: str, given: Mapping[str, Any]) -> dict[str, str]:
        for key in ("architecture", "zone", "hostname"):
            if not isinstance(given.get(key, ""), str):
                raise self._fail(where, f"{key} must be a text, not {given[key]!r}")
        labels = {HOSTNAME_LABEL: given.get("hostname", name), ARCHITECTURE_LABEL: given.get("architecture", "amd64")}
        return {**labels, "kubernetes.io/os": "linux", **({ZONE_LABEL: given["zone"]} if "zone" in given else {})}

    def _fail(self, where: str, what: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"the cluster file {self._path}: {where}: {what}", hint=hint)

    def _known(self, where: str, given: Any, known: set[str]) -> None:
        if not isinstance(given, dict):
            raise self._fail(where, f"must be a table, not {given!r}")
        unknown = sorted(set(given) - known)
        if unknown:
            hint = f"known are: {', '.join(sorted(known - PASSED_OVER))}"
            raise self._fail(where, f"unknown key {', '.join(unknown)}", hint)

    def _tables(self, where: str, given: Mapping[str, Any], key: str) -> list[Any]:
        found = given.get(key, [])
        if not isinstance(found, list):
            raise self._fail(where, f"{key} must be a list of tables, not {found!r}")
        return found

    def _labels(self, where: str, given: Any) -> dict[str, str]:
        if not isinstance(given, dict) or any(isinstance(value, dict | list) for value in given.values()):
            raise self._fail(where, f'labels must be a table of texts, like {{ disk = "ssd" }}, not {given!r}')
        words = {True: "true", False: "false"}
        return {key: words[value] if isinstance(value, bool) else str(value) for key, value in given.items()}

    def _amount(self, where: str, given: Mapping[str, Any], key: str, parse: Callable[[Any], int]) -> int:
        if key not in given:
            raise self._fail(where, f"has no {key}")
        try:
            return parse(given[key])
        except ValueError as error:
            raise self._fail(where, f"{key}: {error}") from error

    def _number(self, where: str, given: Mapping[str, Any], key: str, default: float) -> float:
        value = given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self._fail(where, f"{key} must be a number above 0, not {value!r}")
        return float(value)

    def _flag(self, where: str, given: Mapping[str, Any], key: str) -> bool:
        value = given.get(key, True)
        if not isinstance(value, bool):
            raise self._fail(where, f"{key} must be true or false, not {value!r}")
        return value

    def _taint(self, where: str, given: Any) -> Taint:
        if not isinstance(given, dict) or "key" not in given or given.get("effect", EFFECTS[0]) not in EFFECTS:
            raise self._fail(where, f"a taint needs a key and an effect of {', '.join(EFFECTS)}, not {given!r}")
        return Taint(str(given["key"]), str(given.get("value", "")), str(given.get("effect", EFFECTS[0])))

    def _device(self, where: str, given: Any) -> tuple[str, int, int | None, str]:
        if not isinstance(given, dict) or not isinstance(given.get("kind"), str):
            raise self._fail(where, f"an accelerator needs a kind and a count, not {given!r}")
        memory = self._amount(where, given, "memory", parse_memory) if "memory" in given else None
        return given["kind"], int(self._number(where, given, "count", 1)), memory, str(given.get("model", ""))


__all__ = ["MODEL_LABEL", "StaticFileNodes", "read_nodes"]
