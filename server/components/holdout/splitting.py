"""One cycle for two: the strategy decides about its runs, the platform's own rule about those that are left out.

On a platform that binds task by task and has no scheduler of its own, its rule is plain `fifo_greedy`: in the order of
submission, on the least loaded node with room. Where whole runs are handed over, nothing is decided about them.
Whoever has the task that is ready longest is asked first, so that neither side lives off what the other leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from server.components.decision_unit import DecisionUnit, Outcome
from server.components.decisions.records import clipped
from server.domain.instants import after
from server.domain.node import Occupancy
from server.domain.placement import Placement, PlacementPlan, PlacementRequest, WaitingRun, WaitingTask

PLATFORMS_RULE = "fifo_greedy"
"""What the local platform does without a strategy."""

SAID = "left to the platform's own rule (holdout): "


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cycle decided in all, the question that the live strategy answered for its part of it, and what the
    platform's rule decided about the rest."""

    outcome: Outcome
    asked: PlacementRequest | None
    own: Outcome | None
    ruled: Outcome | None = None


async def decide_for_both(
    request: PlacementRequest, left_out: frozenset[str], strategy: DecisionUnit, rule: DecisionUnit | None
) -> Answer:
    """Decide. `left_out` are runs by id; `rule` decides about them, None leaves them without any decision."""
    if not left_out:
        outcome = await strategy.decide(request)
        return Answer(outcome, request, outcome)
    theirs = _part(request, [run for run in request.runs if run.run_id in left_out])
    ours = _part(request, [run for run in request.runs if run.run_id not in left_out])
    if rule is None or not theirs.runs:
        own = await strategy.decide(ours) if ours.runs else None
        return Answer(own or _nothing(strategy.placer), ours if own else None, own)
    if not ours.runs:
        only = _said(rule.decide_now(theirs))
        return Answer(only, None, None, only)
    if _longest_ready(theirs) < _longest_ready(ours):
        first = _said(rule.decide_now(theirs))
        asked = _after(ours, request, first)
        own = await strategy.decide(asked)
        return Answer(_merged(own, first), asked, own, first)
    own = await strategy.decide(ours)
    second = _said(rule.decide_now(_after(theirs, request, own)))
    return Answer(_merged(own, second), ours, own, second)


def _part(request: PlacementRequest, runs: Sequence[WaitingRun]) -> PlacementRequest:
    return replace(request, runs=tuple(runs))


def _longest_ready(request: PlacementRequest) -> datetime:
    never = request.now + timedelta(days=1)
    submitted = {run.run_id: run.submitted_at for run in request.runs}
    return min(
        (task.ready_at or submitted[task.run_id] for task in request.tasks() if task.is_ready),
        default=never,
    )


def _after(request: PlacementRequest, whole: PlacementRequest, outcome: Outcome) -> PlacementRequest:
    """The question once the other's tasks that are bound now have their room."""
    tasks = {task.ref: task for task in whole.tasks()}
    taken = [_occupancy(one, tasks[(one.run_id, one.key)], whole) for one in outcome.bind_now]
    snapshot = replace(request.snapshot, occupancies=(*request.snapshot.occupancies, *taken))
    return replace(request, snapshot=snapshot)


def _occupancy(placement: Placement, task: WaitingTask, request: PlacementRequest) -> Occupancy:
    option = task.option(placement.option)
    seconds = request.estimates.seconds(task.ref, placement.node, option.name)
    until = placement.planned_finish_at or after(request.now, seconds)
    return Occupancy(placement.node, option.requests, placement.run_id, str(placement.key), until)


def _said(outcome: Outcome) -> Outcome:
    decisions = tuple(replace(one, reason=clipped(SAID + one.reason)) for one in outcome.decisions)
    return replace(outcome, decisions=decisions)


def _merged(own: Outcome, other: Outcome) -> Outcome:
    return replace(
        own,
        plan=PlacementPlan((*own.plan.placements, *other.plan.placements), (*own.plan.holds, *other.plan.holds)),
        bind_now=(*own.bind_now, *other.bind_now),
        holds={**own.holds, **other.holds},
        decisions=(*own.decisions, *other.decisions),
        seconds=own.seconds + other.seconds,
    )


def _nothing(strategy: str) -> Outcome:
    return Outcome(PlacementPlan(), (), {}, (), strategy, None, None, 0.0)


__all__ = ["PLATFORMS_RULE", "Answer", "decide_for_both"]
