"""The live strategy beside its shadows: how often they agree, and what the others are predicted to do."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from server.api.access import Parts
from server.api.problems import responses
from server.api.views import instant
from server.components.shadows.shadows import ShadowSummary
from server.domain.errors import NotFoundError
from server.stores.interface import Note

router = APIRouter(prefix="/api/v1/strategies", tags=["strategies"])

MOST_SHOWN = 100


@router.get("/shadows", summary="What other strategies would have done")
async def shadows(parts: Parts) -> dict[str, Any]:
    """Every shadow (setting SHADOW) in figures. `agreement` is the share of tasks that got the same node;
    `predicted_difference` compares predicted mean turnaround, below 0 where the shadow would be quicker."""
    found = await asyncio.to_thread(parts.shadows.summaries)
    return {"live": parts.decision_unit.placer, "shadows": [_summary(one) for one in found]}


@router.get("/shadows/{name}", responses=responses(404, 422), summary="The newest comparisons of one shadow")
async def shadow(
    name: Annotated[str, Path(max_length=200)],
    parts: Parts,
    limit: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 20,
) -> dict[str, Any]:
    """Cycle by cycle, newest first: how many tasks got the same node, and some that did not."""
    if name not in parts.shadows.names:
        known = ", ".join(parts.shadows.names)
        raise NotFoundError(
            f"no strategy {name!r} runs as a shadow",
            hint=f"there are: {known}" if known else "the setting SHADOW names strategies to run beside the live one",
        )
    summaries = await asyncio.to_thread(parts.shadows.summaries)
    notes = await asyncio.to_thread(parts.shadows.comparisons, name, limit)
    summary = next(one for one in summaries if one.name == name)
    return {"live": parts.decision_unit.placer, **_summary(summary), "newest": [_comparison(note) for note in notes]}


def _summary(one: ShadowSummary) -> dict[str, Any]:
    return {
        "name": one.name,
        "comparisons": one.comparisons,
        "tasks": one.tasks,
        "agreement": None if one.agreement is None else round(one.agreement, 4),
        "predicted_difference": None if one.predicted_difference is None else round(one.predicted_difference, 4),
        "cycles_compared": one.counts.compared,
        "cycles_dropped": one.counts.dropped,
        "cycles_failed": one.counts.failed,
        "problem": one.counts.problem,
    }


def _comparison(note: Note) -> dict[str, Any]:
    return {"at": instant(note.at), **note.document}
