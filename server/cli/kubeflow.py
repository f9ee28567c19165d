"""`mlopx-server compile` and `mlopx-server place`: Kubeflow's files without a server and without Kubeflow."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from mlopx.errors import MlopxError as LibraryError
from mlopx.spec import PipelineSpec
from server.domain.errors import ConfigurationError, InvalidRequestError
from server.platforms.kubeflow.placing import PlacementMode

Output = Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the file.")]
Name = Annotated[str | None, typer.Option("--pipeline", help="Which pipeline, where a .py file defines several.")]


def compile_(
    file: Annotated[
        Path, typer.Argument(help="A spec (.json, of `mlopx build`), or the .py that defines the pipeline.")
    ],
    output: Output = None,
    pipeline: Name = None,
    option: Annotated[
        list[str] | None, typer.Option(help="TASK=OPTION, for a task with alternatives; by default its first.")
    ] = None,
) -> None:
    """Compile a pipeline to Kubeflow's YAML. A .py file is built in a process of its own, by the library."""
    from server.platforms.kubeflow.compile import compile_spec

    found = compile_spec(_spec(file, pipeline), _pairs(option or [], "--option", "OPTION"))
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    if output is None:
        typer.echo(found.text, nl=False)
        return
    _write(output, found.text)
    typer.echo(f"wrote {output}", err=True)


def place(
    file: Annotated[Path, typer.Argument(help="A compiled Kubeflow pipeline (.yaml), a spec (.json) or a .py file.")],
    cluster: Annotated[
        Path | None,
        typer.Option(help="The file that describes the nodes; without it, the cluster that KUBECONFIG leads to."),
    ] = None,
    placer: Annotated[str | None, typer.Option(help="The strategy; see `mlopx-server placers`.")] = None,
    mode: Annotated[PlacementMode, typer.Option(help="How firmly nodes are asked for.")] = PlacementMode.DEFAULT,
    pin: Annotated[list[str] | None, typer.Option(help="TASK=NODE, whatever the strategy says.")] = None,
    iterations: Annotated[
        bool | None,
        typer.Option(
            help="A node for each iteration of loops whose items the file says; this changes the items. By default "
            "only for specs and .py files."
        ),
    ] = None,
    output: Output = None,
    pipeline: Name = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Place the tasks of a pipeline on nodes of a file or of a cluster, and say where each goes and why."""
    from server.cli.live_cluster import cluster_of
    from server.cli.placing import Subject, place_offline, subject_of_spec
    from server.components.decision_unit import DEFAULT_PLACER
    from server.platforms.kubeflow.reading import read_pipeline

    is_own = file.suffix in (".json", ".py") and not _is_compiled(file)
    subject = subject_of_spec(_spec(file, pipeline)) if is_own else Subject(read_pipeline(_read(file), str(file)))
    pins = _pairs(pin or [], "--pin", "NODE")
    seen = cluster_of(cluster, [task.image for task in subject.pipeline.placeable()])
    for problem in seen.problems:
        typer.echo(f"note: {problem}", err=True)
    found = place_offline(
        subject,
        seen.nodes,
        placer=placer or DEFAULT_PLACER,
        mode=mode,
        pins=pins,
        is_by_iteration=is_own if iterations is None else iterations,
        occupancies=seen.occupancies,
        limits=seen.limits,
    )
    if output is not None:
        _write(output, found.pipeline.text)
    if json:
        typer.echo(json_module.dumps({**found.report, "output": str(output) if output else None}, indent=2))
        return
    for line in _lines(found.report):
        typer.echo(line)


def _lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    rows = report["tasks"]
    width = max((len(row["task"]) for row in rows), default=0)
    found = [f"{report['pipeline']}: placed by {report['placer']}, mode {report['mode']}"]
    for row in rows:
        option = f" ({row['option']})" if row.get("option") else ""
        found.append(f"  {row['task']:<{width}}  {row['node'] or '-'}{option}  {row['reason']}".rstrip())
        found += [f"  {'':<{width}}    note: {note}" for note in row["notes"]]
    found += [f"  {row['task']:<{width}}  left alone: {row['reason']}" for row in report["left_alone"]]
    found += [f"caching: {report['caching']}"] if report["caching"] else []
    return found + [f"note: {note}" for note in report["notes"]]


def _spec(file: Path, name: str | None) -> PipelineSpec:
    from mlopx.cli.loading import load_spec

    if file.suffix in (".yaml", ".yml"):
        raise InvalidRequestError(f"{file} is compiled already", hint="place it: mlopx-server place")
    try:
        return load_spec(file, name)
    except LibraryError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}") from error


def _is_compiled(file: Path) -> bool:
    """Whether a .json file is a compiled pipeline, not a spec of ours."""
    return file.suffix == ".json" and '"mlopx.PipelineSpec"' not in _read(file).decode(errors="replace")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}") from error


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error


def _pairs(texts: list[str], flag: str, what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        task, separator, value = text.rpartition("=")
        if not (separator and task and value):
            raise InvalidRequestError(f"{flag} {text!r} is not TASK={what}")
        found[task] = value
    return found


__all__ = ["compile_", "place"]
