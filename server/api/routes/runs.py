"""Runs: submit, list, look at, cancel, retry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.api import views
from server.api.access import Parts
from server.api.explanation_views import band_view
from server.api.problems import responses
from server.api.reading import StrictRoute
from server.api.submissions import Foreign, RunRequest, from_json, pipeline_of
from server.domain.errors import InvalidRequestError, NotFoundError
from server.domain.run import TaskKey
from server.domain.states import RunState
from server.stores.interface import RunFilter

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=StrictRoute)

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=255, description="Send the same key again: no second run is made."),
]


class CancelRequest(BaseModel):
    """Why a run is stopped."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "wrong data set"}})

    reason: str = Field("", max_length=1000)


class RetryRequest(BaseModel):
    """What differs this time; what was finished and is not touched by it is reused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"from_task": "train"}})

    from_task: str | None = None
    spec: dict[str, Any] | None = None
    foreign: Foreign | None = None
    parameters: dict[str, Any] | None = None


def task_key(text: str) -> TaskKey:
    """A task's key from its text. Raises InvalidRequestError."""
    try:
        return TaskKey.parse(text)
    except ValueError as error:
        raise InvalidRequestError(str(error), hint="`mlopx show RUN` lists a run's tasks") from error


@router.post("/runs", status_code=202, responses=responses(401, 409, 413, 422, 503, 507), summary="Submit a run")
async def create_run(request: Request, body: RunRequest, parts: Parts, idempotency_key: Key = None) -> dict[str, Any]:
    """Take a pipeline for running. The answer comes when it is stored for good."""
    submission = replace(from_json(body), caller=dict(request.headers))
    run = await parts.pipeline_manager.submit(submission, idempotency_key=idempotency_key)
    notes = views.submission_notes(run, parts.decision_unit.preparing, parts.platform)
    return {"run": views.run_summary(run), "link": f"/api/v1/runs/{run.id}", "notes": notes}


@router.get("/runs", responses=responses(404, 422), summary="List runs, newest first")
async def list_runs(
    parts: Parts,
    state: Annotated[list[RunState] | None, Query()] = None,
    name: str | None = None,
    project: str | None = None,
    since: AwareDatetime | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """A page of runs; `next` is the cursor of the following page. `ends` is the expected end of a run that goes on, as
    a band, once its run times stand on history."""
    wanted = RunFilter(tuple(state or ()), name, project, since, cursor, limit)
    page = await asyncio.to_thread(parts.store.list_runs, wanted)
    is_any_live = any(not run.state.is_end for run in page.runs)
    ends = (await parts.explainer.scene()).shown_ends() if is_any_live else {}
    shown = [{**views.listed_summary(run), "ends": band_view(ends.get(run.id))} for run in page.runs]
    return {"runs": shown, "next": page.next}


@router.get("/runs/{run_id}", responses=responses(404), summary="One run with its tasks")
async def get_run(run_id: str, parts: Parts) -> dict[str, Any]:
    """Everything about a run: tasks, attempts, outputs, and the graph."""
    return views.run_detail(await parts.journal.run(run_id))


@router.post("/runs/{run_id}/cancel", status_code=202, responses=responses(401, 404, 409, 502), summary="Stop a run")
async def cancel_run(request: Request, run_id: str, parts: Parts, body: CancelRequest | None = None) -> dict[str, Any]:
    """Ask for a run to be stopped; its exit task still runs."""
    reason = body.reason if body else ""
    return views.run_summary(await parts.pipeline_manager.cancel(run_id, reason, caller=dict(request.headers)))


@router.post("/runs/{run_id}/archive", responses=responses(401, 404, 409, 502), summary="Put a run away")
async def archive_run(request: Request, run_id: str, parts: Parts) -> dict[str, Any]:
    """Have the platform put an ended run away (Kubeflow's archive). It stays here as it is."""
    return views.run_summary(await parts.pipeline_manager.archive(run_id, caller=dict(request.headers)))


@router.post("/runs/{run_id}/retry", status_code=202, responses=responses(401, 404, 409, 422), summary="Run again")
async def retry_run(request: Request, run_id: str, parts: Parts, body: RetryRequest | None = None) -> dict[str, Any]:
    """Run an ended run again, as a new run that reuses what was finished. `notes` say what will be done once more."""
    asked = body or RetryRequest()
    retried = await parts.pipeline_manager.retry(
        run_id,
        from_task=asked.from_task,
        spec=pipeline_of(asked.spec, asked.foreign),
        parameters=asked.parameters,
        caller=dict(request.headers),
    )
    run = retried.run
    return {"run": views.run_summary(run), "link": f"/api/v1/runs/{run.id}", "notes": list(retried.notes)}


@router.post("/runs/{run_id}/replace", status_code=202, responses=responses(401, 404, 409, 422), summary="Place anew")
async def replace_run(request: Request, run_id: str, parts: Parts) -> dict[str, Any]:
    """Accept the offer of a new placement: the run is stopped; a new run, placed anew, begins when it has ended."""
    run = await parts.pipeline_manager.replace(run_id, caller=dict(request.headers))
    return {"run": views.run_summary(run), "link": f"/api/v1/runs/{run.id}"}


@router.get("/runs/{run_id}/spec", responses=responses(404), summary="The pipeline of a run")
async def get_spec(run_id: str, parts: Parts) -> dict[str, Any]:
    """The PipelineSpec as it was submitted."""
    run = await parts.journal.run(run_id)
    found: dict[str, Any] = run.graph.spec.model_dump(mode="json")
    return found


@router.get(
    "/runs/{run_id}/document",
    responses={
        **responses(404),
        200: {"description": "The document", "content": {"application/yaml": {"schema": {"type": "string"}}}},
    },
    response_class=PlainTextResponse,
    summary="The foreign document of a run",
)
async def get_document(run_id: str, parts: Parts) -> PlainTextResponse:
    """The pipeline in the platform's own format, to the letter as it was submitted."""
    run = await parts.journal.run(run_id)
    if run.graph.spec.foreign is None:
        raise NotFoundError(
            f"run {run_id} was not submitted as a foreign document", hint=f"see /api/v1/runs/{run_id}/spec"
        )
    return PlainTextResponse(run.graph.spec.foreign.text, media_type="application/yaml")


@router.get("/runs/{run_id}/decisions", responses=responses(404, 422), summary="Why tasks went where they went")
async def get_decisions(run_id: str, parts: Parts, task: str | None = None) -> dict[str, Any]:
    """Decision records, oldest first."""
    await parts.journal.run(run_id)
    key = task_key(task) if task else None
    found = await asyncio.to_thread(parts.store.decisions, run_id, task=key)
    return {"decisions": [views.decision_view(decision) for decision in found]}
