"""Schedules in memory: a fake that keeps every promise of the port but durability."""

from __future__ import annotations

import threading
from dataclasses import replace

from server.domain.recurring import Schedule, ScheduledPipeline
from server.stores.interface import ScheduleStoreInterface
from server.stores.schedules import changed_meanwhile, missing, taken


class MemorySchedules(ScheduleStoreInterface):
    """Everything in a dict, behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Schedule, ScheduledPipeline]] = {}

    def all(self) -> list[Schedule]:
        with self._lock:
            return [self._kept[name][0] for name in sorted(self._kept)]

    def get(self, name: str) -> Schedule:
        return self._of(name)[0]

    def pipeline(self, name: str) -> ScheduledPipeline:
        return self._of(name)[1]

    def add(self, schedule: Schedule, pipeline: ScheduledPipeline) -> None:
        with self._lock:
            if schedule.name in self._kept:
                raise taken(schedule.name)
            self._kept[schedule.name] = (schedule, pipeline)

    def save(self, schedule: Schedule) -> Schedule:
        with self._lock:
            known = self._kept.get(schedule.name)
            if known is None or known[0].uid != schedule.uid:
                raise missing(schedule.name)
            if known[0].version != schedule.version:
                raise changed_meanwhile(schedule.name)
            saved = replace(schedule, version=schedule.version + 1)
            self._kept[schedule.name] = (saved, known[1])
            return saved

    def delete(self, name: str) -> None:
        with self._lock:
            if self._kept.pop(name, None) is None:
                raise missing(name)

    def _of(self, name: str) -> tuple[Schedule, ScheduledPipeline]:
        with self._lock:
            found = self._kept.get(name)
        if found is None:
            raise missing(name)
        return found


__all__ = ["MemorySchedules"]
