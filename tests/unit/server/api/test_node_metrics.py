"""The text that Prometheus reads of the platform's own nodes."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from server.api.node_metrics import NodeUsages
from server.domain.node import Usage


def text(**usages: Usage) -> list[str]:
    registry = CollectorRegistry()
    registry.register(NodeUsages(usages))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("# HELP")]


def test_usage_has_the_names_of_the_node_exporter_and_the_label_node() -> None:
    usage = Usage(
        cpus=2,
        user_seconds=30.0,
        system_seconds=2.0,
        idle_seconds=168.0,
        memory_total_bytes=4000,
        memory_used_bytes=1000,
    )
    assert text(alpha=usage) == [
        "# TYPE node_cpu_seconds_total counter",
        'node_cpu_seconds_total{cpu="0",mode="user",node="alpha"} 15.0',
        'node_cpu_seconds_total{cpu="0",mode="system",node="alpha"} 1.0',
        'node_cpu_seconds_total{cpu="0",mode="idle",node="alpha"} 84.0',
        'node_cpu_seconds_total{cpu="1",mode="user",node="alpha"} 15.0',
        'node_cpu_seconds_total{cpu="1",mode="system",node="alpha"} 1.0',
        'node_cpu_seconds_total{cpu="1",mode="idle",node="alpha"} 84.0',
        "# TYPE node_memory_MemTotal_bytes gauge",
        'node_memory_MemTotal_bytes{node="alpha"} 4000.0',
        "# TYPE node_memory_MemAvailable_bytes gauge",
        'node_memory_MemAvailable_bytes{node="alpha"} 3000.0',
    ]


def test_pressure_is_told_of_the_nodes_where_it_is_measured() -> None:
    plain = Usage(cpus=1, user_seconds=1, system_seconds=0, idle_seconds=1, memory_total_bytes=10, memory_used_bytes=2)
    lines = text(alpha=replace(plain, pressure_seconds={"cpu": 2.5}), beta=plain)
    assert [line for line in lines if "pressure" in line] == [
        "# TYPE node_pressure_cpu_waiting_seconds_total counter",
        'node_pressure_cpu_waiting_seconds_total{node="alpha"} 2.5',
    ]


def test_nothing_is_said_where_no_node_is_measured() -> None:
    assert text() == []


def test_tasks_beyond_a_nodes_memory_leave_nothing_available() -> None:
    usage = Usage(
        cpus=0.5, user_seconds=1, system_seconds=0, idle_seconds=1, memory_total_bytes=10, memory_used_bytes=12
    )
    lines = text(half=usage)
    assert 'node_memory_MemAvailable_bytes{node="half"} 0.0' in lines
    assert 'node_cpu_seconds_total{cpu="0",mode="idle",node="half"} 1.0' in lines
