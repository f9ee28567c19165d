"""`mlopx plan`: what a pipeline would do on the live cluster, or what the queue will do, with nothing submitted."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mlopx.cli.actions import arguments_for
from mlopx.cli.gantt import LETTERS
from mlopx.cli.loading import load_pipeline
from mlopx.cli.output import WIDEST, console, facts_in_lines, say, show, size, span, table
from mlopx.errors import UsageError
from mlopx.remote import Client
from mlopx.remote.runs import pipeline_body

MOST_LANES = 6
MOST_TASKS = 25
MOST_STEPS = 12
_say = partial(say, further="  ")


def plan(
    client: Client,
    file: Path | None,
    pipeline: str | None,
    pairs: list[str],
    what_if: Mapping[str, Any],
    *,
    priorities: Sequence[str],
    as_json: bool,
) -> None:
    """Ask for a plan and draw it."""
    body: dict[str, Any] = {key: value for key, value in what_if.items() if value}
    own, others = _priorities(priorities, has_file=file is not None)
    if others:
        body["priorities"] = others
    if file is not None:
        found = load_pipeline(file, pipeline)
        body |= {**pipeline_body(found), "parameters": arguments_for(found, pairs, None)}
        if own is not None:
            body["options"] = {"priority": own}
    answer = client.post("/api/v1/plan", body)
    if as_json:
        show(answer)
    else:
        _draw(answer)


def _priorities(given: Sequence[str], *, has_file: bool) -> tuple[int | None, dict[str, int]]:
    """`--priority 5` is the new run's own, `--priority RUN=5` another one's."""
    own: int | None = None
    others: dict[str, int] = {}
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            number = int(value)
        except ValueError:
            raise UsageError(f"{text!r} is no priority", hint="give a number, or RUN=NUMBER") from None
        if name:
            others[name] = number
        elif not has_file:
            raise UsageError("whose priority?", hint="without a FILE, say --priority RUN=NUMBER")
        else:
            own = number
    return own, others


def _draw(found: Mapping[str, Any]) -> None:
    out = console()
    width = min(out.width, WIDEST)
    _say(found["sentence"])
    if found["bars"]:
        sys.stdout.write("\n" + chart(found, width) + "\n")
    _tasks(found)
    if found["bottleneck"]:
        _say(f"bottleneck  {found['bottleneck']}")
    if found["critical_path"]:
        is_one = len({step["run_id"] for step in found["critical_path"]}) == 1
        own = found["subject"] or (found["critical_path"][0]["run_id"] if is_one else None)
        steps = [_step(step, own) for step in found["critical_path"]]
        hidden = len(steps) - MOST_STEPS
        before = [f"{hidden} others"] if hidden > 0 else []
        _say("critical path  " + " -> ".join([*before, *steps[-MOST_STEPS:]]))
    facts = []
    if found["bytes_moved"] is not None:
        facts.append(f"{size(found['bytes_moved'])} move between nodes")
    if found["cost"] is not None:
        facts.append(f"costs {found['cost']:.4f} at the nodes' rates")
    if facts:
        _say("  ".join(facts))
    late = [one for one in found["runs"] if one["delay_seconds"] is not None]
    if late:
        rows = [(one["run_id"], one["name"], f"{one['delay_seconds']:+.1f} s") for one in late[:10]]
        sys.stdout.write("\nwhat it does to other runs\n")
        out.print(table(("run", "pipeline", "ends"), rows, right=("ends",)))
    for text in found["assumptions"]:
        _say(f"assumed: {text}")


def _tasks(found: Mapping[str, Any]) -> None:
    """When each task starts and ends, as bands of seconds from now: of the pipeline, or of all that waits and runs."""
    at = datetime.fromisoformat(found["at"])
    bars = [one for one in found["bars"] if one["is_new"] or not found["subject"]]
    bars.sort(key=lambda one: str(one["starts"]["p50"]))
    rows = [
        (one["task"] if one["is_new"] else f"{one['task']} of {one['run_id']}", one["node"], *_bands(one, at))
        for one in bars[:MOST_TASKS]
    ]
    if rows:
        sys.stdout.write("\nfrom now, in eight cases of ten (~ where run times are guessed)\n")
        console().print(table(("task", "node", "starts", "done"), rows, right=("starts", "done")))
    if len(bars) > MOST_TASKS:
        _say(f"... and {len(bars) - MOST_TASKS} more tasks, with --json")
    for one in found["unplaced"][:MOST_TASKS]:
        whose = "" if one["run_id"] == found["subject"] else f" of {one['run_id']}"
        _say(f"not placed: {one['task']}{whose}: {one['reason']}")
    if rows or found["unplaced"]:
        sys.stdout.write("\n")


def _step(step: Mapping[str, Any], own: str | None) -> str:
    """A task of the critical path, with its run where that is not the one that is meant anyway."""
    whose = "" if step["run_id"] == own else f" of {step['run_id']}"
    return f"{step['task']}{whose}@{step['node']}"


def _bands(bar: Mapping[str, Any], at: datetime) -> tuple[str, str]:
    starts, ends = ([max(_since(at, bar[name][edge]), 0.0) for edge in ("p10", "p90")] for name in ("starts", "ends"))
    begun = "runs" if bar["is_running"] else "now" if starts[1] < 0.1 else _range(*starts)
    return begun, ("" if bar["is_from_history"] else "~ ") + _range(*ends)


def _range(low: float, high: float) -> str:
    first, second = span(low), span(high)
    return first if first == second else f"{first} - {second}"


def chart(found: Mapping[str, Any], width: int) -> str:
    """The predicted Gantt chart: one letter per run, median times, one or more rows per node."""
    at = datetime.fromisoformat(found["at"])
    bars = [
        (one["node"], one["run_id"], max(_since(at, one["starts"]["p50"]), 0.0), _since(at, one["ends"]["p50"]))
        for one in found["bars"]
    ]
    runs = list(dict.fromkeys([*([found["subject"]] if found["subject"] else []), *(bar[1] for bar in bars)]))
    letters = {run: LETTERS[index % len(LETTERS)] for index, run in enumerate(runs)}
    names = {one["run_id"]: "this plan" if one["is_new"] else one["run_id"] for one in found["bars"]}
    end = max((bar[3] for bar in bars), default=0.0) or 1.0
    margin = max(len(bar[0]) for bar in bars) + 2
    room = max(width - margin - 1, 20)
    lines = []
    for node in sorted({bar[0] for bar in bars}):
        rows = _rows([bar for bar in bars if bar[0] == node], letters, room, end)
        for index, row in enumerate(rows[:MOST_LANES]):
            lines.append((node if index == 0 else "").ljust(margin) + "|" + row)
        if len(rows) > MOST_LANES:
            lines.append(" " * margin + f"| ... {len(rows) - MOST_LANES} more side by side")
    lines.append(" " * margin + "+" + "-" * room)
    lines.append(" " * (margin + 1) + "now" + span(end).rjust(room - 3))
    legend = [f"{letters[run]} = {names[run]}" for run in runs[:8]] + (["..."] if len(runs) > 8 else [])
    return "\n".join([*lines, *facts_in_lines(legend, width)])


def _rows(
    bars: Sequence[tuple[str, str, float, float]], letters: Mapping[str, str], room: int, end: float
) -> list[str]:
    rows: list[tuple[list[str], int]] = []
    for _, run, start, finish in sorted(bars, key=lambda bar: bar[2]):
        first = min(int(start / end * room), room - 1)
        last = max(first + 1, min(int(finish / end * room), room))
        place = next((index for index, (_, free) in enumerate(rows) if free <= first), None)
        cells = rows[place][0] if place is not None else [" "] * room
        cells[first:last] = letters[run] * (last - first)
        if place is None:
            rows.append((cells, last))
        else:
            rows[place] = (cells, last)
    return ["".join(cells).rstrip() for cells, _ in rows]


def _since(at: datetime, text: str) -> float:
    return (datetime.fromisoformat(text) - at).total_seconds()
