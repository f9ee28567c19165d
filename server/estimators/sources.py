"""Says in words where an estimate comes from: "from 14 runs on high-cpu nodes"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from server.estimators.machines import Machine
from server.estimators.records import Record

Place = TypeVar("Place")


class Sources:
    """Counts the runs of a component's version, or of all versions where it has none of its own."""

    def __init__(self, record: Record, digest: str) -> None:
        indexed = record.indexed()
        self._has_own = digest in indexed.versions
        versions = {digest} if self._has_own else set(indexed.versions)
        self._on_node = _counted(indexed.runs_on_node, versions)
        self._on_machine = _counted(indexed.runs_on_machine, versions)

    def of(self, machine: Machine, node: str | None) -> str:
        """The source of an estimate for a machine, or for one node of it."""
        if node in self._on_node:
            return self._said(self._on_node[node], f"on {node}")
        if machine in self._on_machine:
            return self._said(self._on_machine[machine], f"on {machine[0].partition('/')[0]} nodes")
        return self._said(sum(self._on_machine.values()), "on other nodes, scaled by speed")

    def _said(self, runs: int, where: str) -> str:
        return f"from {runs} run{'' if runs == 1 else 's'}{'' if self._has_own else ' of other versions'} {where}"


def _counted(counts: Mapping[tuple[Place, str], int], versions: set[str]) -> dict[Place | None, int]:
    found: dict[Place | None, int] = {}
    for (place, version), runs in counts.items():
        if version in versions:
            found[place] = found.get(place, 0) + runs
    return found


__all__ = ["Sources"]
