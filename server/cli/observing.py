"""`mlopx-server learn` and `observed`: what the runs of others in Kubeflow teach, and what would have been done."""

from __future__ import annotations

import asyncio
import json as json_module
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from server.cli.replaying import span_seconds
from server.domain.errors import MlopxError
from server.platforms.kubeflow.observer import Learned, read_observed
from server.settings import Settings, load
from server.stores.interface import FinishedAttempt

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def learn(
    since: Annotated[str, typer.Option("--since", help="How far back: 30d, 12h.")] = "30d", json: Json = False
) -> None:
    """Learn from runs that ended in Kubeflow before this server was there. Reads only."""
    seconds = span_seconds(since)
    learned = asyncio.run(_learn(load()[0], timedelta(seconds=seconds)))
    if json:
        document = {"runs": learned.runs, "tasks": learned.tasks, "runs_without_nodes": learned.without_nodes}
        typer.echo(json_module.dumps(document))
        return
    typer.echo(f"learned from {learned.tasks} tasks of {learned.runs - learned.without_nodes} runs")
    if learned.without_nodes:
        typer.echo(f"{learned.without_nodes} runs are left out: their Workflows are gone, so nobody knows their nodes")


def observed(json: Json = False) -> None:
    """Show what was observed: where each task ran, where it would have been placed, and its seconds."""
    from server.connecting import observed_file

    lines = [line for line in read_observed(observed_file(load()[0].state_dir.absolute())) if "task" in line]
    if json:
        typer.echo(json_module.dumps(lines, indent=2, ensure_ascii=False))
        return
    for line in lines:
        would = line.get("would_have_been") or "-"
        typer.echo(
            f"{line['name']}  {line['task']}  ran on {line['node']} for {line['run_seconds']:g} s, would: {would}"
        )
    same = sum(line.get("would_have_been") == line["node"] for line in lines)
    known = sum(line.get("would_have_been") is not None for line in lines)
    typer.echo(f"{len(lines)} tasks; {same} of {known} would have gone to the same node")


async def _learn(settings: Settings, back: timedelta) -> Learned:
    from server.connecting import connect_kubeflow, make_observer
    from server.state_folder import prepare_state, sole_user
    from server.stores.sql import SqlRunStore

    def now() -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a command has the machine's clock

    state = prepare_state(settings.state_dir)
    with sole_user(state):
        store = SqlRunStore(settings.database)
        connected = connect_kubeflow(settings, state, now=now, node_of=lambda name: None)
        try:
            known = {}
            if connected.source is not None:
                known = {node.name: node for node in (await connected.source.look()).nodes}

            async def keep(finished: Sequence[FinishedAttempt]) -> None:
                store.add_finished(finished)

            watcher = connected.platform.watcher
            for listing in watcher.mirrors.listings():
                await _sync(listing)
            observer = make_observer(connected, settings, state, now=now, keep=keep, node_of=known.get, shadow=None)
            return await observer.learn(now() - back)
        finally:
            await connected.platform.aclose()
            store.close()


async def _sync(listing: Awaitable[None]) -> None:
    try:
        await listing
    except MlopxError as error:
        typer.echo(f"warning: {error.message}", err=True)


__all__ = ["learn", "observed"]
