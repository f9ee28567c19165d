"""`mlopx-server solve`: what a strategy answers to a file."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.preparing import say_preparing
from server.exchange.errors import UnreadableError


def solve(
    problem: Annotated[
        Path | None, typer.Argument(help="A problem file, see docs/problem-files.md (JSON, also .gz), or WfFormat.")
    ] = None,
    placer: Annotated[
        str, typer.Option(help="A strategy's name (`mlopx-server placers --all` lists them) or package.module:Class.")
    ] = "anytime",
    objective: Annotated[
        str, typer.Option(help="`makespan`, `turnaround` (weighted mean of runs), `mixed`, `cost`, `deadline`, `fair`.")
    ] = "makespan",
    time_limit: Annotated[float, typer.Option(help="Seconds that a search may take.", min=0)] = 1.0,
    seed: Annotated[int, typer.Option(help="Chance of a search.", min=0)] = 0,
    cluster: Annotated[Path | None, typer.Option(help="Cluster file (TOML) for a WfFormat file.")] = None,
    kube_events: Annotated[
        Path | None, typer.Option(help="Recorded kube-scheduler events (JSON) to replay through `kubernetes`.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Place the tasks of a problem file; or replay recorded scheduler events.

    The exit code is 0 when the answer is sound (or the replay shows no difference), 2 when a file cannot be read.
    """
    if (problem is None) == (kube_events is None):
        raise typer.BadParameter("give a problem file, or --kube-events FILE", param_hint="PROBLEM")
    try:
        if problem is None:
            assert kube_events is not None
            is_ok = _replay(kube_events, json)
        else:
            is_ok = _solve(problem, placer, objective, time_limit, seed, cluster, json)
    except UnreadableError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    if not is_ok:
        raise SystemExit(1)


def _replay(path: Path, is_json: bool) -> bool:
    from server.cli.kube_events import compare, lines

    report = compare(path)
    typer.echo(json_module.dumps(report, indent=2) if is_json else "\n".join(lines(report)))
    return bool(report["ok"])


def _solve(*asked: Any) -> bool:
    from server.exchange.reading import read_question
    from server.solving.answering import Wish, as_json, as_lines
    from server.solving.answering import solve as answer_to

    path, placer, objective, seconds, seed, cluster, is_json = asked
    say_preparing(placer)
    wish = Wish(placer, objective, seconds, seed, time.monotonic)
    question = read_question(path, cluster)
    answer = answer_to(question, wish)
    if is_json:
        typer.echo(json_module.dumps(as_json(question, wish, answer), indent=2))
    else:
        typer.echo("\n".join(as_lines(question, wish, answer)))
    return not answer.flaws
