"""What a measured load leaves out: tasks of our own that were bound after, or shortly before, it was measured.

Without them every decision between two measurements would see the same idle node, and send all tasks there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from server.domain.node import Load, Node

WINDOW = timedelta(seconds=60)
"""A load is an average over about this long: a task counts for the part of it that it did not run yet."""


def with_placements(
    loads: Mapping[str, Load], nodes: Iterable[Node], bound: Iterable[tuple[str, int, datetime]]
) -> dict[str, Load]:
    """The loads, each with the figure `cpu_fraction_expected` where the CPU load is known.

    `bound` gives node, millicores asked for, and the instant of start (or binding) of each of our tasks.
    """
    capacity = {node.name: node.allocatable.cpu_millicores for node in nodes}
    unseen = dict.fromkeys(loads, 0.0)
    for node, millicores, since in bound:
        if node in unseen and capacity.get(node):
            shown = min(max((loads[node].measured_at - since) / WINDOW, 0.0), 1.0)
            unseen[node] += millicores * (1 - shown) / capacity[node]
    return {name: _expecting(load, unseen[name]) for name, load in loads.items()}


def _expecting(load: Load, unseen: float) -> Load:
    if load.cpu_fraction is None:
        return load
    expected = min(load.cpu_fraction + unseen, 1.0)
    return replace(load, figures={**load.figures, "cpu_fraction_expected": expected})


__all__ = ["with_placements"]
