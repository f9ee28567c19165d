"""`mlopx-server export`: recorded runs as a scenario that `mlopx-server simulate` runs under any strategy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.replaying import open_store, span_seconds
from server.domain.errors import ConfigurationError, MlopxError

if TYPE_CHECKING:
    from server.settings import Settings
    from server.simulation.history.exporting import Exported
    from server.simulation.history.reading import History
    from server.stores.interface import RunStoreInterface


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="The scenario file to write, such as week.toml.")],
    since: Annotated[str, typer.Option("--since", help="How far back: 7d, 12h.")] = "7d",
    pipelines: Annotated[
        Path | None, typer.Option(help="The file of pipelines to write; beside the scenario where it is left out.")
    ] = None,
    placer: Annotated[
        list[str] | None, typer.Option("--placer", help="Strategies for the scenario to compare with what ran.")
    ] = None,
) -> None:
    """Write recorded runs as a scenario for `mlopx-server simulate`. Changes nothing on record."""
    lines = pipelines or output.with_suffix(".jsonl")
    file = os.path.relpath(lines, output.parent)
    try:
        if output.suffix != ".toml" or lines.suffix != ".jsonl":
            raise ConfigurationError(
                f"{output} and {lines} would not be taken for a scenario and its pipelines",
                hint="name them week.toml and week.jsonl, for instance",
            )
        with open_store() as (settings, store):
            history, exported = _made(settings, store, timedelta(seconds=span_seconds(since)), file, placer or [])
        _write(output, exported.scenario)
        _write(lines, "".join(f"{line}\n" for line in exported.pipelines))
    except MlopxError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2 if error.code == "configuration" else 1) from None
    for line in _said(history, exported, output, lines):
        typer.echo(line)


def _made(
    settings: Settings, store: RunStoreInterface, back: timedelta, file: str, placers: Sequence[str]
) -> tuple[History, Exported]:
    from server.components.placer_registry import load_placer
    from server.domain.request import kubernetes_defaults, one_cpu_defaults
    from server.simulation.history.exporting import export as as_scenario
    from server.simulation.history.reading import read_history
    from server.simulation.history.recreating import recreate
    from server.simulation.history.teaching import taught

    for name in placers:
        load_placer(name)
    until = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a command has the machine's clock
    history = read_history(store, since=until - back, until=until, fewest=1)
    is_local = settings.platform_name == "local"
    recreated = recreate(history, taught(store), one_cpu_defaults if is_local else kubernetes_defaults)
    return history, as_scenario(
        history,
        recreated,
        file=file,
        really=history.strategy or ("fifo_greedy" if is_local else "kubernetes"),
        placers=placers,
        objective=settings.objective,
    )


def _said(history: History, exported: Exported, output: Path, lines: Path) -> Iterator[str]:
    count = exported.measured + exported.predicted
    yield f"wrote {output} and {lines}: {len(exported.pipelines)} runs on {len(history.lives)} nodes"
    yield (
        f"{exported.measured} of {count} run times (task, node and option) are measured; the others are predicted: a "
        "task that did not run on a node takes there what the estimators say"
    )
    for why, left in history.left_out.items():
        yield f"left out: {left} runs ({why})"
    yield f"next: mlopx-server simulate {output}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}", hint="choose another --output"
        ) from None


__all__ = ["export"]
