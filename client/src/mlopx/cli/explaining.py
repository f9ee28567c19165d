"""`mlopx explain`: why a run or a task is where it is: one sentence, the evidence under it, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlopx.cli.finding import find_run
from mlopx.cli.output import between, console, moment, say, show, span, state, table, zone
from mlopx.remote import Client

MOST_ROWS = 40
MOST_WARNINGS = 3
MOST_LETTERS = 240
EVIDENCE = "one task with all evidence"
SMALLEST_REGRET_SECONDS = 0.05
MARKS = {"free": "free now", "busy": "busy", "not-there-yet": "can be added", "never": "cannot"}


def explain(client: Client, run_text: str, task: str | None, *, as_json: bool) -> None:
    """Explain a run, or one task of it."""
    run = find_run(client, run_text)
    if task is None:
        found = client.get(f"/api/v1/runs/{run}/explain")
        if as_json:
            show(found)
        else:
            _run(found)
        return
    found = client.get(f"/api/v1/runs/{run}/explain/task", task=task)
    if as_json:
        show(found)
    else:
        _task(found)


def ends_in(band: Mapping[str, str] | None) -> str:
    """A band of instants as spans from now: `5.0 to 12.0 s`, `up to 12.0 s`, `any moment`, or `-`."""
    if band is None:
        return "-"
    now = datetime.now(UTC)  # noqa: TID251 - told to somebody who reads it now
    low, high = (max((datetime.fromisoformat(band[name]) - now).total_seconds(), 0.0) for name in ("p10", "p90"))
    if high < 1:
        return "any moment"
    return f"up to {span(high)}" if low < 1 else between(low, high)


def comes(band: Mapping[str, str]) -> str:
    """The same after a verb: `in 5.0 to 12.0 s`, `within 12.0 s`, `any moment`."""
    found = ends_in(band)
    if found.startswith("up to "):
        return found.replace("up to", "within")
    return found if found.startswith("any") else f"in {found}"


def _run(found: Mapping[str, Any]) -> None:
    out = console()
    say(found["sentence"])
    if found.get("preparing"):
        say(f"note: {found['preparing']}", indent="  ")
    if found["why_no_eta"]:
        say(found["why_no_eta"], indent="  ")
    tasks = sorted(found["tasks"], key=lambda one: one["state"] not in ("running", "ready", "placed", "queued"))
    rows = [(one["task"], state(one["state"]), one["node"] or "-", short(one)) for one in tasks[:MOST_ROWS]]
    out.print()
    out.print(table(("task", "state", "node", "why"), rows))
    if len(tasks) > MOST_ROWS:
        sys.stdout.write(f"... and {len(tasks) - MOST_ROWS} more\n")
    if found["warnings"]:
        sys.stdout.write("\n")
    _warn(found)
    _actions(found)
    if found["tasks"]:
        command = f"mlopx explain {found['run_id']} TASK"
        is_short = len(f"{EVIDENCE}: {command}") <= out.width
        sys.stdout.write(f"\n{EVIDENCE}: {command}\n" if is_short else f"\n{EVIDENCE}:\n  {command}\n")


def _warn(found: Mapping[str, Any]) -> None:
    warnings = found.get("warnings", ())
    for warning in warnings[:MOST_WARNINGS]:
        say(f"warning: {warning}")
    if len(warnings) > MOST_WARNINGS:
        say(f"... and {len(warnings) - MOST_WARNINGS} more warnings, with --json")


def short(task: Mapping[str, Any]) -> str:
    """The sentence without what stands in the other columns, or is evidence; of a task that is over, only how it came
    to its node."""
    text = str(task["sentence"]).removeprefix(f"{task['task']} ").removesuffix(".")
    if task["state"] == "succeeded":
        text = text.partition(". ")[0].removeprefix(f"ran on {task['node']} ")
    elif task["state"] == "running":
        text = text.removeprefix(f"runs on {task['node']} ")
    elif task["waiting"] is not None and task["waiting"]["kind"] in ("capacity", "priority"):
        text = text.partition(": it needs ")[0]
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def _task(found: Mapping[str, Any]) -> None:
    say(found["sentence"])
    if found["position"]:
        sys.stdout.write(f"  position in the queue: {found['position']}\n")
    for name, text, said in (("starts", "start", "expected free"), ("ends", "end", "should end")):
        if found[name] and said not in found["sentence"]:
            sys.stdout.write(f"  expected to {text} {comes(found[name])}\n")
    if found.get("start"):
        say(found["start"]["text"], indent="  ")
    _warn(found)
    if found["nodes"]:
        _nodes(found["nodes"])
    if found["decision"]:
        _decision(found["decision"])
    if found["hindsight"]:
        _hindsight(found["hindsight"])
    _actions(found)


def _actions(found: Mapping[str, Any]) -> None:
    if found.get("actions"):
        sys.stdout.write("\nwhat you can do\n")
    for action in found.get("actions", ()):
        say(action["text"], indent="  ")
        if action["command"]:
            sys.stdout.write(f"    {action['command']}\n")


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (_with_option(one), MARKS[one["verdict"]], span(one["seconds_p50"]), one["reason"].removeprefix("busy: "))
        for one in nodes[:MOST_ROWS]
    ]
    sys.stdout.write("\nwhat each node says now\n")
    console().print(table(("node", "", "run time", "why"), rows, right=("run time",)))


def _decision(decision: Mapping[str, Any]) -> None:
    version = f" (version {decision['strategy_version']})" if decision["strategy_version"] else ""
    at = moment(decision["at"]).partition(" ")[2]
    sys.stdout.write(f"\nthe decision: {decision['strategy']}{version}, cycle {decision['cycle']}, at {at} {zone()}\n")
    say(f"its reason: {decision['reason']}", indent="  ")
    if decision["fallback_from"] and f"{decision['fallback_from']} is not ready yet" not in decision["reason"]:
        say(f"it stood in for {decision['fallback_from']}, which gave no answer", indent="  ")
    sys.stdout.write(f"  the picture of the nodes was {span(decision['snapshot_age_seconds'])} old\n")
    if decision["estimate"]:
        source = decision["estimate"]["source"]
        predicted = source if source.startswith("a guess") else f"predicted {source}"
        sys.stdout.write(f"  the run time is {predicted}\n")
    rows = [
        (
            _with_option(one),
            "chosen" if one["is_chosen"] else "",
            span(one["start_seconds"]),
            f"{span(one['seconds_p50'])} ({one['seconds_p10']:.1f}-{one['seconds_p90']:.1f})",
            span(one["finish_seconds"]),
            "" if one["later_by_seconds"] is None or one["is_chosen"] else _later(one["later_by_seconds"]),
        )
        for one in decision["candidates"]
    ]
    if rows:
        right = ("wait", "run time", "finish", "than chosen")
        console().print(table(("node", "", *right), rows, right=right))
    for one in decision["rejected"]:
        nodes = ", ".join(one["nodes"]) + (" ..." if len(one["nodes"]) < one["count"] else "")
        say(f"{one['count']} ruled out: {one['reason']}" + (f" ({nodes})" if nodes.strip(" .") else ""), indent="  ")


def _with_option(one: Mapping[str, Any]) -> str:
    """A node, with the option of the task that is meant there, if it has several."""
    return str(one["node"]) + (f"/{one['option']}" if one.get("option") not in (None, "default") else "")


def _later(seconds: float) -> str:
    """How much later than the chosen one, or sooner."""
    return "as soon" if abs(seconds) < 0.05 else f"{span(abs(seconds))} {'later' if seconds > 0 else 'sooner'}"


def _hindsight(found: Mapping[str, Any]) -> None:
    where = "inside" if found["is_inside_band"] else "outside"
    sys.stdout.write(
        f"\npredicted {span(found['predicted_p50'])} ({found['predicted_p10']:.1f}-{found['predicted_p90']:.1f}), "
        f"ran {span(found['actual_seconds'])}: {where} the band\n"
    )
    if found["regret_seconds"] and found["regret_seconds"] >= SMALLEST_REGRET_SECONDS:
        sys.stdout.write(
            f"by what is known now, {found['best_node']} would have saved {span(found['regret_seconds'])}\n"
        )
