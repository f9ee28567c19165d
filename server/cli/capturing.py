"""`mlopx-server capture`: what a running server is asked, as a problem file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def capture(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    url: Annotated[str | None, typer.Option(help="The server (default: MLOPX_URL, or http://127.0.0.1:8000).")] = None,
) -> None:
    """Write the placement problem of a running server to a file that `solve` reads. The token is MLOPX_TOKEN."""
    from mlopx.errors import MlopxError
    from mlopx.remote.client import Client

    try:
        with Client(url) as client:
            problem = client.get("/api/v1/queue/problem")
        output.write_text(json.dumps(problem, indent=1) + "\n", encoding="utf-8")
    except MlopxError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        typer.echo(f"error: {output}: {error.strerror or error}", err=True)
        raise SystemExit(2) from None
    tasks, nodes = len(problem.get("tasks", [])), len(problem["nodes"])
    typer.echo(f"{output}: {tasks} tasks that wait, {nodes} nodes")
    typer.echo(f"next: mlopx-server solve {output} --objective turnaround")
