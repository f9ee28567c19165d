"""What a node costs, from the file that the setting RATES names, or from the nodes' own prices.

```toml
currency = "EUR"
[node_hour]                      # of a whole node, by its name, or by a label
gpu-2 = 3.1
"worker_type=low" = 0.2
[gpu_hour]                       # of one accelerator, on top of that
"nvidia.com/gpu" = 1.5
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.domain.errors import ConfigurationError
from server.domain.node import Node
from server.domain.resources import Resources
from server.domain.toml_text import parse_toml

_TABLES = ("node_hour", "gpu_hour")


@dataclass(frozen=True, slots=True)
class Rates:
    """Money per hour."""

    node_hour: Mapping[str, float] = field(default_factory=dict)
    gpu_hour: Mapping[str, float] = field(default_factory=dict)
    currency: str = ""

    def of_node(self, node: Node) -> float | None:
        """Of a whole node: by name, by the first label that is named, else its own price; None where nobody knows."""
        if node.name in self.node_hour:
            return self.node_hour[node.name]
        labels = (f"{key}={value}" for key, value in node.labels.items())
        return next((self.node_hour[one] for one in labels if one in self.node_hour), node.price_per_hour)

    def of_devices(self, requests: Resources) -> float:
        """Of the accelerators that a task asks for."""
        return sum(count * self.gpu_hour.get(kind, 0.0) for kind, count in requests.accelerators)


def node_share(requests: Resources, node: Node) -> float:
    """The part of a node that a task takes from others: the largest of its shares of CPUs, memory and accelerators."""
    has = node.allocatable
    shares = [
        requests.cpu_millicores / has.cpu_millicores if has.cpu_millicores else 0.0,
        requests.memory_bytes / has.memory_bytes if has.memory_bytes else 0.0,
        *(count / max(has.accelerator_count(kind), 1) for kind, count in requests.accelerators),
    ]
    return min(max(shares), 1.0)


def read_rates(path: Path) -> Rates:
    """Read the file. Raises ConfigurationError naming the file and the key."""
    try:
        document = parse_toml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the rates file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"the rates file {path} {error}") from error
    unknown = [key for key in document if key not in (*_TABLES, "currency")]
    if unknown:
        raise ConfigurationError(
            f"{path}: there is no key {unknown[0]!r}", hint="known are currency, [node_hour] and [gpu_hour]"
        )
    currency = document.get("currency", "")
    if not isinstance(currency, str):
        raise ConfigurationError(f"{path}: currency: a text is wanted, such as EUR")
    node_hour, gpu_hour = (_prices(path, name, document.get(name, {})) for name in _TABLES)
    return Rates(node_hour, gpu_hour, currency)


def _prices(path: Path, name: str, table: Any) -> dict[str, float]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {name}: a table is wanted, [{name}]")
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ConfigurationError(f"{path}: {name}.{key}: {value!r} is no price per hour")
    return {key: float(value) for key, value in table.items()}


__all__ = ["Rates", "node_share", "read_rates"]
