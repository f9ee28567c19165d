"""Figures of nodes, for Prometheus, under the names that `kube-state-metrics` and the node exporter use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from server.domain.node import Snapshot, Usage


def add_nodes(registry: CollectorRegistry, snapshot: Snapshot) -> None:
    """What nodes have to give, whether they take tasks, what is promised, and their load where it is known."""
    allocated = snapshot.allocated()
    allocatable_gauge = Gauge(
        "kube_node_status_allocatable", "What tasks may be given", ["node", "resource"], registry=registry
    )
    ready = Gauge("kube_node_status_condition", "Readiness", ["node", "condition", "status"], registry=registry)
    cordoned = Gauge("kube_node_spec_unschedulable", "Whether it takes no new tasks", ["node"], registry=registry)
    loads = Gauge("mlopx_node_load", "Measured load, where it is known", ["node", "figure"], registry=registry)
    for node in snapshot.nodes:
        ready.labels(node.name, "Ready", "true").set(node.is_ready)
        cordoned.labels(node.name).set(not node.is_schedulable)
        if (load := snapshot.loads.get(node.name)) is not None:
            for figure, value in {"cpu": load.cpu_fraction, "memory": load.memory_fraction, **load.figures}.items():
                if value is not None:
                    loads.labels(node.name, figure).set(value)
    allocated_gauge = Gauge("mlopx_node_allocated", "What is promised", ["node", "resource"], registry=registry)
    for node in snapshot.nodes:
        for gauge, amounts in ((allocatable_gauge, node.allocatable), (allocated_gauge, allocated[node.name])):
            gauge.labels(node.name, "cpu").set(amounts.cpu_millicores / 1000)
            gauge.labels(node.name, "memory").set(amounts.memory_bytes)
            for kind, count in amounts.accelerators:
                gauge.labels(node.name, kind.replace(".", "_").replace("/", "_")).set(count)


class NodeUsages:
    """What is used of nodes that the platform itself provides, by node, as the node exporter would tell it there.

    Label `node` says whose it is, since all come from one address. Tasks are tied to none of a node's CPUs, so each of
    them shows the same part of the time.
    """

    def __init__(self, usages: Mapping[str, Usage]) -> None:
        self._usages = usages

    def collect(self) -> Iterable[Metric]:
        seconds = CounterMetricFamily(
            "node_cpu_seconds", "Seconds of the node's CPUs by what they did", labels=["node", "cpu", "mode"]
        )
        total = GaugeMetricFamily("node_memory_MemTotal_bytes", "Memory that tasks may be given", labels=["node"])
        free = GaugeMetricFamily("node_memory_MemAvailable_bytes", "Memory that tasks do not use", labels=["node"])
        for name, usage in self._usages.items():
            cpus = max(1, math.ceil(usage.cpus))
            modes = {"user": usage.user_seconds, "system": usage.system_seconds, "idle": usage.idle_seconds}
            for cpu in range(cpus):
                for mode, value in modes.items():
                    seconds.add_metric([name, str(cpu), mode], value / cpus)
            total.add_metric([name], usage.memory_total_bytes)
            free.add_metric([name], max(usage.memory_total_bytes - usage.memory_used_bytes, 0))
        return (seconds, total, free, *self._pressures()) if self._usages else ()

    def _pressures(self) -> list[Metric]:
        """One family for each kind of pressure that is measured on some node."""
        found = []
        for kind in sorted({kind for usage in self._usages.values() for kind in usage.pressure_seconds}):
            family = CounterMetricFamily(
                f"node_pressure_{kind}_waiting_seconds",
                f"Seconds in which some task waited for {kind}",
                labels=["node"],
            )
            for name, usage in self._usages.items():
                if kind in usage.pressure_seconds:
                    family.add_metric([name], usage.pressure_seconds[kind])
            found.append(family)
        return found


__all__ = ["NodeUsages", "add_nodes"]
