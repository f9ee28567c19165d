"""What tasks of a run leave behind: events, logs, artifacts, and what they were given."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from server.api import views
from server.api.access import Parts
from server.api.archiving import tar_of
from server.api.problems import responses
from server.api.routes.runs import task_key
from server.domain.errors import ConflictError, NotFoundError
from server.domain.launch import arguments_of
from server.domain.request import is_placeable
from server.domain.resolve import BadValueError, NeverError, NotYetError, VolumeFile
from server.domain.run import Artifact, Run, TaskRun
from server.domain.states import TaskState

router = APIRouter(prefix="/api/v1", tags=["tasks"])

TaskParam = Annotated[str, Query(description="The task: its path, then .INDEX per loop around it.")]


def task_of(run: Run, text: str) -> TaskRun:
    """A task of a run. Raises NotFoundError naming those there are."""
    found = run.tasks.get(task_key(text))
    if found is None:
        names = ", ".join(str(key) for key in list(run.tasks)[:20])
        raise NotFoundError(f"run {run.id} has no task {text!r}", hint=f"its tasks are: {names}")
    return found


@router.get("/runs/{run_id}/events", responses=responses(404, 422), summary="What happened to a run")
async def run_events(
    run_id: str,
    parts: Parts,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> dict[str, Any]:
    """The run's story, oldest first; `next` continues it."""
    await parts.journal.run(run_id)
    found = await asyncio.to_thread(parts.store.events, after=after, run_id=run_id, limit=limit)
    return {
        "events": [views.event_view(stored) for stored in found],
        "next": found[-1].id if len(found) == limit else None,
    }


@router.get("/runs/{run_id}/logs", responses=responses(404, 422, 502), summary="What a task printed")
async def task_logs(
    request: Request,
    run_id: str,
    parts: Parts,
    task: TaskParam,
    attempt: Annotated[int | None, Query(ge=1)] = None,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """Text from byte `offset` on; ask again from `next_offset` until `is_end`."""
    run = await parts.journal.run(run_id)
    found = task_of(run, task)
    number = attempt or found.current.number
    chosen = next((one for one in found.attempts if one.number == number), None)
    if chosen is None:
        raise NotFoundError(f"task {task} has no attempt {number}", hint=f"it has {len(found.attempts)}")
    if number == found.current.number and found.did_not_run:
        raise NotFoundError(f"there is no log of task {task}: {_why_not_run(found)}")
    if not is_placeable(run, found.key.path):
        raise NotFoundError(f"there is no log of task {task}: the platform does it itself")
    await parts.platform.look_as(run, dict(request.headers))
    chunk = await parts.platform.logs(run, found.key, number, offset=offset)
    return {
        "text": chunk.text,
        "next_offset": chunk.next_offset,
        "is_end": chunk.is_end,
        "attempt": number,
        "node": chosen.actual_node or chosen.node,
    }


@router.get("/runs/{run_id}/artifacts", responses=responses(404), summary="What tasks wrote")
async def artifacts(run_id: str, parts: Parts) -> dict[str, Any]:
    """All artifacts of a run."""
    run = await parts.journal.run(run_id)
    found = []
    for key, task in run.tasks.items():
        for port, output in task.outputs.items():
            if output.artifact is not None:
                link = _download(run, str(key), port)
                found.append({"task": str(key), "port": port, **views.artifact_view(output.artifact), "download": link})
    return {"artifacts": found}


@router.get(
    "/runs/{run_id}/artifacts/content",
    responses={
        **responses(404, 422),
        200: {"description": "The file, or a tar archive of the folder (gzipped where Kubeflow packs it)"},
    },
    response_class=Response,
    summary="An artifact's content",
)
async def artifact_content(request: Request, run_id: str, parts: Parts, task: TaskParam, port: str) -> Response:
    """The bytes of a file; a folder comes as a tar archive."""
    run = await parts.journal.run(run_id)
    output = task_of(run, task).outputs.get(port)
    if output is None or output.artifact is None:
        raise NotFoundError(f"task {task} of run {run_id} has no artifact {port!r}")
    await parts.platform.look_as(run, dict(request.headers))
    if not output.artifact.uri.startswith("file:"):
        found = await parts.platform.artifact(run, output.artifact.uri, dict(request.headers))
        kept = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(port, safe='')}{found.suffix}"}
        kind = "application/gzip" if found.suffix else "application/octet-stream"
        return StreamingResponse(found.pieces, media_type=kind, headers=kept)
    path = parts.artifacts.path_of(output.artifact.uri)
    if not await asyncio.to_thread(path.exists):
        raise NotFoundError(
            f"artifact {port!r} of task {task} is not kept any more", hint="retry the run to make it anew"
        )
    if path.is_dir():
        named = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(port, safe='')}.tar"}
        return StreamingResponse(tar_of(path), media_type="application/x-tar", headers=named)
    return FileResponse(path, media_type="application/octet-stream", filename=port)


@router.get("/runs/{run_id}/launch", responses=responses(404, 409, 422), summary="What a task was given")
async def launch(run_id: str, parts: Parts, task: TaskParam) -> dict[str, Any]:
    """The component and its arguments, for running that one task somewhere else."""
    run = await parts.journal.run(run_id)
    found = task_of(run, task)
    try:
        given = arguments_of(run, found.key)
    except (NotYetError, NeverError, BadValueError) as error:
        raise ConflictError(f"the arguments of task {task} are not known: {error or 'it waits for others'}") from error
    component = run.graph.component(found.key.path)
    current = found.current
    return {
        "task": task,
        "attempt": current.number,
        "node": current.actual_node or current.node,
        "option": current.option,
        "component": component.model_dump(mode="json"),
        "environment": run.graph.task(found.key.path).environment,
        "arguments": {port: _argument(run, data) for port, data in given.items()},
    }


def _why_not_run(task: TaskRun) -> str:
    if task.from_cache:
        return "it did not run, since the same work had been done before"
    if task.state is TaskState.SKIPPED:
        return "it was skipped"
    error = task.current.error
    return f"it failed before it began: {error.message}" if error else "it was cancelled before it began"


def _argument(run: Run, data: Any) -> dict[str, Any]:
    if isinstance(data, Artifact):
        return {"kind": "artifact", **_reference(run, data)}
    if isinstance(data, list) and data and all(isinstance(item, Artifact) for item in data):
        return {"kind": "artifacts", "items": [_reference(run, item) for item in data]}
    if isinstance(data, VolumeFile):
        return {"kind": "volume-path", "volume": data.volume, "path": data.path}
    return {"kind": "parameter", "value": data}


def _reference(run: Run, artifact: Artifact) -> dict[str, Any]:
    for key, task in run.tasks.items():
        for port, output in task.outputs.items():
            if output.artifact is not None and output.artifact.uri == artifact.uri:
                return {
                    "type": artifact.type,
                    "metadata": dict(artifact.metadata),
                    "digest": artifact.digest,
                    "download": _download(run, str(key), port),
                }
    raise NotFoundError(f"artifact {artifact.uri} is not one of run {run.id}")


def _download(run: Run, task: str, port: str) -> str:
    return f"/api/v1/runs/{run.id}/artifacts/content?task={quote(task, safe='')}&port={quote(port, safe='')}"
