"""Giving a task its share of the CPU, whatever it does: by cgroup where one can be made, else by a governor.

A throttle is chosen once per agent: delegated cgroup v2, writable cgroup v1 (both in `cgroups`), or the governor here,
which every 10 ms compares the CPU time of all processes of a task with its credit and stops or continues them.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.platforms.local.processes import NANO, send, spent_nanoseconds, tree

PERIOD_SECONDS = 0.1
TICK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may use: CPU as a number of real cores, memory in bytes (None: no limit)."""

    cores: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel knows of a task's memory: the peak in bytes, and how often it had to kill for want of it."""

    peak_bytes: int = 0
    kills: int = 0


class Throttle(ABC):
    """Bounds tasks. `needs_ticks`: `tick` is to be called every `TICK_SECONDS` while a task runs.

    `limits_memory`: the kernel keeps tasks to their memory, so nobody else has to watch it.
    """

    name: str
    needs_ticks = False
    limits_memory = False

    @abstractmethod
    def prepare(self, tag: str, limits: Limits) -> list[str]:
        """Make room for a task; files into which its first process writes its pid before it does anything.

        Raises OSError if that cannot be done now.
        """

    @abstractmethod
    def release(self, tag: str) -> None:
        """The task is over."""

    def tick(self, tag: str, pid: int, elapsed_seconds: float) -> None:  # noqa: B027 - most need none
        """Look after one task (governor only)."""

    def resume(self, pids: Iterable[int]) -> None:
        """Let every process go on, before it is ended or when the agent leaves."""
        for pid in pids:
            send(pid, signal.SIGCONT)

    def members(self, tag: str) -> list[int]:
        """Processes that the kernel counts to a task, where it does."""
        return []

    def seen(self, tag: str) -> Seen:
        """What the kernel knows of a task's memory."""
        return Seen()

    def pressure_seconds(self) -> dict[str, float]:
        """Seconds in which some task of the agent had to wait for `cpu`, `memory` or `io`, where the kernel tells."""
        return {}

    def close(self) -> None:  # noqa: B027 - most have nothing to remove
        """Remove what was made."""


class NoThrottle(Throttle):
    """Lets tasks use what they get."""

    name = "none"

    def prepare(self, tag: str, limits: Limits) -> list[str]:
        return []

    def release(self, tag: str) -> None:
        """Nothing was made."""


@dataclass(slots=True)
class _Account:
    """A task's credit, in seconds of CPU time. `stops` counts ticks since its processes were stopped, 0 if they run."""

    cores: float
    credit: float
    spent: int = 0
    stops: int = 0
    members: list[int] = field(default_factory=list)


class Governor(Throttle):
    """A token bucket in user space. Credit grows with time x cores, to one period's worth; what the task's processes
    use is taken from it; while it is negative they are all stopped."""

    name = "governor"
    needs_ticks = True

    def __init__(
        self,
        *,
        members_of: Callable[[int], list[int]] = tree,
        spent: Callable[[int], int] = spent_nanoseconds,
        signal_to: Callable[[int, int], None] = send,
    ) -> None:
        self._members_of, self._spent, self._signal_to = members_of, spent, signal_to
        self._accounts: dict[str, _Account] = {}

    def prepare(self, tag: str, limits: Limits) -> list[str]:
        self._accounts[tag] = _Account(limits.cores, limits.cores * PERIOD_SECONDS)
        return []

    def release(self, tag: str) -> None:
        self._accounts.pop(tag, None)

    def tick(self, tag: str, pid: int, elapsed_seconds: float) -> None:
        account = self._accounts[tag]
        spent = 0 if account.stops > 1 else self._newly_spent(account, pid)
        credit = account.credit + elapsed_seconds * account.cores - spent / NANO
        account.credit = min(credit, account.cores * PERIOD_SECONDS)
        if account.credit < 0:
            account.stops += 1
            if account.stops <= 2:  # again one tick later, for what was forked in between
                self._tell(account, signal.SIGSTOP)
        elif account.stops:
            account.stops = 0
            self._tell(account, signal.SIGCONT)

    def _newly_spent(self, account: _Account, pid: int) -> int:
        """CPU time used since the last look. Time of a child that nobody waited for can vanish; it never comes back."""
        account.members = self._members_of(pid)
        now = sum(self._spent(member) for member in account.members)
        before, account.spent = account.spent, now
        return max(now - before, 0)

    def _tell(self, account: _Account, number: int) -> None:
        for member in account.members:
            self._signal_to(member, number)
