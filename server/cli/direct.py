"""`mlopx-server submit`: creates one run on Kubeflow at once, with no server of ours in between, and places nothing.

It uses the same settings as the server for address and credentials (KFP_URL, KFP_TOKEN_FILE, KFP_USER, KFP_COOKIE).
`mlopx submit --direct` calls it.
"""

from __future__ import annotations

import asyncio
import json as json_module
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mlopx.errors import MlopxError as LibraryError
from mlopx.remote import ForeignPipeline
from server.domain.errors import InvalidRequestError, InvalidSubmissionError, PlatformError
from server.platforms.kubeflow.namespaces import Namespaces

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Direct:
    """A pipeline ready to be created. `pipeline_spec` is what Kubeflow's run request carries."""

    name: str
    pipeline_spec: Mapping[str, Any]
    parameters: Mapping[str, Any]


def submit(
    file: Annotated[Path, typer.Argument(help="A definition file, a spec, or a compiled Kubeflow pipeline.")],
    param: Annotated[list[str] | None, typer.Option("-p", "--param", help="Parameter NAME=VALUE.")] = None,
    params: Annotated[Path | None, typer.Option(help="Parameters from a JSON file.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end.")] = False,
    project: Annotated[str | None, typer.Option(help="The experiment; by default KFP_EXPERIMENT.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run everything anew.")] = False,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline, where a file defines several.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create a run on Kubeflow (KFP_URL) directly: nothing is placed, and no server of ours knows of it."""
    from server.settings import load

    settings = load()[0]
    ready = read_direct(file, pipeline, param or [], params, is_caching=not no_cache)
    found = asyncio.run(_create(settings, ready, project, wait=wait))
    if json:
        typer.echo(json_module.dumps(found, indent=2))
    else:
        typer.echo(f"created {ready.name} as run {found['run_id']} on {settings.kfp_url}: {found['state']}")
    if wait and found["state"] not in ("SUCCEEDED", "SKIPPED"):
        raise SystemExit(5)


def read_direct(
    file: Path, name: str | None, pairs: list[str], parameters: Path | None, *, is_caching: bool = True
) -> Direct:
    """Read, compile and check. Raises InvalidRequestError or InvalidSubmissionError."""
    from mlopx.cli.actions import arguments_for
    from mlopx.cli.loading import load_pipeline
    from server.components.parameters import resolve_parameters
    from server.platforms.kubeflow.adopting import adopt
    from server.platforms.kubeflow.compile import compile_spec
    from server.platforms.kubeflow.compiler import importing, original, refusals_of, without_cache
    from server.platforms.kubeflow.reading import read_pipeline

    try:
        found = load_pipeline(file, name)
        arguments = arguments_for(found, pairs, parameters)
    except LibraryError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
    spec = adopt(found.text, found.name) if isinstance(found, ForeignPipeline) else found
    spec = spec if is_caching else without_cache(spec)
    given = resolve_parameters(spec, arguments)
    if isinstance(found, ForeignPipeline):
        pipeline = original(spec).pipeline
        if problems := refusals_of(pipeline):
            raise InvalidSubmissionError(f"Kubeflow could not run {found.name}", details=tuple(problems))
        pipeline = importing(pipeline, given)
    else:
        pipeline = read_pipeline(compile_spec(spec).text, spec.name)
    documents = pipeline.documents
    body: Mapping[str, Any] = documents.pipeline
    if documents.platform is not None:
        body = {"pipeline_spec": documents.pipeline, "platform_spec": documents.platform}
    return Direct(spec.name, body, {key: value for key, value in given.items() if value is not None})


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a command has the machine's clock


async def _create(settings: Any, ready: Direct, project: str | None, *, wait: bool) -> dict[str, Any]:
    from server.connecting import kfp_client

    client = kfp_client(settings, _now)
    try:
        namespace = Namespaces.read(settings.kfp_namespace).of(project or "")
        name = settings.kfp_experiment if project in (None, namespace) else project
        experiment = await client.experiment(name, namespace)
        body: dict[str, Any] = {
            "display_name": ready.name,
            "description": "Created by mlopx submit --direct.",
            "pipeline_spec": ready.pipeline_spec,
            "runtime_config": {"parameters": dict(ready.parameters)},
            "experiment_id": experiment,
        }
        if settings.kfp_service_account:
            body["service_account"] = settings.kfp_service_account
        run = await client.create(body)
        while wait and not run.is_over:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                run = await client.get(run.id)
            except PlatformError as error:
                if not error.is_retryable:
                    raise
        return {"run_id": run.id, "name": run.name, "state": run.state, "error": run.error}
    finally:
        await client.aclose()


__all__ = ["Direct", "read_direct", "submit"]
