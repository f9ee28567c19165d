"""Which decisions of a cycle are recorded: all that act, and of what waits those that changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from server.components.decisions.binding import BoundNow
from server.components.decisions.candidates import Bands
from server.components.decisions.records import Recorder
from server.domain.placement import Decision, Placement, PlacementPlan, PlacementRequest, TaskRef
from server.domain.states import Binding
from server.planning.needs import NeedsTable

MOST_CHANGED = 128
"""Waiting tasks recorded in one cycle because the plan for them changed: records must not hold up the server."""


class Recording:
    """Makes the records of one cycle after the other.

    `binding` says how the platform binds, and so what is recorded. `max_hold_seconds`: after it, runs that are bound at
    submission go without room, and are recorded then.
    """

    def __init__(self, *, new_id: Callable[[], str], binding: Binding, max_hold_seconds: float | None) -> None:
        self._new_id, self._binding, self._max_hold_seconds = new_id, binding, max_hold_seconds
        self._memory, self._bands = Memory(), Bands()

    def records(
        self,
        request: PlacementRequest,
        table: NeedsTable,
        plan: PlacementPlan,
        now: BoundNow,
        *,
        strategy: str,
        version: str,
        fallback_from: str | None,
        because: str,
    ) -> list[Decision]:
        """Records of what is bound, and of what else changed since the task was last decided on: of the first
        `MOST_CHANGED` in plan order, since the others are about to change again; their turn comes in later cycles."""
        recorder = Recorder(
            request,
            table,
            strategy=strategy,
            fallback_from=fallback_from,
            because=because,
            new_id=self._new_id,
            version=version,
            bands=self._bands,
        )
        tasks = {task.ref: task for task in request.tasks()}
        planned = {(placement.run_id, placement.key): placement for placement in plan.placements}
        self._memory.keep_only(tasks)
        recorded: Sequence[Placement] = now.bind_now
        holds = now.holds
        if self._binding is Binding.AT_SUBMISSION:
            starting = {placement.run_id for placement in now.bind_now} | self._due(request)
            recorded = [placement for placement in plan.placements if placement.run_id in starting]
            holds = {ref: reason for ref, reason in holds.items() if ref[0] not in starting}
        found = [recorder.placed(tasks[(one.run_id, one.key)], one) for one in recorded]
        changed = []
        for ref, reason in holds.items():
            placement = planned.get(ref)
            answer = (placement.node, placement.option) if placement else (reason,)
            if self._memory.is_new(ref, tasks[ref].attempt, fallback_from, *answer):
                changed.append((tasks[ref], reason, placement))
                if len(changed) == MOST_CHANGED:
                    break
        recorder.expect(task for task, _, _ in changed)
        found += [recorder.held(*each) for each in changed]
        return found

    def _due(self, request: PlacementRequest) -> set[str]:
        """Runs that have waited for as long as they may."""
        limit = self._max_hold_seconds
        return set() if limit is None else {run.run_id for run in request.runs if run.goes_at(limit) <= request.now}


class Memory:
    """What was recorded last for every waiting task, so that only changed decisions are recorded again."""

    def __init__(self) -> None:
        self._last: dict[TaskRef, tuple[object, ...]] = {}

    def is_new(self, ref: TaskRef, *answer: object) -> bool:
        """Whether this is not what was answered for the task last time; remembers it."""
        if self._last.get(ref) == answer:
            return False
        self._last[ref] = answer
        return True

    def keep_only(self, refs: Mapping[TaskRef, object]) -> None:
        """Forget tasks that wait no more."""
        for ref in [ref for ref in self._last if ref not in refs]:
            del self._last[ref]


__all__ = ["MOST_CHANGED", "Recording"]
