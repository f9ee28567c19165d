"""`mlopx compare`: how two runs differ, in parameters, values and figures, times, nodes, data and code."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
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
    """Unified differences of what the components run, by component; of a foreign pipeline, of its document."""
    before, after = _sources(first), _sources(second)
    return {
        name: list(difflib.unified_diff(before.get(name, []), after.get(name, []), "first", "second", lineterm="", n=2))
        for name in dict.fromkeys([*before, *after])
        if before.get(name, []) != after.get(name, [])
    }


def _sources(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    foreign = spec.get("foreign")
    if foreign:
        return {"the pipeline's document": str(foreign["text"]).splitlines()}
    return {name: list(_source(component)) for name, component in spec["components"].items()}


def _source(component: Mapping[str, Any]) -> Iterator[str]:
    """A component's image, packages and command, one a line, and its source."""
    code = component["code"]
    if component.get("image"):
        yield f"image {component['image']}"
    if component.get("packages"):
        yield f"packages {' '.join(component['packages'])}"
    for name in ("command", "args"):
        if code.get(name):
            yield f"{name} {' '.join(part if isinstance(part, str) else json.dumps(part) for part in code[name])}"
    yield from str(code.get("source") or "").splitlines()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
