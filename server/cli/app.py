"""The `mlopx-server` command: start the server, and look at what it would do."""

from __future__ import annotations

import json as json_module
import socket
import sys
from typing import Annotated, Any

import typer

from server.cli.benching import bench
from server.cli.capturing import capture
from server.cli.direct import submit
from server.cli.estimating import estimate
from server.cli.exporting import export
from server.cli.kubeflow import compile_, place
from server.cli.new_placer import placer_app
from server.cli.observing import learn, observed
from server.cli.profiling import profile_node
from server.cli.replaying import replay
from server.cli.simulating import simulate
from server.cli.solving import solve
from server.domain.errors import MlopxError

app = typer.Typer(
    name="mlopx-server",
    help="Run an MLOpX placement server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def run() -> None:
    """Run the command; our errors become advice and exit code 78 (configuration) or 1."""
    try:
        app()
    except MlopxError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(78 if error.code == "configuration" else 1) from None


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
) -> None:
    """Start the server."""
    import uvicorn

    from server.settings import load

    load()
    _require_free(host, port)
    uvicorn.run("server.main:app", host=host, port=port, log_level="info")


@app.command()
def config(json: Json = False) -> None:
    """Show every setting, its value, and where it came from."""
    from server.settings import Settings, load, masked, variable

    settings, sources = load()
    rows: list[dict[str, Any]] = []
    for field, info in Settings.model_fields.items():
        value = getattr(settings, field)
        rows.append(
            {
                "setting": variable(field),
                "value": masked(value),
                "source": sources[field],
                "description": info.description,
            }
        )
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    width = max(len(row["setting"]) for row in rows)
    for row in rows:
        shown = "-" if row["value"] is None else row["value"] or '""'
        typer.echo(f"{row['setting']:<{width}}  {shown}  [{row['source']}]")
    typer.echo(f"\nplatform: {settings.platform_name}, database: {masked(settings.database)}")


@app.command()
def check(
    json: Json = False,
    rbac: Annotated[
        bool, typer.Option("--rbac", help="Each permission in Kubernetes, and what is lost without.")
    ] = False,
) -> None:
    """Check that the server could start here: settings, state folder, database, nodes, strategy."""
    from server.cli.checking import check_all
    from server.cli.rbac import check_rbac
    from server.settings import load

    found = check_rbac(load()[0]) if rbac else check_all()
    if json:
        typer.echo(
            json_module.dumps([{"what": what, "ok": ok, "detail": detail} for what, ok, detail in found], indent=2)
        )
    else:
        for what, ok, detail in found:
            typer.echo(f"{'ok  ' if ok else 'BAD '} {what}: {detail}")
    if not all(ok for _, ok, _ in found):
        raise SystemExit(1)


@app.command()
def placers(
    all: Annotated[bool, typer.Option("--all", help="All of them.")] = False,  # noqa: A002 - the option's name
    json: Json = False,
) -> None:
    """List the placement strategies: the most useful ones, or all."""
    from server.components.placer_registry import DEFAULT_PLACER, SHOWN
    from server.components.placer_registry import placers as known

    rows = [
        {"name": name, "summary": found.summary, "source": found.source}
        for name, found in known.items()
        if all or name in SHOWN
    ]
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    for row in rows:
        mark = " (default)" if row["name"] == DEFAULT_PLACER else ""
        typer.echo(f"{row['name']}{mark}\n    {row['summary']}" + (f"\n    {row['source']}" if row["source"] else ""))


@app.command()
def version() -> None:
    """Print the server's version."""
    from server import __version__

    typer.echo(__version__)


app.command()(solve)
app.command()(learn)
app.command()(observed)
app.command()(capture)
app.command()(simulate)
app.command()(bench)
app.command()(replay)
app.command()(export)
app.command("compile")(compile_)
app.command()(place)
app.command()(submit)
app.command()(estimate)
app.command()(profile_node)
app.add_typer(placer_app, name="placer")


def _require_free(host: str, port: int) -> None:
    """End with a sentence if somebody else listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            typer.echo(
                f"error: cannot listen on {host}:{port}: {error.strerror}\n"
                f"  hint: another server may run there; choose another with --port",
                err=True,
            )
            sys.exit(78)
