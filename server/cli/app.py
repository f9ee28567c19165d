"""The `mlopx-server` command: start the server, and look at what it would do."""

from __future__ import annotations

import json as json_module
import socket
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from server.domain.errors import MlopxError

LATER = {
    "solve": "server.cli.solving:solve",
    "learn": "server.cli.observing:learn",
    "observed": "server.cli.observing:observed",
    "capture": "server.cli.capturing:capture",
    "simulate": "server.cli.simulating:simulate",
    "bench": "server.cli.benching:bench",
    "replay": "server.cli.replaying:replay",
    "export": "server.cli.exporting:export",
    "compile": "server.cli.kubeflow:compile_",
    "place": "server.cli.kubeflow:place",
    "submit": "server.cli.direct:submit",
    "estimate": "server.cli.estimating:estimate",
    "profile-node": "server.cli.profiling:profile_node",
    "placer": "server.cli.new_placer:placer_app",
}
"""Commands by name that are imported when they are asked for: `module:function`, or `module:app` for a group."""


class Commands(TyperGroup):
    """The commands below, and those of `LATER`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in order."""
        return [*(name for name in super().list_commands(ctx) if name not in LATER), *LATER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them; who asks for an unknown one may be told any other, so all are imported."""
        found = super().get_command(ctx, cmd_name)
        if found is None:
            for name in [cmd_name] if cmd_name in LATER else LATER:
                self.add_command(_imported(name), name)
        return super().get_command(ctx, cmd_name)


def _imported(name: str) -> Any:
    module, attribute = LATER[name].split(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(found)
    return typer.main.get_command(alone)


app = typer.Typer(
    name="mlopx-server",
    cls=Commands,
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
