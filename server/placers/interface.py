"""The port that makes strategies replaceable: one class, one pure method.

To add a strategy: write one file with a class that inherits `PlacerInterface`, name it in the `placers` dictionary of
`server/components/placer_registry.py` (or give `PLACER="package.module:Class"`, or an entry point in the group
`mlopx.placers`), and run its contract (`server.testing.contracts.placer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest


class PlacerInterface(ABC):
    """A placement strategy: orders the waiting tasks and gives each a node, or a reason to wait.

    `place` is a pure function of the request: no I/O, no clock (`request.now`), no chance of its own (`request.seed`).
    It runs in a worker process that is killed when `request.time_limit_seconds` is over. It answers every unbound task
    of the request exactly once, with a placement on a feasible node, or with a hold.

    Class attributes: `name` as in the registry, `summary` in one sentence for users, `source` the paper or system it
    comes from, `version` raised whenever its answers change. `looks_ahead` is False where what it answers about ready
    tasks does not depend on those that are not ready: a simulation then spares it the latter, most of its work.
    `takes_turns` is True where room that comes free goes to the first ready task by priority and submission, whatever
    was planned before: starts of what gets ready later are then foretold so.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    looks_ahead: ClassVar[bool] = True
    takes_turns: ClassVar[bool] = False

    def warm(self) -> None:  # noqa: B027 - most strategies have nothing to get ready
        """Get ready for the first request: load or compile what takes long. Called once in the worker, before it."""

    @abstractmethod
    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Answer the request. May raise: the server then uses its fallback for this cycle, and says so."""
