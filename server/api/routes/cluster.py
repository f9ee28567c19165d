"""The cluster and the queue: nodes, waiting tasks, strategies, data sets."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from server.api import views
from server.api.access import Parts
from server.api.explanation_views import band_view, stretch_view, waiting_view
from server.api.problems import responses
from server.domain.run import TaskKey

router = APIRouter(prefix="/api/v1", tags=["cluster"])


@router.get("/queue", summary="What waits, in order, and why")
async def queue(parts: Parts) -> dict[str, Any]:
    """Waiting tasks, ready ones first, each with what it waits for in the words of `explain`; starts and ends as bands
    once their run times stand on history."""
    entries = parts.scheduler.queue()
    now = parts.scheduler.now()
    scene, waits = await parts.explainer.queue()
    tasks = []
    for index, entry in enumerate(entries):
        ref = (entry.run_id, entry.key)
        is_silent = entry.run_id in scene.silent
        bands = {
            "starts": None if is_silent else band_view(scene.starts.get(ref)),
            "ends": None if is_silent else band_view(scene.ends.get(ref)),
            "planned_node": placed.node if (placed := scene.plan.get(ref)) else None,
            "waiting": waiting_view(waits.get(ref)),
        }
        tasks.append({**views.queue_view(index + 1, entry, now), **bands})
    return {"tasks": tasks, "preparing": parts.decision_unit.preparing}


@router.get("/nodes", summary="The nodes as they are now")
async def nodes(parts: Parts) -> dict[str, Any]:
    """All nodes with what they have, what is promised, and what runs there."""
    snapshot = await parts.node_manager.snapshot()
    return {
        "taken_at": views.instant(snapshot.taken_at),
        "nodes": views.nodes_view(snapshot, parts.node_manager.assignments()),
        "problems": dict(parts.node_manager.problems()),
    }


@router.get("/timeline", responses=responses(422), summary="What ran where lately, and what is on its way")
async def timeline(parts: Parts, seconds: Annotated[float, Query(gt=0, le=7 * 86_400)] = 900.0) -> dict[str, Any]:
    """Attempts that ended within the last `seconds`, and those placed or running with their expected end."""
    now = parts.scheduler.now()
    scene = await parts.explainer.scene()
    found = parts.timeline.since(now - timedelta(seconds=seconds))
    stretches = []
    for one in found:
        is_shown = one.ended_at is None and one.run_id not in scene.silent
        ends = scene.ends.get((one.run_id, TaskKey.parse(one.key))) if is_shown else None
        stretches.append(stretch_view(one, ends))
    return {"at": views.instant(now), "stretches": stretches}


@router.get("/placers", summary="The strategies there are")
async def placers(parts: Parts, all: bool = False) -> dict[str, Any]:  # noqa: A002 - the parameter's public name
    """The usual strategies, or all."""
    found = parts.decision_unit.catalogue(all)
    current = next((info.name for info in found if info.is_current), None)
    return {"current": current, "placers": [views.placer_view(info) for info in found]}
