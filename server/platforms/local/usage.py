"""What the tasks of a node use, in the node's own measure: the agent counts, the server turns it into virtual CPUs.

An agent knows seconds of real cores. A node's CPU is a share of a core (its speed), so one second of it that is used up
is that share of a core's second; what the node could have given and nobody took is idle.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.domain.node import Node, Usage
from server.platforms.local.processes import CpuTimes, cpu_times, tree
from server.platforms.local.running import Running

NOTHING = CpuTimes(0.0, 0.0)


@dataclass(slots=True)
class CpuAccount:
    """CPU time of all tasks of an agent, ended ones too, in seconds of real cores. It never goes back."""

    ended: CpuTimes = NOTHING
    live: dict[str, CpuTimes] = field(default_factory=dict)

    def look(self, task: str, times: Iterable[CpuTimes]) -> None:
        """What the processes of a task used so far. Time of a child that ends during the look can be missing."""
        self.live[task] = _later(self.live.get(task), _sum(times))

    def close(self, task: str, times: CpuTimes) -> None:
        """A task ended, having used this in all."""
        self.ended = _sum((self.ended, _later(self.live.pop(task, None), times)))

    @property
    def total(self) -> CpuTimes:
        """User and system seconds since the agent began."""
        return _sum((self.ended, *self.live.values()))

    def report(self, tasks: Iterable[Running], seconds: float) -> dict[str, Any]:
        """What is told to the server of these tasks, now, this long after the agent began."""
        memory_bytes = 0
        for task in tasks:
            if task.pid is not None:
                pids = tree(task.pid)
                self.look(task.id, map(cpu_times, pids))
                memory_bytes += task.memory_of(pids)
        told = {"pid": os.getpid(), "seconds": seconds, "memory_bytes": memory_bytes}
        return {"event": "usage", **told, **self.total._asdict()}


class UsageMeter:
    """Turns what the agent of one node reports into the node's usage.

    Idle time is added up from report to report: where tasks are not bounded they may use more than the node has, which
    takes nothing from what was idle before.
    """

    def __init__(self, node: Node) -> None:
        self._memory_bytes = node.allocatable.memory_bytes
        self._cpus, self._speed = node.allocatable.cpu_millicores / 1000, node.speed
        self._pid: int | None = None
        self._seconds = self._busy = self._idle = 0.0

    def usage(self, report: Mapping[str, Any]) -> Usage:
        """The node's usage by a report. Everything begins at zero with a new agent.

        A report holds `pid` of the agent, `seconds` since it began, `user_seconds` and `system_seconds` of real cores,
        `memory_bytes`, and `pressure_seconds` where they are known.
        """
        if report["pid"] != self._pid:
            self._pid, self._seconds, self._busy, self._idle = report["pid"], 0.0, 0.0, 0.0
        user, system = (report[name] / self._speed for name in ("user_seconds", "system_seconds"))
        passed, spent = report["seconds"] - self._seconds, user + system - self._busy
        self._idle += max(passed * self._cpus - spent, 0.0)
        self._seconds, self._busy = report["seconds"], user + system
        return Usage(
            cpus=self._cpus,
            user_seconds=user,
            system_seconds=system,
            idle_seconds=self._idle,
            memory_total_bytes=self._memory_bytes,
            memory_used_bytes=report["memory_bytes"],
            pressure_seconds=report.get("pressure_seconds", {}),
        )


def _sum(times: Iterable[CpuTimes]) -> CpuTimes:
    found = tuple(times)
    return CpuTimes(sum(one.user_seconds for one in found), sum(one.system_seconds for one in found))


def _later(before: CpuTimes | None, now: CpuTimes) -> CpuTimes:
    if before is None:
        return now
    return CpuTimes(max(before.user_seconds, now.user_seconds), max(before.system_seconds, now.system_seconds))


__all__ = ["CpuAccount", "UsageMeter"]
