"""Says in words where an estimate comes from: "from 14 runs on high-cpu nodes"."""

from __future__ import annotations

from server.estimators.machines import Machine
from server.estimators.records import Record


class Sources:
    """Counts the runs of a component's version, or of all versions where it has none of its own."""

    def __init__(self, record: Record, digest: str) -> None:
        self._has_own = any(key[2] == digest for key in record.groups)
        self._on_node: dict[str, int] = {}
        self._on_machine: dict[Machine, int] = {}
        for (node, machine, version, *_), group in record.groups.items():
            if version == digest or not self._has_own:
                self._on_node[node] = self._on_node.get(node, 0) + group.runs
                self._on_machine[machine] = self._on_machine.get(machine, 0) + group.runs

    def of(self, machine: Machine, node: str | None) -> str:
        """The source of an estimate for a machine, or for one node of it."""
        if node is not None and node in self._on_node:
            return self._said(self._on_node[node], f"on {node}")
        if machine in self._on_machine:
            return self._said(self._on_machine[machine], f"on {machine[0].partition('/')[0]} nodes")
        return self._said(sum(self._on_machine.values()), "on other nodes, scaled by speed")

    def _said(self, runs: int, where: str) -> str:
        return f"from {runs} run{'' if runs == 1 else 's'}{'' if self._has_own else ' of other versions'} {where}"


__all__ = ["Sources"]
