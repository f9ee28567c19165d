"""Schedules: pipelines that are submitted again and again at the times of a cron expression."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from server.api.access import Parts
from server.api.problems import responses
from server.api.reading import StrictRoute
from server.api.schedule_views import schedule_view
from server.api.submissions import Foreign, Options, pipeline_of
from server.components.recurring.keeping import Wanted
from server.domain.errors import InvalidSubmissionError
from server.domain.recurring import Missed, Overlap

router = APIRouter(prefix="/api/v1", tags=["schedules"], route_class=StrictRoute)

NAME = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
ScheduleName = Annotated[str, Path(max_length=63)]


class ScheduleRequest(BaseModel):
    """A pipeline, and when it is to be submitted.

    `overlap`: what happens while the run of the time before is not over. `missed`: what happens to times at which no
    server was there; `all` makes up for the latest `most_missed` of them.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, pattern=NAME, description="Of the schedule; by default the pipeline's.")
    cron: str = Field(min_length=1, max_length=200, description="minute, hour, day of month, month, day of week")
    zone: str = Field("UTC", min_length=1, max_length=100, description="An IANA time zone.")
    spec: dict[str, Any] | None = None
    foreign: Foreign | None = None
    parameters: dict[str, Any] = {}
    options: Options = Options()
    overlap: Overlap = Overlap.FORBID
    missed: Missed = Missed.LAST
    most_missed: int = Field(10, ge=1, le=1000)
    webhook: str | None = Field(
        None, max_length=2000, pattern=r"^https?://", description="Told of failure and lateness."
    )
    late_seconds: float | None = Field(None, gt=0, description="A run not over so long after its due time is late.")


@router.post(
    "/schedules", status_code=201, responses=responses(401, 409, 422, 503, 507), summary="Submit again and again"
)
async def create_schedule(request: Request, body: ScheduleRequest, parts: Parts) -> dict[str, Any]:
    """Keep a pipeline with its times. It is checked now as a submission is, and submitted at each of its times."""
    pipeline = pipeline_of(body.spec, body.foreign)
    if pipeline is None:
        raise InvalidSubmissionError("there is no pipeline in it", hint="give a spec, or a foreign document")
    if body.options.deadline_at is not None:
        raise InvalidSubmissionError(
            "a schedule cannot have one deadline for all its runs", hint="give deadline_seconds, from each submission"
        )
    wanted = Wanted(
        pipeline=pipeline,
        name=body.name,
        cron=body.cron,
        zone=body.zone,
        parameters=body.parameters,
        priority=body.options.priority,
        project=body.options.project,
        deadline_seconds=body.options.deadline_seconds,
        is_caching=body.options.is_caching,
        labels=body.options.labels,
        overlap=body.overlap,
        missed=body.missed,
        most_missed=body.most_missed,
        webhook=body.webhook,
        late_seconds=body.late_seconds,
    )
    return schedule_view(await parts.schedules.add(wanted))


@router.get("/schedules", summary="All schedules")
async def list_schedules(parts: Parts) -> dict[str, Any]:
    """By name, each with its next time and what became of the last ones."""
    found = await asyncio.to_thread(parts.store.schedules.all)
    return {"schedules": [schedule_view(one) for one in found]}


@router.get("/schedules/{name}", responses=responses(404), summary="One schedule")
async def get_schedule(name: ScheduleName, parts: Parts) -> dict[str, Any]:
    """With its next time and what became of the last ones."""
    return schedule_view(await asyncio.to_thread(parts.store.schedules.get, name))


@router.post("/schedules/{name}/pause", responses=responses(401, 404, 409), summary="Submit nothing for a while")
async def pause_schedule(name: ScheduleName, parts: Parts) -> dict[str, Any]:
    """Its runs go on; times of the pause are not made up for."""
    return schedule_view(await parts.schedules.pause(name, is_paused=True))


@router.post("/schedules/{name}/resume", responses=responses(401, 404, 409), summary="Go on after a pause")
async def resume_schedule(name: ScheduleName, parts: Parts) -> dict[str, Any]:
    """From the next time on."""
    return schedule_view(await parts.schedules.pause(name, is_paused=False))


@router.delete("/schedules/{name}", responses=responses(401, 404), summary="Forget a schedule")
async def delete_schedule(name: ScheduleName, parts: Parts) -> dict[str, Any]:
    """Its runs stay."""
    return schedule_view(await parts.schedules.delete(name))
