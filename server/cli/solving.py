"""`mlopx-server solve`: what a strategy answers to a file."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer


def solve(
    kube_events: Annotated[
        Path, typer.Option(help="Recorded kube-scheduler events (JSON) to replay through the strategy `kubernetes`.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay recorded scheduler events and report every difference; exit code 0 when there is none."""
    from server.cli.kube_events import UnreadableError, compare, lines

    try:
        report = compare(kube_events)
    except UnreadableError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    typer.echo(json_module.dumps(report, indent=2) if json else "\n".join(lines(report)))
    if not report["ok"]:
        raise SystemExit(1)
