"""Sub-commands that change something: submit, build, cancel, retry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mlopx.cli.finding import find_run
from mlopx.cli.following import follow
from mlopx.cli.loading import load_pipeline, load_spec
from mlopx.cli.output import say, show
from mlopx.cli.parameters import read_parameters, read_texts
from mlopx.errors import UsageError
from mlopx.remote import Client, ForeignPipeline, RunHandle, submit
from mlopx.spec import PipelineSpec, to_json


def submit_file(
    file: Path,
    pipeline: str | None,
    pairs: list[str],
    parameters: Path | None,
    options: dict[str, Any],
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Build or read the pipeline, submit it, and say where it is."""
    found = load_pipeline(file, pipeline)
    run = submit(found, arguments_for(found, pairs, parameters), **options)
    _announce(f"submitted {found.name} as run {run.id}", run, wait=wait, as_json=as_json)


def arguments_for(found: PipelineSpec | ForeignPipeline, pairs: list[str], file: Path | None) -> dict[str, Any]:
    """A pipeline's parameters from the command line. Raises UsageError."""
    return read_parameters(found, pairs, file) if isinstance(found, PipelineSpec) else read_texts(pairs, file)


def build_file(file: Path, pipeline: str | None, output: Path | None) -> None:
    """Write the spec to a file or print it."""
    text = to_json(load_spec(file, pipeline))
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text)
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}") from error
        sys.stdout.write(f"wrote {output}\n")


def cancel(client: Client, run: str, reason: str, *, as_json: bool) -> None:
    """Ask for the run to be stopped."""
    answer = RunHandle(find_run(client, run), client).cancel(reason)
    if as_json:
        show(answer)
    else:
        sys.stdout.write(f"run {answer['id']} is {answer['state']}\n")


def archive(client: Client, run: str, *, as_json: bool) -> None:
    """Have the platform put a run away."""
    name = find_run(client, run)
    answer = client.post(f"/api/v1/runs/{name}/archive")
    if as_json:
        show(answer)
    else:
        sys.stdout.write(f"run {name} is archived on its platform\n")


def accept(client: Client, run: str, task: str, option: str | None, node: str | None, *, as_json: bool) -> None:
    """Take what is offered to a waiting task."""
    if option is None and node is None:
        raise UsageError("accept what?", hint="say --option NAME, --node NAME, or both: `mlopx explain` shows them")
    body = {"task": task, "option": option, "node": node}
    answer = client.post(f"/api/v1/runs/{find_run(client, run)}/accept", body)
    if as_json:
        show(answer)
    else:
        sys.stdout.write(f"{answer['sentence']}\n")


def retry(
    client: Client,
    run: str,
    from_task: str | None,
    file: Path | None,
    pipeline: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Start the new run."""
    spec = load_pipeline(file, pipeline) if file is not None else None
    old = find_run(client, run)
    new = RunHandle(old, client).retry(from_task=from_task, spec=spec)
    _announce(f"retrying {old} as run {new.id}", new, wait=wait, as_json=as_json)


def replace(client: Client, run: str, *, wait: bool, as_json: bool) -> None:
    """Accept the offer of a new placement."""
    old = find_run(client, run)
    new = RunHandle(old, client).replace()
    _announce(f"run {old} is being stopped; run {new.id} takes its place", new, wait=wait, as_json=as_json)


def _announce(text: str, run: RunHandle, *, wait: bool, as_json: bool) -> None:
    if as_json:
        detail = run.wait() if wait else {"run_id": run.id, "link": run.link}
        show(detail)
        return
    sys.stdout.write(f"{text}\n")
    for note in run.notes:
        say(f"note: {note}", "  ", further="    ")
    sys.stdout.write(f"  {run.link}\n")
    sys.stdout.flush()
    if wait:
        follow(run)
