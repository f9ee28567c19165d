"""What if: a dry run of a pipeline, or of the queue alone, on the cluster as it is or as it might be."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.api.access import Parts
from server.api.plan_views import forecasts_view
from server.api.problems import responses
from server.api.reading import StrictRoute
from server.api.submissions import Foreign, Options, from_json_parts, pipeline_of
from server.components.forecasting.changes import Changes
from server.domain.errors import ConflictError
from server.exchange.writing import TooLargeError, capture
from server.planning.stating import state

router = APIRouter(prefix="/api/v1", tags=["planning"], route_class=StrictRoute)

MOST_CHANGES = 50
Name = str


class PlanRequest(BaseModel):
    """A pipeline to plan (none: the queue alone), and what shall be different from how it is.

    `add_nodes` names nodes to have one more of each; `remove_nodes` take nothing more; `priorities` by run id.
    """

    model_config = ConfigDict(extra="forbid")

    spec: dict[str, Any] | None = None
    foreign: Foreign | None = None
    parameters: dict[str, Any] = {}
    options: Options = Options()
    strategy: str | None = Field(None, max_length=200)
    objective: Literal["turnaround", "makespan", "cost", "deadline", "fair"] | None = None
    add_nodes: list[str] = Field([], max_length=MOST_CHANGES)
    remove_nodes: list[str] = Field([], max_length=MOST_CHANGES)
    priorities: dict[str, int] = Field({}, max_length=MOST_CHANGES)


@router.get("/queue/problem", responses=responses(401, 409), summary="The queue as a problem file")
async def queue_problem(parts: Parts) -> dict[str, Any]:
    """What a strategy would be asked now, as `mlopx-server solve` reads it: nodes, what they hold, tasks that wait, and
    their predicted seconds. Tasks that nothing can run now are left out."""
    request = await parts.planner.question_now()
    try:
        return await asyncio.to_thread(lambda: capture(state(request)))
    except TooLargeError as error:
        raise ConflictError(str(error), hint="study a queue of this size with the simulator") from error


@router.post("/plan", responses=responses(401, 409, 422, 503), summary="What would happen, with nothing submitted")
async def plan(body: PlanRequest, parts: Parts) -> dict[str, Any]:
    """A predicted Gantt chart with bands, the critical path and its bottleneck, and what it does to other runs."""
    submission = None
    pipeline = pipeline_of(body.spec, body.foreign)
    if pipeline is not None:
        submission = from_json_parts(pipeline, body.parameters, body.options)
    changes = Changes(
        strategy=body.strategy or None,
        objective=body.objective,
        add_nodes=tuple(body.add_nodes),
        remove_nodes=tuple(body.remove_nodes),
        priorities=dict(body.priorities),
    )
    return forecasts_view(await parts.planner.forecast(submission, changes))
