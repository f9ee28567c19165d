"""`mlopx schedule` and `mlopx schedules`: pipelines that are submitted again and again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from mlopx.cli.output import advice

schedules_app = typer.Typer(
    help="List schedules; show, pause, resume or delete one.", invoke_without_command=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Name of the schedule, as `mlopx schedules` lists it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Param = Annotated[list[str] | None, typer.Option("-p", "--param", help="Parameter NAME=VALUE.")]


def schedule(
    file: Annotated[
        Path, typer.Argument(help="A definition file (.py), a spec (.json) or a compiled Kubeflow pipeline.")
    ],
    cron: Annotated[str, typer.Option(help='When: minute, hour, day of month, month, day of week: "30 6 * * 1-5".')],
    tz: Annotated[str, typer.Option(help="Time zone in which that is meant: Europe/Berlin.")] = "UTC",
    name: Annotated[str | None, typer.Option(help="Name of the schedule; by default the pipeline's.")] = None,
    param: Param = None,
    params: Annotated[Path | None, typer.Option(help="Parameters from a JSON file.")] = None,
    overlap: Annotated[
        str, typer.Option(help="While the run before is not over: Forbid (skip), Allow, or Replace (cancel that).")
    ] = "Forbid",
    missed: Annotated[
        str, typer.Option(help="Times at which no server was there: none, last, or all are made up for.")
    ] = "last",
    most_missed: Annotated[int, typer.Option(help="With --missed all: how many at the most, the latest.")] = 10,
    webhook: Annotated[str | None, typer.Option(help="Address that is told of failure and lateness.")] = None,
    late_after: Annotated[
        str | None, typer.Option(help="Late is what is not over so long after its time: 30m.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    project: Annotated[str | None, typer.Option(help="Whom the runs belong to.")] = None,
    deadline: Annotated[str | None, typer.Option(help="When each should be done, from its submission: 2h.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run everything anew.")] = False,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline, where a file defines several.")] = None,
    json: Json = False,
) -> None:
    """Submit a pipeline again and again, at the times of a cron expression; each run is placed afresh."""
    from mlopx.cli.actions import arguments_for
    from mlopx.cli.loading import load_pipeline
    from mlopx.remote import Client
    from mlopx.remote.runs import pipeline_body, span_seconds

    with advice():
        found = load_pipeline(file, pipeline)
        options = {
            "priority": priority,
            "project": project,
            "deadline_seconds": span_seconds(deadline, "the deadline") if deadline else None,
            "is_caching": False if no_cache else None,
        }
        body = {
            **pipeline_body(found),
            "name": name,
            "cron": cron,
            "zone": tz,
            "parameters": arguments_for(found, param or [], params),
            "options": {key: value for key, value in options.items() if value is not None},
            "overlap": overlap,
            "missed": missed,
            "most_missed": most_missed,
            "webhook": webhook,
            "late_seconds": span_seconds(late_after, "--late-after") if late_after else None,
        }
        answer = Client().post("/api/v1/schedules", {key: value for key, value in body.items() if value is not None})
        _say(answer, f"schedule {answer['name']}: first at {_short(answer['next_at'])}", as_json=json)


@schedules_app.callback()
def schedules(context: typer.Context, json: Json = False) -> None:
    """List schedules, or with a sub-command look at one and change it."""
    from mlopx.cli.output import console, show, table
    from mlopx.remote import Client

    if context.invoked_subcommand is not None:
        return
    with advice():
        answer = Client().get("/api/v1/schedules")
        if json:
            show(answer)
            return
        if not answer["schedules"]:
            sys.stdout.write('no schedules yet; make one: mlopx schedule FILE --cron "30 6 * * 1-5"\n')
            return
        rows = [
            (one["name"], one["cron"], one["zone"], one["overlap"], _short(one["next_at"], one), _last(one))
            for one in answer["schedules"]
        ]
        console().print(table(["schedule", "cron", "time zone", "overlap", "next (UTC)", "last"], rows))


@schedules_app.command("show")
def show_one(name: Name, json: Json = False) -> None:
    """Show a schedule and what became of its last times."""
    from mlopx.remote import Client

    with advice():
        found = Client().get(_path(name))
        lines = [
            f"schedule {found['name']}: {found['cron']} ({found['zone']}), next at {_short(found['next_at'], found)}"
        ]
        lines += [f"  {_short(one['due_at'])}  {one['outcome']:<9}  {_what(one)}".rstrip() for one in found["firings"]]
        _say(found, "\n".join(lines), as_json=json)


@schedules_app.command()
def pause(name: Name, json: Json = False) -> None:
    """Submit nothing for a while; runs that were submitted go on."""
    _post(name, "pause", "is paused", as_json=json)


@schedules_app.command()
def resume(name: Name, json: Json = False) -> None:
    """Go on after a pause, from the next time on."""
    _post(name, "resume", "goes on", as_json=json)


@schedules_app.command()
def delete(name: Name, json: Json = False) -> None:
    """Forget a schedule; its runs stay."""
    from mlopx.remote import Client

    with advice():
        _say(Client().delete(_path(name)), f"schedule {name} is forgotten; its runs stay", as_json=json)


def _post(name: str, what: str, said: str, *, as_json: bool) -> None:
    from mlopx.remote import Client

    with advice():
        _say(Client().post(f"{_path(name)}/{what}"), f"schedule {name} {said}", as_json=as_json)


def _path(name: str) -> str:
    return f"/api/v1/schedules/{quote(name, safe='')}"


def _say(answer: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    from mlopx.cli.output import show

    if as_json:
        show(answer)
    else:
        sys.stdout.write(text + "\n")


def _short(at: str | None, schedule: Mapping[str, Any] | None = None) -> str:
    if schedule is not None and schedule["is_paused"]:
        return "paused"
    return f"{at[:16].replace('T', ' ')} UTC" if at else "never"


def _last(schedule: Mapping[str, Any]) -> str:
    return f"{schedule['firings'][0]['outcome']} {_what(schedule['firings'][0])}".strip() if schedule["firings"] else ""


def _what(firing: Mapping[str, Any]) -> str:
    return " ".join(part for part in (firing["run_id"], firing["reason"]) if part)


__all__ = ["schedule", "schedules_app"]
