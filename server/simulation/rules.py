"""The rules of the server that is simulated: when it decides, when tasks get their nodes, and what it reserves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.domain.states import Binding

Reservation = Literal["none", "pipeline"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of one simulated server.

    Attributes:
        placer: name of the strategy, or `package.module:Class`.
        binding: when a task gets its node.
        reservation: `pipeline` starts a run only when all its nodes are free and then has them for itself alone: the
            rule of the original MLOpX. Placements are then made once, at the end of the run's window.
        release: with a reservation, when a node is given back: after the run's last `task` on it, when the `next` task
            after that has ended too, or with the `run`.
        window_seconds: new runs are kept until the end of the window they arrive in; 0 decides at once.
        window_offset_seconds: where the first window ends.
        poll_seconds: with a reservation, how often the server looks whether nodes are free; 0 knows at once.
        debounce_seconds, wait_seconds: the live scheduler's: quiet time before a cycle, and the idle re-plan.
        is_recording: whether decision records are made, as the live server does.
    """

    placer: str
    binding: Binding = Binding.WHEN_READY
    reservation: Reservation = "none"
    release: Literal["task", "next", "run"] = "task"
    window_seconds: float = 0.0
    window_offset_seconds: float = 0.0
    poll_seconds: float = 0.0
    debounce_seconds: float = 0.02
    wait_seconds: float = 15.0
    objective: str = "turnaround"
    time_limit_seconds: float = 5.0
    is_recording: bool = False


__all__ = ["Reservation", "Rules"]
