"""`cluster.toml`: the virtual nodes of this machine, the folders behind volumes, and what agents load ahead.

[[node]]
name = "small"
cpus = 1             # what tasks request against
speed = 0.25         # the share of a real core that ONE of its cpus gets
memory = "1Gi"
labels = { worker_type = "low" }
taints = [{ key = "dedicated", value = "ml", effect = "NoSchedule" }]
accelerators = [{ kind = "nvidia.com/gpu", count = 1, memory = "16Gi" }]
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlopx.spec import parse_memory
from server.domain.errors import ConfigurationError
from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, ZONE_LABEL, Node, Taint
from server.domain.resources import Resources
from server.domain.toml_text import parse_toml

KNOWN = {
    "": {"node", "node_group", "volume", "agent", "allow_overcommit"},
    "node": {
        "name",
        "cpus",
        "speed",
        "memory",
        "labels",
        "taints",
        "accelerators",
        "zone",
        "price_per_hour",
        "pods",
    },
    "node_group": {
        "name",
        "cpus",
        "speed",
        "memory",
        "labels",
        "taints",
        "accelerators",
        "zone",
        "price_per_hour",
        "pods",
        "max_nodes",
        "startup_seconds",
    },
    "volume": {"name", "folder"},
    "agent": {"preload", "throttle"},
}
DEFAULT_PRELOAD = ("numpy", "sklearn.ensemble", "sklearn.linear_model", "sklearn.neural_network")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the file says. `volumes` maps claim names, or `server:path` of NFS, to folders."""

    nodes: tuple[Node, ...]
    groups: tuple[Node, ...] = ()
    volumes: Mapping[str, Path] = field(default_factory=dict)
    preload: tuple[str, ...] = DEFAULT_PRELOAD
    throttle: str = "auto"
    warnings: tuple[str, ...] = ()

    def with_volumes(self, volumes: Mapping[str, Path]) -> Cluster:
        """The same cluster with other volumes."""
        return replace(self, volumes=dict(volumes))


def read_cluster(path: Path, usable_cores: float) -> Cluster:
    """Read a cluster file. Raises ConfigurationError naming the file, table and key."""
    try:
        document = parse_toml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the cluster file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"the cluster file {path} {error}") from error
    reader = _Reader(path)
    reader.require_known("", document)
    tables = {key: reader.tables("top level", document, key) for key in ("node", "node_group", "volume")}
    nodes = tuple(reader.node("node", index, table) for index, table in enumerate(tables["node"]))
    groups = tuple(reader.group(index, table) for index, table in enumerate(tables["node_group"]))
    if not nodes:
        raise ConfigurationError(f"the cluster file {path} has no [[node]]", hint="add one with name, cpus and memory")
    names = [node.name for node in (*nodes, *groups)]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigurationError(f"the cluster file {path} names {', '.join(twice)} twice")
    agent = document.get("agent", {})
    reader.require_known("agent", agent)
    preload = agent.get("preload", list(DEFAULT_PRELOAD))
    if not isinstance(preload, list) or not all(isinstance(name, str) for name in preload):
        raise reader.fail("[agent]", f"preload must be a list of module names, not {preload!r}")
    return Cluster(
        nodes=nodes,
        groups=groups,
        volumes=reader.volumes(tables["volume"]),
        preload=tuple(preload),
        throttle=reader.throttle(agent.get("throttle", "auto")),
        warnings=reader.check_cores(nodes, usable_cores, is_allowed=bool(document.get("allow_overcommit"))),
    )


def default_cluster(cores: float, memory_bytes: int) -> Cluster:
    """Three nodes that differ, made up from the usable cores: half of them fast, the rest medium and slow."""
    fast = max(1, int(cores / 2))
    rest = max(1, int(cores - fast))
    scale = min(cores / 2, 1.0)
    table = (
        ("small", max(1, rest // 2), round(0.3 * scale, 3), "low", 0.2),
        ("medium", rest, round(0.6 * scale, 3), "med", 0.3),
        ("large", fast, round(scale, 3), "high-cpu", 0.5),
    )
    nodes = tuple(
        node_of(name, cpus * 1000, speed, int(memory_bytes * share * 0.8), {"worker_type": kind, "n_cpu_flags": "0"})
        for name, cpus, speed, kind, share in table
    )
    return Cluster(nodes=nodes)


def usable_cores() -> float:
    """The cores this process may really use: its affinity, and the CPU quota of the cgroup it is in."""
    cores = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    quota = _quota()
    return min(cores, quota) if quota else cores


def usable_memory_bytes() -> int:
    """Physical memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quota() -> float | None:
    try:
        text = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if text[0] == "max" else int(text[0]) / int(text[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        quota = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None


def node_of(name: str, millicores: int, speed: float, memory: int, labels: Mapping[str, str], **more: Any) -> Node:
    """A node of this machine. `speed`: the share of a real core per CPU; `memory` in bytes."""
    accelerators: Mapping[str, int] = more.pop("accelerators", {})
    pods: int = more.pop("pods", 110)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    base = {HOSTNAME_LABEL: name, ARCHITECTURE_LABEL: architecture, "kubernetes.io/os": "linux"}
    has = Resources.of(cpu_millicores=millicores, memory_bytes=memory, accelerators=accelerators, pods=pods)
    return Node(name=name, allocatable=has, labels={**base, **labels}, speed=speed, speeds={"share": speed}, **more)


class _Reader:
    """Reads tables of one file, and says where something is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fail(self, where: str, what: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"the cluster file {self._path}: {where}: {what}", hint=hint)

    def require_known(self, table: str, document: Any) -> None:
        if not isinstance(document, dict):
            raise self.fail(table or "top level", f"must be a table, not {document!r}")
        unknown = sorted(set(document) - KNOWN[table])
        if unknown:
            known = ", ".join(sorted(KNOWN[table]))
            raise self.fail(table or "top level", f"unknown key {', '.join(unknown)}", hint=f"known are: {known}")

    def node(self, table: str, index: int, document: Any, **more: Any) -> Node:
        self.require_known(table, document)
        name = document.get("name")
        where = f"[[{table}]] {name or index + 1}"
        if not isinstance(name, str) or not name:
            raise self.fail(where, "has no name")
        labels = self.labels(where, document.get("labels", {}))
        if "zone" in document:
            labels[ZONE_LABEL] = str(document["zone"])
        devices = [self.device(where, one) for one in self.tables(where, document, "accelerators")]
        return node_of(
            name,
            int(self.number(where, document, "cpus") * 1000),
            self.number(where, document, "speed", 1.0),
            self.memory(where, document.get("memory", "1Gi")),
            labels,
            taints=tuple(self.taint(where, one) for one in self.tables(where, document, "taints")),
            accelerators={kind: count for kind, count, _ in devices},
            accelerator_memory_bytes={kind: memory for kind, _, memory in devices if memory is not None},
            price_per_hour=self.number(where, document, "price_per_hour") if "price_per_hour" in document else None,
            pods=int(self.number(where, document, "pods", 110)),
            **more,
        )

    def group(self, index: int, document: Any) -> Node:
        self.require_known("node_group", document)
        name = str(document.get("name", ""))
        seconds = self.number(f"[[node_group]] {name or index + 1}", document, "startup_seconds", 60)
        return self.node("node_group", index, document, group=name, is_virtual=True, startup_seconds=seconds)

    def tables(self, where: str, document: Mapping[str, Any], key: str) -> Sequence[Any]:
        value = document.get(key, [])
        if not isinstance(value, list):
            raise self.fail(where, f"{key} must be a list of tables, like [{{ ... }}], not {value!r}")
        return value

    def labels(self, where: str, document: Any) -> dict[str, str]:
        if not isinstance(document, dict) or any(isinstance(value, dict | list) for value in document.values()):
            raise self.fail(where, f'labels must be a table of texts, like {{ kind = "fast" }}, not {document!r}')
        return {str(key): str(value) for key, value in document.items()}

    def number(self, where: str, document: Mapping[str, Any], key: str, default: float | None = None) -> float:
        value = document.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise self.fail(where, f"{key} must be a number above 0, not {value!r}")
        return float(value)

    def memory(self, where: str, value: Any) -> int:
        try:
            return parse_memory(value)
        except ValueError as error:
            raise self.fail(where, str(error)) from error

    def taint(self, where: str, document: Any) -> Taint:
        effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        if not isinstance(document, dict) or "key" not in document or document.get("effect", effects[0]) not in effects:
            raise self.fail(where, f"a taint needs a key and an effect of {', '.join(effects)}, not {document!r}")
        return Taint(str(document["key"]), str(document.get("value", "")), str(document.get("effect", effects[0])))

    def device(self, where: str, document: Any) -> tuple[str, int, int | None]:
        if not isinstance(document, dict) or "kind" not in document:
            raise self.fail(where, f"an accelerator needs a kind and a count, not {document!r}")
        memory = self.memory(where, document["memory"]) if "memory" in document else None
        return str(document["kind"]), int(self.number(where, document, "count", 1)), memory

    def volumes(self, tables: Sequence[Any]) -> dict[str, Path]:
        found = {}
        for table in tables:
            self.require_known("volume", table)
            if "name" not in table or "folder" not in table:
                raise self.fail("[[volume]]", "needs a name (the claim, or server:path of NFS) and a folder")
            folder = (self._path.parent / str(table["folder"])).resolve()
            if not folder.is_dir():
                raise self.fail(f"[[volume]] {table['name']}", f"folder {folder} does not exist")
            found[str(table["name"])] = folder
        return found

    def throttle(self, value: Any) -> str:
        if value not in ("auto", "cgroup-v2", "cgroup-v1", "governor", "none"):
            raise self.fail("[agent]", f"throttle {value!r} is not auto, cgroup-v2, cgroup-v1, governor or none")
        return str(value)

    def check_cores(self, nodes: Sequence[Node], cores: float, *, is_allowed: bool) -> tuple[str, ...]:
        promised = sum(node.allocatable.cpu_millicores / 1000 * node.speed for node in nodes)
        if promised <= cores * 1.001:
            return ()
        text = f"the nodes promise {promised:g} cores (cpus x speed), but this machine has {cores:g} to give"
        if not is_allowed:
            raise self.fail("[[node]]", text, hint="lower speeds or cpus, or set allow_overcommit = true")
        return (f"{text}: speeds will depend on who else runs",)
