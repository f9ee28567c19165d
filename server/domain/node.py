"""A node: a machine of the cluster, what it has to give, and who it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from server.domain.resources import Resources

ARCHITECTURE_LABEL = "kubernetes.io/arch"
HOSTNAME_LABEL = "kubernetes.io/hostname"
ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Taint:
    """A mark that keeps tasks away which do not tolerate it; meaning as in Kubernetes."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        allocatable: what tasks may be given in all, pods included.
        speed: relative speed of one of its CPUs; 1.0 is the reference.
        accelerator_memory_bytes: memory per device, by accelerator kind, where known.
        accelerator_models: their makers' names for them, by accelerator kind, where known.
        is_ready: whether the platform says it works.
        is_schedulable: False when cordoned.
        group: the growable node group it belongs to or would come from; `is_virtual` if it is not there yet.
        startup_seconds: how long a virtual node takes to appear.
        price_per_hour: money per hour, where known.
        speeds: measured relative speeds by kind of work (`single`, `multi`, `gemm`, `memory`, `disk`, `gpu`), 1.0 is
            the reference; without a profile empty, or the `share` of a real core that one of its CPUs is held to.
    """

    name: str
    allocatable: Resources
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    speed: float = 1.0
    accelerator_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    accelerator_models: Mapping[str, str] = field(default_factory=dict)
    is_ready: bool = True
    is_schedulable: bool = True
    group: str | None = None
    is_virtual: bool = False
    startup_seconds: float = 0.0
    price_per_hour: float | None = None
    speeds: Mapping[str, float] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """Processor architecture, `amd64` where unlabelled."""
        return self.labels.get(ARCHITECTURE_LABEL, "amd64")

    @property
    def zone(self) -> str | None:
        """Zone label, or None."""
        return self.labels.get(ZONE_LABEL)


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured on a node: CPU and memory in use as fractions 0 to 1; None is unknown, never idle.

    `figures` holds whatever else is known, by name: `cpu_pressure`, `disk_available_bytes`, `gpu_fraction`, …; and
    `cpu_fraction_expected`, which adds what our own tasks asked for that were bound after the measurement.
    """

    measured_at: datetime
    cpu_fraction: float | None = None
    memory_fraction: float | None = None
    source: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What our tasks used of a node that the platform itself provides, in seconds of the node's own CPUs.

    Seconds are counted from an instant that stays the same until the node begins anew; they never go back before.
    `idle_seconds` is what all its `cpus` could have given and nobody took; memory is that of now. `pressure_seconds`,
    by `cpu`, `memory` or `io` where it is measured, are real seconds in which some task had to wait for it.
    """

    cpus: float
    user_seconds: float
    system_seconds: float
    idle_seconds: float
    memory_total_bytes: int
    memory_used_bytes: int
    pressure_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Resources of a node that somebody holds: one of our attempts, or (run_id None) a stranger."""

    node: str
    requests: Resources
    run_id: str | None = None
    task: str | None = None
    expected_end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Immutable picture of all nodes at one instant. `age_seconds` of a decision counts from `taken_at`."""

    taken_at: datetime
    nodes: tuple[Node, ...]
    occupancies: tuple[Occupancy, ...] = ()
    loads: Mapping[str, Load] = field(default_factory=dict)
    source: str = ""

    def node(self, name: str) -> Node | None:
        """The node of that name, or None."""
        return next((node for node in self.nodes if node.name == name), None)

    def allocated(self) -> dict[str, Resources]:
        """What is held on every node, by name."""
        held = {node.name: Resources() for node in self.nodes}
        for occupancy in self.occupancies:
            if occupancy.node in held:
                held[occupancy.node] = held[occupancy.node] + occupancy.requests
        return held

    def available(self) -> dict[str, Resources]:
        """What could be given now, by node name: allocatable minus allocated (entries may be negative).

        A virtual node has nothing to give before it is there.
        """
        held = self.allocated()
        return {
            node.name: Resources() if node.is_virtual else node.allocatable - held[node.name] for node in self.nodes
        }
