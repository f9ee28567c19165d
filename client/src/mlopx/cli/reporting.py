"""`mlopx report`: what the strategy saved, measured or simulated, and the runs it made slower."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from mlopx.cli.output import console, say, show, span, table
from mlopx.errors import UsageError
from mlopx.remote import Client

POLL_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 600.0
MONTH_DAYS = 30
_say = partial(say, further="  ", widest=80)
HOURS = (("node_hours", "node-hours"), ("gpu_hours", "GPU-hours"))


def report(client: Client, since: str | None, *, is_month: bool, is_waiting: bool, as_json: bool) -> None:
    """Ask for the report, and wait for its simulation where nothing was measured."""
    if since and is_month:
        raise UsageError("how far back: --since or --month?", hint="say --since or --month, not both")
    days = _days(since) if since else MONTH_DAYS
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    found = client.get("/api/v1/report", days=days)
    while is_waiting and found["status"] == "working" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        found = client.get("/api/v1/report", days=days)
    if as_json:
        show(found)
    else:
        _draw(found)


def _days(text: str) -> int:
    number = text.removesuffix("d")
    if not number.isdigit() or not 1 <= int(number) <= 3660:
        raise UsageError(f"--since {text!r} is no number of days", hint="write it like 7d")
    return int(number)


def _draw(found: Mapping[str, Any]) -> None:
    _say(found["sentence"])
    totals = found["totals"]
    runs = "1 run" if totals["runs"] == 1 else f"{totals['runs']} runs"
    _say(f"{runs} succeeded since {found['since'][:10]}: {_used(totals, found['currency'])}")
    if totals["others"]:
        _say("not among them: " + ", ".join(f"{count} {why}" for why, count in totals["others"].items()))
    if found["measured"]:
        _measured(found["measured"], found["currency"])
    if found["simulated"]:
        _simulated(found["simulated"], found["currency"])


def _measured(one: Mapping[str, Any], currency: str) -> None:
    rows = [
        (name, _amount(seen["placed"], unit), _amount(seen["left_out"], unit), _change(seen), _interval(seen, unit))
        for name, seen, unit in (
            ("turnaround", one["turnaround_seconds"], "s"),
            ("node-hours", one["node_hours"], ""),
            ("GPU-hours", one["gpu_hours"], ""),
            (f"money {currency}".strip(), one["money"], ""),
        )
        if seen is not None
    ]
    sys.stdout.write("\n")
    right = ("placed", "left out", "change", "difference, 95 %")
    console().print(table(("mean of a run", *right), rows, right=right))
    _say(f"saved in all by {one['placed_runs']} placed runs: {_used(one['saved'], currency)}")
    lines = [
        (each["pipeline"], str(each["placed_runs"]), str(each["left_out_runs"]), _change(each["turnaround_seconds"]))
        for each in one["pipelines"]
    ]
    sys.stdout.write("\n")
    heads = ("placed", "left out", "turnaround")
    console().print(table(("pipeline", *heads), lines, right=heads))
    _slower(one, "took longer than runs like them do when left out")


def _simulated(one: Mapping[str, Any], currency: str) -> None:
    _say(
        f"simulated {one['runs']} runs: {span(one['turnaround_mean_seconds'])} a run, "
        f"{span(one['baseline_turnaround_mean_seconds'])} without the strategy; "
        f"saved in all: {_used(one['saved'], currency)}"
    )
    for text in one["warnings"]:
        _say(f"warning: {text}")
    _slower(one, "would have been quicker without it")


def _slower(one: Mapping[str, Any], what: str) -> None:
    worst = ", ".join(f"{each['run_id']} ({each['factor']:.1f} times)" for each in one["slower"][:3])
    _say(f"{one['slower_runs']} run{'' if one['slower_runs'] == 1 else 's'} {what}" + (f": {worst}" if worst else ""))


def _used(found: Mapping[str, Any], currency: str) -> str:
    parts = []
    if found.get("turnaround_seconds") is not None:
        sign = "-" if found["turnaround_seconds"] < 0 else ""
        parts.append(f"{sign}{span(abs(found['turnaround_seconds']))} of turnaround")
    parts += [f"{round(found[name], 2) + 0.0:.2f} {said}" for name, said in HOURS]
    if found["money"] is not None:
        parts.append(f"{round(found['money'], 2) + 0.0:.2f} {currency}".strip())
    return ", ".join(parts)


def _amount(value: float, unit: str) -> str:
    return span(value) if unit == "s" else f"{value:.3f}"


def _change(seen: Mapping[str, Any]) -> str:
    return "-" if seen["change"] is None else f"{100 * seen['change']:+.0f} %"


def _interval(seen: Mapping[str, Any], unit: str) -> str:
    if unit == "s":
        return f"{seen['low']:+.1f} to {seen['high']:+.1f} s"
    return f"{seen['low']:+.3f} to {seen['high']:+.3f}"
