"""The cluster file (TOML) that a workflow is planned on, for WfFormat files know no other machines than their own.

    [[node]]
    name = "fast"            # of `count` copies: fast-1, fast-2, ...
    count = 2
    speed = 2.0              # run time is divided by it; 1 where left out
    cpus = 16                # with cpus or memory several tasks run side by side; without, one at a time
    memory = "64Gi"          # or a number of bytes

    [network]
    bytes_per_second = 125e6      # of each node's card; or per [[node]]
    kind = "cards"                # or "uniform"
    sharing = "max_min"           # or "one_port", "contention_free"
    latency_seconds = 0.0001

A cluster file of the local platform is read too; what planning does not need is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from mlopx.spec import parse_memory
from server.domain.toml_text import parse_toml
from server.exchange.document import Amount, Name, NetworkEntry, NodeEntry, Part
from server.exchange.errors import UnreadableError
from server.exchange.loading import said

PASSED_OVER = {"labels", "taints", "zone", "pods", "accelerators"}
TOP_PASSED_OVER = {"node_group", "volume", "agent", "allow_overcommit"}
Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Node(Part):
    name: Name
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    speed: Speed = 1.0
    cpus: Amount | None = None
    memory: Amount | str | None = None
    exclusive: bool | None = None
    price_per_hour: Amount | None = None
    bytes_per_second: Speed | None = None


class _Network(Part):
    kind: Literal["none", "uniform", "cards"] = "cards"
    bytes_per_second: Speed | None = None
    latency_seconds: Amount = 0.0
    sharing: Literal["contention_free", "one_port", "max_min"] = "contention_free"


class _Cluster(Part):
    node: Annotated[list[_Node], Field(min_length=1)]
    network: _Network | None = None


class Cluster:
    """Attributes: `nodes`, the `speeds` of each, and the `network` between them."""

    def __init__(self, file: _Cluster) -> None:
        found = [(name, node) for node in file.node for name in _copies(node)]
        self.nodes = [_entry(name, node) for name, node in found]
        self.speeds = [node.speed for _, node in found]
        self.network = _network(file.network, [node for _, node in found])


def read_cluster(path: Path) -> Cluster:
    """Read a cluster file. Raises UnreadableError naming the file and the key."""
    try:
        document = parse_toml(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UnreadableError(f"{path}: {error}") from None
    known = {key: value for key, value in document.items() if key not in TOP_PASSED_OVER}
    if isinstance(known.get("node"), list):
        known["node"] = [_known(node) for node in known["node"]]
    try:
        return Cluster(_Cluster.model_validate(known))
    except ValidationError as error:
        raise UnreadableError(f"{path}: {said(known, error)}") from None
    except UnreadableError as error:
        raise UnreadableError(f"{path}: {error}") from None


def _known(node: object) -> object:
    return {key: value for key, value in node.items() if key not in PASSED_OVER} if isinstance(node, dict) else node


def _copies(node: _Node) -> list[str]:
    return [node.name] if node.count == 1 else [f"{node.name}-{number}" for number in range(1, node.count + 1)]


def _entry(name: str, node: _Node) -> NodeEntry:
    memory = node.memory
    if isinstance(memory, str):
        try:
            memory = float(parse_memory(memory))
        except ValueError as error:
            raise UnreadableError(f"node {node.name}: memory: {error}") from None
    return NodeEntry(
        name=name,
        exclusive=node.exclusive,
        cpus=node.cpus,
        memory_bytes=memory,
        price_per_hour=node.price_per_hour,
    )


def _network(given: _Network | None, nodes: list[_Node]) -> NetworkEntry | None:
    own = [node.bytes_per_second for node in nodes]
    if given is None or given.kind == "none":
        if any(own):
            raise UnreadableError("node: bytes_per_second is there, and there is no [network] it could count in")
        return None
    rates = [rate or given.bytes_per_second for rate in own]
    if None in rates or (given.kind == "uniform" and given.bytes_per_second is None):
        raise UnreadableError("network.bytes_per_second: is missing")
    seconds = [1.0 / rate for rate in rates if rate is not None]
    return NetworkEntry(
        kind=given.kind,
        seconds_per_byte=seconds[0] if given.kind == "uniform" else seconds,
        latency_seconds=given.latency_seconds,
        sharing=given.sharing,
    )


__all__ = ["Cluster", "read_cluster"]
