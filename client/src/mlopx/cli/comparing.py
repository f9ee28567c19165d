"""`mlopx compare`: how two runs differ, in parameters, values and figures, times, nodes, data and code."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping
from typing import Any

from mlopx.cli.finding import find_run
from mlopx.cli.output import console, show, span, table
from mlopx.remote import Client

LONGEST_VALUE = 60
MOST_LINES = 200
Rows = dict[str, tuple[str, str]]


def compare(client: Client, first: str, second: str, *, is_all: bool, as_json: bool) -> None:
    """Compare two runs, and print what differs."""
    runs = [client.get(f"/api/v1/runs/{find_run(client, text)}") for text in (first, second)]
    specs = [client.get(f"/api/v1/runs/{run['id']}/spec") for run in runs]
    parts = {
        "run": _pairs(*(_facts(run) for run in runs)),
        "parameters": _pairs(*({name: _text(value) for name, value in run["parameters"].items()} for run in runs)),
        "values and figures": _pairs(*(_values(run) for run in runs)),
        "tasks": _pairs(*(_places(run) for run in runs)),
        "data": _pairs(*(_digests(run) for run in runs)),
    }
    changed = _code(*specs)
    if as_json:
        found = {
            name: [{"name": key, "first": a, "second": b, "differs": a != b} for key, (a, b) in rows.items()]
            for name, rows in parts.items()
        }
        show({"first": runs[0]["id"], "second": runs[1]["id"], **found, "code": changed})
        return
    for name, rows in parts.items():
        _print(name, rows, [run["id"] for run in runs], is_all)
    for component, lines in changed.items():
        sys.stdout.write(f"\ncode of {component}\n" + "\n".join(lines[:MOST_LINES]) + "\n")
    if not changed:
        sys.stdout.write("\nthe code of all components is the same\n")


def _print(title: str, rows: Rows, ids: list[str], is_all: bool) -> None:
    shown = {name: pair for name, pair in rows.items() if is_all or pair[0] != pair[1]}
    if not rows:
        return
    same = len(rows) - len(shown)
    sys.stdout.write(f"\n{title}" + (f" ({same} the same)" if same else "") + "\n")
    if shown:
        lines = [(name, a, b, "" if a == b else "differs") for name, (a, b) in shown.items()]
        console().print(table(("", *ids, ""), lines if is_all else [(*line[:3], "") for line in lines]))


def _pairs(first: Mapping[str, str], second: Mapping[str, str]) -> Rows:
    return {name: (first.get(name, "-"), second.get(name, "-")) for name in dict.fromkeys([*first, *second])}


def _facts(run: Mapping[str, Any]) -> dict[str, str]:
    times = {name: span(run[f"{name}_seconds"]) for name in ("waiting", "execution", "turnaround")}
    return {"state": run["state"], **times, "priority": str(run["priority"]), "project": run["project"]}


def _values(run: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for task in run["tasks"]:
        for port, output in task["outputs"].items():
            name = task["key"] if port == "output" else f"{task['key']} {port}"
            if "value" in output:
                found[name] = _text(output["value"])
            else:
                figures = output["artifact"]["metadata"].items()
                found.update({f"{name} {figure}": _text(value) for figure, value in figures})
    return found


def _places(run: Mapping[str, Any]) -> dict[str, str]:
    return {
        task["key"]: f"{task['node'] or '-'}, "
        + ("reused" if task["from_cache"] else span(task["attempts"][-1]["run_seconds"]))
        for task in run["tasks"]
    }


def _digests(run: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{task['key']} {port}": str(output["artifact"]["digest"] or "-")[:19]
        for task in run["tasks"]
        for port, output in task["outputs"].items()
        if "artifact" in output
    }


def _code(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[str]]:
    """Unified differences of the components' sources, by component."""
    found = {}
    for name in dict.fromkeys([*first["components"], *second["components"]]):
        before, after = (_source(spec, name) for spec in (first, second))
        if before != after:
            found[name] = list(difflib.unified_diff(before, after, "first", "second", lineterm="", n=2))
    return found


def _source(spec: Mapping[str, Any], name: str) -> list[str]:
    component = spec["components"].get(name)
    return str(component["code"].get("source") or "").splitlines() if component else []


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
