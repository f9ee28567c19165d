"""`mlopx-server replay`: what happened, again, under any strategy; or one past decision, made again."""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlopx.spec import parse_seconds
from server.cli.preparing import say_preparing
from server.domain.errors import ConfigurationError, MlopxError

if TYPE_CHECKING:
    from server.settings import Settings
    from server.simulation.history.figures import Figures
    from server.simulation.history.one_decision import DecisionReplay
    from server.simulation.history.replaying import ReplayReport
    from server.stores.interface import RunStoreInterface


def replay(
    since: Annotated[str, typer.Option("--since", help="How far back: 7d, 12h.")] = "7d",
    placer: Annotated[list[str] | None, typer.Option("--placer", help="Strategies to replay it under.")] = None,
    decision: Annotated[str | None, typer.Option("--decision", help="Replay this one decision instead.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay recorded history under other strategies, and say how far off the simulator is. Changes nothing."""
    try:
        with open_store() as (settings, store):
            if decision is not None:
                _show_decision(_decision(store, decision, placer or []), as_json=json)
                return
            report = _history(settings, store, timedelta(seconds=span_seconds(since)), placer or [])
    except MlopxError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2 if error.code == "configuration" else 1) from None
    if json:
        typer.echo(json_module.dumps(document(report), indent=1, allow_nan=False))
        return
    for line in lines(report):
        typer.echo(line)


def document(report: ReplayReport) -> dict[str, Any]:
    """The report as plain values."""
    found = asdict(report)
    found["since"], found["until"] = report.since.isoformat(), report.until.isoformat()
    return found


def lines(report: ReplayReport) -> Iterator[str]:
    """At most 80 columns, but for sentences."""
    yield f"{report.runs} runs since {report.since:%Y-%m-%d %H:%M} UTC, placed by {report.strategy}"
    yield f"{'':<30}{'turnaround s':>13}{'p95 s':>10}{'makespan s':>12}{'slower runs':>13}"
    yield _row("what happened", report.real, "")
    yield _row(f"{report.strategy}, simulated", report.simulated, "")
    for one in report.replays:
        yield _row(f"{one.placer}, simulated", one.figures, f"{one.slower} of {report.runs}")
    yield (
        f"simulator error: {100 * report.error.mean:+.1f} % of the mean turnaround, "
        f"{100 * report.error.of_runs:.1f} % of a run's (median)"
    )
    yield from report.sentences
    for text in report.warnings:
        yield f"warning: {text}"


def span_seconds(text: str) -> float:
    """`7d`, `12h`, `90m` in seconds. Raises ConfigurationError."""
    days = text.removesuffix("d")
    try:
        found = float(days) * 86_400 if text.endswith("d") else float(parse_seconds(text))
    except ValueError as error:
        raise ConfigurationError(f"--since {text!r} is no span of time", hint="write it like 7d or 12h") from error
    if not 0 < found <= 3660 * 86_400:
        raise ConfigurationError(f"--since {text!r} is not between a moment and ten years", hint="write it like 7d")
    return found


def _row(name: str, figures: Figures, slower: str) -> str:
    return (
        f"{name[:29]:<30}{figures.turnaround_mean:>13.1f}{figures.turnaround_p95:>10.1f}{figures.makespan:>12.0f}"
        f"{slower:>13}"
    )


def _history(settings: Settings, store: RunStoreInterface, back: timedelta, placers: Sequence[str]) -> ReplayReport:
    from server.components.placer_registry import load_placer
    from server.components.reporting.rates import Rates, read_rates
    from server.domain.request import kubernetes_defaults, one_cpu_defaults
    from server.simulation.history.reading import read_history
    from server.simulation.history.replaying import replay as replay_history
    from server.simulation.history.teaching import taught

    for name in placers:
        load_placer(name)
    say_preparing(settings.placer, *placers)
    until = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a command has the machine's clock
    history = read_history(store, since=until - back, until=until)
    is_local = settings.platform_name == "local"
    return replay_history(
        history,
        placers,
        estimator=taught(store),
        defaults=one_cpu_defaults if is_local else kubernetes_defaults,
        baseline="fifo_greedy" if is_local else "kubernetes",
        rates=read_rates(settings.rates) if settings.rates else Rates(),
        objective=settings.objective,
        seed=settings.seed,
    )


def _decision(store: RunStoreInterface, decision_id: str, placers: Sequence[str]) -> DecisionReplay:
    from server.simulation.history.one_decision import replay_decision

    if len(placers) > 1:
        raise ConfigurationError("one decision is replayed with one strategy", hint="give --placer once")
    return replay_decision(store, decision_id, placers[0] if placers else None)


def _show_decision(found: DecisionReplay, *, as_json: bool) -> None:
    was, now = found.decision, found.placement
    if as_json:
        shown = {
            "decision": was.id,
            "run_id": was.run_id,
            "task": str(was.key),
            "at": was.at.isoformat(),
            "strategy": was.strategy,
            "placer": found.placer,
            "waiting_tasks": found.waiting,
            "nodes": found.nodes,
            "was": {"node": was.node, "option": was.option, "reason": was.reason},
            "is": {"node": now.node if now else None, "option": now.option if now else None},
            "is_same": found.is_same,
            "sentence": found.sentence,
        }
        typer.echo(json_module.dumps(shown, indent=1))
        return
    typer.echo(found.sentence)
    typer.echo(f"asked at {was.at:%Y-%m-%d %H:%M:%S} UTC about {found.waiting} waiting tasks on {found.nodes} nodes")


@contextmanager
def open_store() -> Iterator[tuple[Settings, RunStoreInterface]]:
    """What the server of these settings has on record. Raises ConfigurationError where there is nothing."""
    from server.settings import load
    from server.stores.sql import SqlRunStore

    settings = load()[0]
    if settings.database_url is None and not (settings.state_dir / "mlopx.db").exists():
        raise ConfigurationError(
            f"there is no history in {settings.state_dir}", hint="set STATE_DIR (or DATABASE_URL) as the server has it"
        )
    store = SqlRunStore(settings.database)
    try:
        yield settings, store
    finally:
        store.close()


__all__ = ["document", "open_store", "replay", "span_seconds"]
