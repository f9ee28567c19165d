"""Explanations as JSON. Instants are ISO 8601, spans seconds; bands are `{p10, p50, p90}`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from server.api.views import decision_view, instant
from server.components.explaining.placed import chosen_of, margin_of
from server.components.explaining.values import (
    Action,
    Band,
    Hindsight,
    NodeVerdict,
    RunExplanation,
    TaskExplanation,
    Waiting,
)
from server.components.timeline import Stretch
from server.domain.placement import Candidate, Decision


def band_view(band: Band | None) -> dict[str, Any] | None:
    """An instant that is not sure."""
    return None if band is None else {name: instant(getattr(band, name)) for name in ("p10", "p50", "p90")}


def run_explanation(found: RunExplanation) -> dict[str, Any]:
    """A run, with a line for each of its tasks."""
    return {
        "run_id": found.run_id,
        "name": found.name,
        "state": found.state.value,
        "at": instant(found.at),
        "sentence": found.sentence,
        "position": found.position,
        "ends": band_view(found.ends),
        "why_no_eta": found.why_no_eta,
        "assumes": found.assumes,
        "actions": _actions(found.actions),
        "strategy": found.strategy,
        "snapshot_age_seconds": _age(found.at, found.snapshot_at),
        "counts": dict(found.counts or {}),
        "warnings": _warnings(found.tasks),
        "tasks": [task_line(task) for task in found.tasks],
    }


def _warnings(tasks: Sequence[TaskExplanation]) -> list[str]:
    """What should be changed about the tasks; iterations of which the same is to be said, as one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        for warning in task.warnings:
            alike.setdefault((task.key.path, warning.removeprefix(str(task.key))), []).append(warning)
    return [
        same[0] if len(same) == 1 else f"{path} ({len(same)} iterations){said}" for (path, said), same in alike.items()
    ]


def task_line(found: TaskExplanation) -> dict[str, Any]:
    """A task in short."""
    return {
        "task": str(found.key),
        "state": found.state.value,
        "sentence": found.sentence,
        "why": found.why,
        "node": found.node,
        "planned_node": found.planned_node,
        "position": found.position,
        "waiting": waiting_view(found.waiting),
        "starts": band_view(found.starts),
        "ends": band_view(found.ends),
        "hindsight": hindsight_view(found.hindsight),
        "warnings": list(found.warnings),
    }


def task_explanation(found: TaskExplanation) -> dict[str, Any]:
    """A task with all the evidence."""
    return {
        **task_line(found),
        "start": None if found.start is None else asdict(found.start),
        "actions": _actions(found.actions),
        "nodes": [verdict_view(one) for one in found.nodes],
        "decision": None if found.decision is None else evidence_view(found.decision),
    }


def _actions(found: Sequence[Action]) -> list[dict[str, Any]]:
    return [{"text": one.text, "command": one.command} for one in found]


def waiting_view(found: Waiting | None) -> dict[str, Any] | None:
    """What a task waits for."""
    if found is None:
        return None
    return {"kind": found.kind, "text": found.text, "tasks": list(found.tasks), "nodes": list(found.nodes)}


def verdict_view(found: NodeVerdict) -> dict[str, Any]:
    """What a node says to a task."""
    return {
        "node": found.node,
        "verdict": found.verdict,
        "kind": found.kind,
        "reason": found.reason,
        "missing": [{"request": one.request, "asks": one.asks, "has": one.has} for one in found.missing],
        "option": found.option,
        "seconds_p10": found.seconds_p10,
        "seconds_p50": found.seconds_p50,
        "seconds_p90": found.seconds_p90,
    }


def evidence_view(decision: Decision) -> dict[str, Any]:
    """A decision's record, with what follows from its figures: the runner-up, the margin, each candidate's parts."""
    margin, chosen = margin_of(decision), chosen_of(decision)
    finish = chosen.finish_seconds if chosen else None
    return {
        **decision_view(decision),
        "snapshot_age_seconds": _age(decision.at, decision.snapshot_at),
        "runner_up": margin.other.node if margin else decision.runner_up,
        "margin_seconds": round(margin.seconds, 3) if margin else None,
        "candidates": [_candidate(one, decision, finish) for one in decision.candidates],
        "rejected": [
            {"reason": reason, "count": count, "nodes": list(decision.filtered.get(reason, ()))}
            for reason, count in decision.rejected.items()
        ],
    }


def hindsight_view(found: Hindsight | None) -> dict[str, Any] | None:
    """How a prediction turned out."""
    if found is None:
        return None
    return {
        "predicted_p10": found.predicted_p10,
        "predicted_p50": found.predicted_p50,
        "predicted_p90": found.predicted_p90,
        "actual_seconds": found.actual_seconds,
        "is_inside_band": found.is_inside_band,
        "best_node": found.best_node,
        "regret_seconds": None if found.regret_seconds is None else round(found.regret_seconds, 3),
    }


def stretch_view(one: Stretch, ends: Band | None) -> dict[str, Any]:
    """An attempt on a node."""
    return {
        "run_id": one.run_id,
        "name": one.run_name,
        "task": one.key,
        "node": one.node,
        "state": one.state,
        "started_at": instant(one.started_at),
        "ended_at": instant(one.ended_at),
        "planned_start_at": instant(one.planned_start_at),
        "planned_finish_at": instant(one.planned_finish_at),
        "ends": band_view(ends),
    }


def _candidate(one: Candidate, decision: Decision, finish: float | None) -> dict[str, Any]:
    is_comparable = finish is not None and one.finish_seconds is not None
    return {
        "node": one.node,
        "option": one.option,
        "is_chosen": (one.node, one.option) == (decision.node, decision.option),
        "is_free": one.is_free,
        "score": one.score,
        "start_seconds": one.start_seconds,
        "seconds_p10": one.seconds_p10,
        "seconds_p50": one.seconds_p50,
        "seconds_p90": one.seconds_p90,
        "finish_seconds": one.finish_seconds,
        "later_by_seconds": round((one.finish_seconds or 0.0) - (finish or 0.0), 3) if is_comparable else None,
    }


def _age(at: datetime, taken_at: datetime) -> float:
    return round(max((at - taken_at).total_seconds(), 0.0), 3)


__all__ = ["band_view", "run_explanation", "stretch_view", "task_explanation", "waiting_view"]
