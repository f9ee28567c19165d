"""The addresses of the original MLOpX, kept as they were."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile

from server import __version__
from server.api import views
from server.api.access import Parts
from server.api.problems import responses
from server.api.routes import cluster, datasets
from server.api.routes.runs import Key
from server.api.submissions import from_form

router = APIRouter(tags=["seed"])


@router.get("/", summary="Is the server there, and what is it")
async def status(parts: Parts) -> dict[str, Any]:
    """Name, version, strategy (`preparing`: a sentence while it cannot answer yet), platform, how many runs are in
    which state, and which definitions lie ready."""
    counts = await asyncio.to_thread(parts.store.count_by_state)
    return {
        "status": "running",
        "name": "MLOpX",
        "version": __version__,
        **parts.settings_view,
        "preparing": parts.decision_unit.preparing,
        "runs": {state.value: count for state, count in counts.items()},
        "pipelines": await asyncio.to_thread(_definitions, parts.pipelines_dir),
        "ui": "/ui/",
    }


def _definitions(folder: Path | None) -> list[str]:
    """Names of the definition files in a folder; they are never opened."""
    return sorted(path.stem for path in folder.glob("*.py")) if folder is not None else []


@router.post(
    "/submit/", status_code=202, responses=responses(401, 409, 413, 422, 503, 507), summary="Submit a pipeline"
)
async def submit(
    request: Request,
    parts: Parts,
    spec: Annotated[
        UploadFile, File(description="The PipelineSpec, as JSON; or a compiled Kubeflow pipeline, named *.yaml.")
    ],
    components: Annotated[list[UploadFile] | None, File(description="The components' source files.")] = None,
    metadata: Annotated[UploadFile | None, File(description="Workload hints: the original's metadata file.")] = None,
    parameters: Annotated[str, Form(description="A JSON object.")] = "{}",
    options: Annotated[str, Form(description="A JSON object: priority, project, deadline_seconds, …")] = "{}",
    idempotency_key: Key = None,
) -> dict[str, Any]:
    """Take a pipeline's files for running. The answer comes when they are stored for good."""
    files = [(part.filename or "", await part.read()) for part in components or ()]
    submission = from_form(
        await spec.read(),
        file=spec.filename or "",
        parameters=parameters,
        options=options,
        metadata=await metadata.read() if metadata is not None else None,
        files=files,
    )
    run = await parts.pipeline_manager.submit(
        replace(submission, caller=dict(request.headers)), idempotency_key=idempotency_key
    )
    return {
        "status": "accepted",
        "message": f"pipeline {run.name} is accepted as run {run.id}",
        "pipeline_id": run.id,
        "run_id": run.id,
        "link": f"/api/v1/runs/{run.id}",
        "notes": views.submission_notes(run, parts.decision_unit.preparing, parts.platform),
    }


@router.get("/pipelines/{pipeline_id}", responses=responses(404), summary="One run, by its id")
async def pipeline(pipeline_id: str, parts: Parts) -> dict[str, Any]:
    """The same as /api/v1/runs/{id}."""
    return views.run_detail(await parts.journal.run(pipeline_id))


router.add_api_route("/nodes/", cluster.nodes, methods=["GET"], summary="The nodes as they are now")
router.add_api_route("/datasets/", datasets.datasets, methods=["GET"], summary="The data sets there are")
