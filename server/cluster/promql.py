"""What Prometheus is asked: three queries a cycle, whatever the number of nodes.

`gauges` are series read as they are, by name; `rates` name each figure by a label `figure`; `ages` tells when each node
was last scraped. Texts can be replaced one by one; `$window` stands for the window of the rates, four scrape intervals
or more. Idleness is a ratio of two rates: right also for a node that was seen for less than the window.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from server.domain.errors import ConfigurationError

DEVICES = r"lo|veth.*|cni.*|cali.*|flannel.*|docker.*|br-.*"


def _figure(name: str, query: str) -> str:
    return f'label_replace({query}, "figure", "{name}", "", "")'


QUERIES: Mapping[str, str] = {
    "gauges": '{__name__=~"node_memory_MemAvailable_bytes|node_memory_MemTotal_bytes|node_load1|node_uname_info'
    '|kube_node_info|DCGM_FI_DEV_GPU_UTIL|DCGM_FI_PROF_GR_ENGINE_ACTIVE|DCGM_FI_DEV_FB_USED|DCGM_FI_DEV_FB_FREE"}'
    ' or node_filesystem_avail_bytes{mountpoint="/",fstype!="rootfs"}'
    ' or kube_pod_info{pod=~".*(node-exporter|dcgm).*"}',
    "rates": " or ".join(
        (
            _figure(
                "cpu_idle",
                'sum without (cpu, mode) (rate(node_cpu_seconds_total{mode=~"idle|iowait"}[$window]))'
                " / sum without (cpu, mode) (rate(node_cpu_seconds_total[$window]))",
            ),
            _figure("cpus", 'count without (cpu, mode) (node_cpu_seconds_total{mode="idle"})'),
            _figure("cpu_pressure", "rate(node_pressure_cpu_waiting_seconds_total[$window])"),
            _figure("memory_pressure", "rate(node_pressure_memory_waiting_seconds_total[$window])"),
            _figure("io_pressure", "rate(node_pressure_io_waiting_seconds_total[$window])"),
            _figure("disk_busy", "max without (device) (rate(node_disk_io_time_seconds_total[$window]))"),
            _figure(
                "network_received_bytes_per_second",
                f'sum without (device) (rate(node_network_receive_bytes_total{{device!~"{DEVICES}"}}[$window]))',
            ),
            _figure(
                "network_sent_bytes_per_second",
                f'sum without (device) (rate(node_network_transmit_bytes_total{{device!~"{DEVICES}"}}[$window]))',
            ),
        )
    ),
    "ages": "timestamp(node_load1) or timestamp(node_memory_MemTotal_bytes)",
}


def queries(window: str, file: Path | None = None) -> dict[str, str]:
    """The texts to ask, with replacements from a JSON file. Raises ConfigurationError for one that cannot be used."""
    found = dict(QUERIES)
    if file is not None:
        try:
            own = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"PROMETHEUS_QUERIES {file} cannot be read: {error}") from error
        if (
            not isinstance(own, dict)
            or not set(own) <= set(QUERIES)
            or not all(isinstance(v, str) for v in own.values())
        ):
            raise ConfigurationError(
                f"PROMETHEUS_QUERIES {file} must map some of {', '.join(QUERIES)} to PromQL", hint="see docs/nodes.md"
            )
        found.update(own)
    return {name: text.replace("$window", window) for name, text in found.items()}


__all__ = ["QUERIES", "queries"]
