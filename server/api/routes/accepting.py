"""Taking what a waiting task is offered."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server.api.access import Parts
from server.api.problems import responses
from server.api.reading import StrictRoute
from server.api.routes.runs import task_key

router = APIRouter(prefix="/api/v1", tags=["explaining"], route_class=StrictRoute)


class AcceptRequest(BaseModel):
    """The waiting task, and what it shall take: an option, a node, or both."""

    model_config = ConfigDict(extra="forbid")

    task: str = Field(max_length=500)
    option: str | None = Field(None, max_length=200)
    node: str | None = Field(None, max_length=253)


@router.post(
    "/runs/{run_id}/accept", responses=responses(401, 404, 409, 422), summary="Take another node or option at once"
)
async def accept(run_id: str, body: AcceptRequest, parts: Parts) -> dict[str, Any]:
    """Bind a waiting task to what `explain` offers, instead of waiting for what the strategy has in mind. 409 says why
    not: it started meanwhile, or the room is gone."""
    found = await parts.accepting.accept(run_id, task_key(body.task), option=body.option, node=body.node)
    return {
        "run_id": found.run.id,
        "task": str(found.key),
        "node": found.node,
        "option": found.option,
        "sentence": found.sentence,
    }
