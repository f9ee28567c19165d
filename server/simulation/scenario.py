"""A scenario file (TOML) as values: the cluster, the arrivals, what goes wrong, what is told, and the servers compared.

The published schema (`docs/scenario.schema.json`) is made from these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain.states import Binding
from server.exchange.networks import ZonesTable

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]

Process = Literal["poisson", "bursts", "together"]
GeneratorKind = Literal["original-a", "original-b", "online", "gpu-cluster", "workflows", "data-heavy", "scale"]


class Part(BaseModel):
    """Base of all parts: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeTable(Part):
    """`[[cluster.node]]`: one node, or `count` equal ones named `kind-1`, `kind-2`, …"""

    kind: str = Field(min_length=1, description="the kind of node; run times are given by kind")
    count: int = Field(default=1, ge=1, le=100_000)
    name: str | None = Field(default=None, description="of the only node, or what the names of several begin with")
    cpus: Positive = 1.0
    memory: str = Field(default="16Gi", description="as in Kubernetes: 16Gi, 512Mi")
    accelerator: str | None = Field(default=None, description="kind of its accelerators, such as nvidia.com/gpu")
    accelerators: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=1)]] = Field(
        default=0, description="how many; or, where a node has several kinds, how many of each"
    )
    pods: int = Field(default=110, ge=1)
    speed: Positive = Field(default=1.0, description="relative speed of a CPU; for strategies that look at it")
    architecture: str = "amd64"
    labels: dict[str, str] = {}
    joins_at: Seconds = Field(default=0.0, description="seconds from the start at which it becomes part of the cluster")
    price_per_hour: Seconds | None = None


class ClusterTable(Part):
    """`[cluster]`: nodes, here or in a CSV file whose columns are named as the keys of a node."""

    node: tuple[NodeTable, ...] = ()
    csv: str | None = Field(default=None, description="a CSV file of nodes, relative to the scenario file")


class ArrivalsTable(Part):
    """`[arrivals]`: a JSON-lines file of pipelines."""

    file: str = Field(description="JSON lines, or gzipped (.gz), relative to the scenario file")
    key: str | None = Field(default=None, description="which arrival time, where a pipeline has several by name")
    kinds: tuple[str, ...] = Field(default=(), description="the kinds of node that the columns of seconds_by_type mean")
    cpus: Positive | None = Field(default=None, description="what a task requests that says nothing")
    memory: str | None = Field(default=None, description="what a task requests that says nothing")
    most: int | None = Field(default=None, ge=1, description="only so many pipelines")


class GeneratorTable(Part):
    """`[generator]`: pipelines made up from a seed, or from public data in the folder MLOPX_BENCH_DATA."""

    kind: GeneratorKind
    pipelines: int = Field(default=300, ge=1, le=1_000_000)
    load: Positive = Field(default=0.9, description="offered work over what the cluster can do")
    process: Process = "poisson"
    burst: int = Field(default=10, ge=1, description="pipelines per burst")
    accelerators: bool = Field(default=True, description="whether tasks that can use accelerators ask for them")


class EstimatesTable(Part):
    """`[estimates]`: what the strategy is told."""

    error_sigma: Annotated[float, Field(ge=0, le=5)] = 0.0
    error_of: Literal["task", "task-and-kind"] = "task"
    spread: Annotated[float, Field(ge=0, le=5)] | None = None


class WorldTable(Part):
    """`[world]`: how the cluster behaves."""

    noise_sigma: Annotated[float, Field(ge=0, le=5)] = 0.0
    bind_seconds: Seconds = 0.0
    start_seconds: Seconds = 0.0
    pull_bytes_per_second: Positive | None = Field(default=None, description="without it, images cost nothing")
    slowdown: Annotated[float, Field(ge=0, le=10)] = 0.0
    failure_probability: Fraction = 0.0
    loss_mean_seconds: Positive | None = Field(default=None, description="mean time until a node is lost")
    repair_mean_seconds: Positive = 600.0


class NetworkTable(Part):
    """`[network]`: what moving outputs between nodes costs."""

    sharing: Literal["free", "alone", "cards"] = "free"
    told: Literal["nothing", "inputs", "all"] = Field(
        default="inputs",
        description="what strategies know of data: nothing; the network, and what lies on nodes already; or also how "
        "much tasks yet to run will hand over",
    )
    bytes_per_second: Positive = 125e6
    latency_seconds: Seconds = 0.0
    zones: ZonesTable | None = None


class LossTable(Part):
    """`[[loss]]`: a node goes down."""

    node: str
    at: Seconds
    back_after: Seconds | None = None


class ServerTable(Part):
    """`[[server]]`: one way to run the server; each is a row of the result."""

    placer: str = Field(min_length=1)
    name: str | None = Field(default=None, description="in the result; the placer's name where it is missing")
    binding: Binding = Binding.WHEN_READY
    reservation: Literal["none", "pipeline"] = "none"
    release: Literal["task", "next", "run"] = "task"
    window_seconds: Seconds = 0.0
    window_offset_seconds: Seconds = 0.0
    poll_seconds: Seconds = 0.0
    debounce_seconds: Seconds = 0.02
    wait_seconds: Positive = 15.0
    objective: Literal["turnaround", "makespan", "cost", "deadline", "fair"] = "turnaround"
    time_limit_seconds: Positive = 5.0
    accelerators: bool = Field(default=True, description="False takes requests for accelerators out of the pipelines")


class Scenario(Part):
    """A whole scenario file."""

    title: str = ""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="each server is simulated once per seed")
    cluster: ClusterTable
    arrivals: ArrivalsTable | None = None
    generator: GeneratorTable | None = None
    estimates: EstimatesTable = EstimatesTable()
    world: WorldTable = WorldTable()
    network: NetworkTable = NetworkTable()
    loss: tuple[LossTable, ...] = ()
    server: tuple[ServerTable, ...] = (ServerTable(placer="fifo_greedy"),)

    @model_validator(mode="after")
    def _one_source(self) -> Scenario:
        if (self.arrivals is None) == (self.generator is None):
            raise ValueError("exactly one of [arrivals] and [generator] is needed")
        if not self.server:
            raise ValueError("at least one [[server]] is needed")
        return self


def scenario_schema() -> dict[str, Any]:
    """The published JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "MLOpX scenario", **schema}


__all__ = ["GeneratorTable", "NodeTable", "Scenario", "ServerTable", "scenario_schema"]
