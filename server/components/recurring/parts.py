"""The parts that schedules need, put together for the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.components.clock import Clock
from server.components.journal import Journal
from server.components.pipeline_manager import PipelineManager
from server.components.recurring.keeping import ScheduleKeeper
from server.components.recurring.recurrence import Recurrence
from server.components.recurring.webhooks import Webhooks
from server.platforms.interface import PlatformInterface
from server.stores.interface import RunStoreInterface


@dataclass(frozen=True, slots=True)
class Recurring:
    """What submits, what keeps, and what tells."""

    recurrence: Recurrence
    keeper: ScheduleKeeper
    webhooks: Webhooks


def make_recurring(
    store: RunStoreInterface,
    journal: Journal,
    pipeline_manager: PipelineManager,
    platform: PlatformInterface,
    clock: Clock,
    *,
    new_uid: Callable[[], str],
) -> Recurring:
    """The parts, listening to the journal."""
    webhooks = Webhooks(clock)
    recurrence = Recurrence(
        store=store, journal=journal, pipeline_manager=pipeline_manager, webhooks=webhooks, clock=clock
    )
    journal.listen(recurrence.notice)
    keeper = ScheduleKeeper(
        store=store.schedules,
        pipeline_manager=pipeline_manager,
        platform=platform,
        recurrence=recurrence,
        clock=clock,
        new_uid=new_uid,
    )
    return Recurring(recurrence, keeper, webhooks)


__all__ = ["Recurring", "make_recurring"]
