"""Why: runs and tasks explained, one plain sentence first and the evidence under it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.api.access import Parts
from server.api.explanation_views import run_explanation, task_explanation
from server.api.problems import responses
from server.api.routes.runs import task_key
from server.api.routes.tasks import TaskParam

router = APIRouter(prefix="/api/v1", tags=["explaining"])


@router.get("/runs/{run_id}/explain", responses=responses(404), summary="What a run does or waits for, and why")
async def explain_run(run_id: str, parts: Parts) -> dict[str, Any]:
    """A sentence on the run and one on each task; an end as a band once its run times stand on history."""
    return {**run_explanation(await parts.explainer.run(run_id)), "preparing": parts.decision_unit.preparing}


@router.get(
    "/runs/{run_id}/explain/task",
    responses=responses(404, 422),
    summary="Why a task is where it is, or what it waits for",
)
async def explain_task(run_id: str, parts: Parts, task: TaskParam) -> dict[str, Any]:
    """The sentence, what each node says to a waiting task, the newest decision with its candidates, and hindsight."""
    return task_explanation(await parts.explainer.task(run_id, task_key(task)))
