"""Puts together what looks back: shadows beside the live strategy, kept questions, and the nodes over time."""

from __future__ import annotations

from dataclasses import dataclass

from server.components.clock import Clock
from server.components.decision_unit import placer_path
from server.components.node_manager import NodeManager
from server.components.remembering.node_history import NodeHistory
from server.components.remembering.questions import Questions
from server.components.scheduler import Scheduler
from server.components.shadows.shadows import Shadows
from server.domain.errors import ConfigurationError
from server.settings import Settings
from server.stores.interface import RunStoreInterface

MOST_SHADOWS = 4


@dataclass(frozen=True, slots=True)
class LookingBack:
    """The parts."""

    shadows: Shadows
    questions: Questions
    node_history: NodeHistory

    async def aclose(self) -> None:
        """End what runs beside the server."""
        await self.shadows.aclose()
        await self.questions.aclose()


def look_back(
    settings: Settings, *, store: RunStoreInterface, clock: Clock, node_manager: NodeManager, scheduler: Scheduler
) -> LookingBack:
    """Have the scheduler's cycles remembered and compared. Raises ConfigurationError for an unknown shadow."""
    if len(settings.shadows) > MOST_SHADOWS:
        raise ConfigurationError(
            f"SHADOW names {len(settings.shadows)} strategies",
            hint=f"each is a process of its own: name at most {MOST_SHADOWS}",
        )
    shadows = Shadows(
        {name: placer_path(name) for name in settings.shadows},
        store=store,
        limit_seconds=settings.placer_time_limit,
    )
    questions = Questions(store)
    for callback in (shadows.notice, questions.notice):
        scheduler.on_decided(callback)
    history = NodeHistory(
        store=store,
        nodes=lambda: node_manager.current().nodes,
        clock=clock,
        every_seconds=settings.update_interval,
    )
    return LookingBack(shadows, questions, history)


__all__ = ["LookingBack", "look_back"]
