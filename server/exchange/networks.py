"""The network between the nodes of a live cluster, from a file (TOML) that may be its cluster file too.

    [network]
    bytes_per_second = 125e6      # of each node's card
    latency_seconds = 0.0001
    sharing = "max_min"           # or "one_port": transfers share a card; "contention_free": each has it for itself

    [[node]]                      # only nodes whose card is another
    name = "fast"                 # of `count` copies: fast-1, fast-2, ...
    bytes_per_second = 1.25e9

    [network.zones]               # nodes with different values of a label are further apart
    bytes_per_second = 125e6      # of one transfer between two zones
    label = "topology.kubernetes.io/zone"
    within = { "eu-1b" = 625e6 }  # cards of nodes in zones where they are others

    [[network.zones.between]]     # two zones that are not like the rest
    zones = ["eu-1a", "eu-1b"]
    bytes_per_second = 500e6

What else a cluster file or a scenario holds is passed over; a scenario's words for sharing are understood.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from server.domain.network import NodeNetwork, Zones
from server.domain.node import ZONE_LABEL
from server.domain.toml_text import parse_toml
from server.exchange.document import Amount, Name, Part
from server.exchange.errors import UnreadableError
from server.exchange.loading import said

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BetweenTable(Part):
    """`[[network.zones.between]]`: what one transfer between these two zones does at most."""

    zones: Annotated[list[Name], Field(min_length=2, max_length=2)]
    bytes_per_second: Rate

    @model_validator(mode="after")
    def _two(self) -> BetweenTable:
        if self.zones[0] == self.zones[1]:
            raise PydanticCustomError("zones", "give two different zones; within is for the cards of one")
        return self


class ZonesTable(Part):
    """`[network.zones]`: what lies between nodes of different zones."""

    bytes_per_second: Rate = Field(description="of one transfer between nodes of different zones, at most")
    label: Name = Field(default=ZONE_LABEL, description="label of nodes whose value is their zone")
    within: dict[Name, Rate] = Field(default={}, description="by zone: what its nodes' cards do, where that differs")
    between: list[BetweenTable] = Field(default=[], description="pairs of zones that are not like the rest")

    def zones(self) -> Zones:
        """As a value."""
        pairs = {(min(one.zones), max(one.zones)): one.bytes_per_second for one in self.between}
        return Zones(self.bytes_per_second, self.within, pairs, self.label)


class _Network(Part):
    kind: Literal["none", "uniform", "cards"] = "cards"
    bytes_per_second: Rate
    latency_seconds: Amount = 0.0
    sharing: Literal["contention_free", "one_port", "max_min", "alone", "cards", "free"] = "contention_free"
    told: Literal["nothing", "inputs", "all"] = "inputs"
    zones: ZonesTable | None = None


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Name
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    bytes_per_second: Rate | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    network: _Network
    node: list[_Node] = []


def read_network(path: Path) -> NodeNetwork | None:
    """Read a network; None where the file says that data is free. Raises UnreadableError naming the file and key."""
    try:
        document = parse_toml(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UnreadableError(f"{path}: {error}") from None
    if "network" not in document:
        raise UnreadableError(f"{path}: there is no [network] in it, with bytes_per_second of the nodes' network cards")
    try:
        found = _File.model_validate(document)
    except ValidationError as error:
        raise UnreadableError(f"{path}: {said(document, error)}") from None
    network = found.network
    if network.kind == "none" or network.sharing == "free":
        return None
    return NodeNetwork(
        network.bytes_per_second,
        {name: node.bytes_per_second for node in found.node if node.bytes_per_second for name in _names(node)},
        network.latency_seconds,
        is_shared=network.sharing in ("one_port", "max_min", "cards"),
        zones=network.zones.zones() if network.zones is not None else None,
    )


def _names(node: _Node) -> list[str]:
    return [node.name] if node.count == 1 else [f"{node.name}-{number}" for number in range(1, node.count + 1)]


__all__ = ["BetweenTable", "ZonesTable", "read_network"]
