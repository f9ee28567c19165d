"""Amounts that tasks request and nodes have: CPU in millicores, memory in bytes, accelerators by kind, pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Resources:
    """A vector of amounts. `accelerators` is sorted by kind and holds no zeros."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    accelerators: tuple[tuple[str, int], ...] = ()
    pods: int = 0

    @classmethod
    def of(
        cls,
        *,
        cpu_millicores: int = 0,
        memory_bytes: int = 0,
        accelerators: Mapping[str, int] | None = None,
        pods: int = 0,
    ) -> Self:
        """Build one from a mapping of accelerators."""
        kinds = tuple(sorted((kind, count) for kind, count in (accelerators or {}).items() if count))
        return cls(cpu_millicores, memory_bytes, kinds, pods)

    def accelerator_count(self, kind: str) -> int:
        """How many accelerators of one kind."""
        return next((count for name, count in self.accelerators if name == kind), 0)

    def __add__(self, other: Resources) -> Resources:
        return self._combine(other, 1)

    def __sub__(self, other: Resources) -> Resources:
        return self._combine(other, -1)

    def _combine(self, other: Resources, sign: int) -> Resources:
        accelerators = self.accelerators
        if other.accelerators:
            counts = dict(self.accelerators)
            for kind, count in other.accelerators:
                counts[kind] = counts.get(kind, 0) + sign * count
            accelerators = tuple(sorted((kind, count) for kind, count in counts.items() if count))
        return Resources(
            self.cpu_millicores + sign * other.cpu_millicores,
            self.memory_bytes + sign * other.memory_bytes,
            accelerators,
            self.pods + sign * other.pods,
        )

    def fits_in(self, room: Resources) -> bool:
        """Whether this request fits into `room`. What is not requested is not compared."""
        if self.cpu_millicores > room.cpu_millicores and self.cpu_millicores > 0:
            return False
        if self.memory_bytes > room.memory_bytes and self.memory_bytes > 0:
            return False
        if self.pods > room.pods and self.pods > 0:
            return False
        return not self.accelerators or not any(
            count > max(room.accelerator_count(kind), 0) for kind, count in self.accelerators
        )

    def lacking_in(self, room: Resources) -> tuple[str, ...]:
        """Names of the amounts of which `room` has too little: cpu, memory, pods or an accelerator's kind."""
        lacking = []
        if self.cpu_millicores > max(room.cpu_millicores, 0):
            lacking.append("cpu")
        if self.memory_bytes > max(room.memory_bytes, 0):
            lacking.append("memory")
        if self.pods > max(room.pods, 0):
            lacking.append("pods")
        lacking.extend(kind for kind, count in self.accelerators if count > max(room.accelerator_count(kind), 0))
        return tuple(lacking)


NOTHING = Resources()
