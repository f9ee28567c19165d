"""Sub-commands that show something: runs, tasks, logs, events, queue, nodes, strategies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from mlopx.cli.explaining import comes, ends_in
from mlopx.cli.finding import find_run
from mlopx.cli.output import console, moment, say, say_facts, show, size, span, state, table, zone
from mlopx.errors import UsageError
from mlopx.remote import Client, RunHandle
from mlopx.remote.runs import describe_failure, failed_task, next_command

MOST_NAMED = 8
WIDE = 120
MOST_LETTERS = 160
"""From so many columns on, the queue is a table with one line per task."""


def runs(
    client: Client, states: list[str] | None, name: str | None, project: str | None, limit: int, *, as_json: bool
) -> None:
    """List runs."""
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        size_of_page = min(limit - len(found), 200)
        page = client.get("/api/v1/runs", state=states, name=name, project=project, limit=size_of_page, cursor=cursor)
        found.extend(page["runs"])
        cursor = page["next"]
        if cursor is None:
            break
    if as_json:
        show(found)
        return
    rows = [
        (
            run["id"],
            state(run["state"]),
            moment(run["submitted_at"]),
            span(run["waiting_seconds"]),
            span(run["execution_seconds"]),
            span(run["turnaround_seconds"]),
        )
        for run in found
    ]
    times = ("waiting", "execution", "turnaround")
    heads = ("run", "state", f"submitted ({zone()})", *times)
    out = console()
    out.print(table(*_that_fit(heads, rows, ("execution", "waiting", heads[2]), out.width), right=times))
    if not rows:
        sys.stdout.write("no runs yet; submit one: mlopx submit FILE\n")


def _that_fit(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], spare: Sequence[str], width: int
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """The columns that fit beside each other: while these are too many, the `spare` ones go in that order."""
    for name in spare:
        widths = [max(len(str(cell)) for cell in column) for column in zip(heads, *rows, strict=True)]
        if sum(widths) + 2 * (len(widths) - 1) <= width:
            break
        kept = [place for place, head in enumerate(heads) if head != name]
        heads, rows = [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]
    return heads, rows


def run(client: Client, text: str, *, as_json: bool) -> None:
    """Show one run."""
    handle = RunHandle(find_run(client, text), client)
    detail = handle.detail()
    if as_json:
        show(detail)
        return
    out = console()
    out.print(f"run {detail['id']}  ", state(detail["state"]), sep="")
    facts = [
        ("submitted", f"{moment(detail['submitted_at'])} {zone()}"),
        ("waiting", span(detail["waiting_seconds"])),
        ("execution", span(detail["execution_seconds"])),
        ("turnaround", span(detail["turnaround_seconds"])),
    ]
    say_facts([f"{name} {value}" for name, value in facts])
    if detail.get("is_holdout"):
        out.print("left to the platform's own scheduler (holdout)")
    if detail["parameters"]:
        out.print("parameters  " + ", ".join(f"{name}={value!r}" for name, value in detail["parameters"].items()))
    out.print()
    out.print(table(("task", "state", "node", "try", "time", "note"), [_task_row(task) for task in detail["tasks"]]))
    for warning in client.get(f"/api/v1/runs/{detail['id']}/explain").get("warnings", ()):
        out.print(f"\nwarning: {warning}")
    if detail.get("replaced_by"):
        out.print(f"\nreplaced by run {detail['replaced_by']}")
    elif detail.get("offer") and detail["finished_at"] is None:
        out.print(f"\n{detail['offer']['reason']}")
        for doubt in detail["offer"]["doubts"]:
            out.print(f"  but {doubt}")
        out.print(f"  place it anew: mlopx replace {detail['id']}")
    if detail["state"] == "failed":
        out.print()
        out.print(describe_failure(handle, detail))
        if failed_task(detail) is not None:
            out.print()
            say(f"next: {next_command(detail)}", "  ", further="    ")
    elif detail["state"] == "cancelled":
        why = detail["error"].removeprefix("cancelled ")
        out.print("\ncancelled" + (f": {why}" if why else ""))


def _task_row(task: dict[str, Any]) -> tuple[Any, ...]:
    attempt = task["attempts"][-1]
    note = task["hold"] or task["reason"] or ("from the cache" if task["from_cache"] else "")
    if attempt["error"]:
        note = attempt["error"]["message"]
    values = [f"{name}={output['value']}" for name, output in task["outputs"].items() if "value" in output]
    return (
        task["key"],
        state(task["state"]),
        task["node"] or "-",
        attempt["number"],
        span(attempt["run_seconds"]),
        (note or ", ".join(values))[:120],
    )


def logs(client: Client, run_text: str, task: str | None, attempt: int | None, *, follow: bool, as_json: bool) -> None:
    """Print a task's log; of the only task, or the one that failed or runs, where none is named."""
    handle = RunHandle(find_run(client, run_text), client)
    task = task or _task_to_read(handle)
    pieces = handle.logs(task, attempt=attempt, follow=follow)
    if as_json:
        show({"run_id": handle.id, "task": task, "text": "".join(pieces)})
        return
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()


def _task_to_read(handle: RunHandle) -> str:
    tasks = handle.detail()["tasks"]
    for asked in (("failed",), ("running",), None):
        found = [task["key"] for task in tasks if asked is None or task["state"] in asked]
        if len(found) == 1:
            return str(found[0])
    if not tasks:
        raise UsageError(f"run {handle.id} has no tasks: none began before it ended")
    named = ", ".join(task["key"] for task in tasks[:MOST_NAMED]) + (", ..." if len(tasks) > MOST_NAMED else "")
    raise UsageError(f"run {handle.id} has several tasks: {named}", hint=f"say which: `mlopx logs {handle.id} TASK`")


def events(client: Client, run_text: str, *, as_json: bool) -> None:
    """Tell a run's story."""
    found = list(RunHandle(find_run(client, run_text), client).events())
    if as_json:
        show(found)
        return
    rows = []
    for event in found:
        said = {
            key: value for key, value in event["data"].items() if value not in (None, "", {}, []) and key != "outputs"
        }
        text = ", ".join(f"{key}={_brief(key, value)}" for key, value in said.items() if not isinstance(value, dict))
        short = text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
        rows.append((event["id"], event["at"][11:23], event["kind"], event["task"] or "", short))
    console().print(table(("id", "at (UTC)", "event", "task", "what"), rows))


def _brief(key: str, value: Any) -> str:
    """A value in an event; of an instant, the time of day as in the column of times."""
    return str(value)[11:19] if key.endswith("_at") else str(value)


def queue(client: Client, *, as_json: bool) -> None:
    """Show what waits."""
    document = client.get("/api/v1/queue")
    found = document["tasks"]
    if as_json:
        show(found)
        return
    if document.get("preparing"):
        say(f"note: {document['preparing']}", further="  ")
    if not found:
        sys.stdout.write("nothing waits\n")
        return
    out = console()
    if out.width >= WIDE:
        rows = [
            (entry["position"], entry["run_id"], entry["task"], span(entry["waiting_seconds"]), *_waits(entry))
            for entry in found
        ]
        out.print(table(("#", "run", "task", "waited", "starts in", "why"), rows))
    else:
        _queue_in_lines(out, found)
    if all(entry.get("starts") is None for entry in found):
        sys.stdout.write("no start is predicted until every task of a run has run here once\n")


def _waits(entry: dict[str, Any]) -> tuple[str, str]:
    waiting = entry.get("waiting")
    if waiting is not None:
        return ends_in(entry.get("starts")), waiting["text"]
    why = entry["hold"] or ("the strategy is deciding" if entry["state"] == "ready" else "earlier tasks of its run")
    return ends_in(entry.get("starts")), why


def _queue_in_lines(out: Console, found: list[dict[str, Any]]) -> None:
    """Two lines for each task that waits for no other, and one for what else waits of each run."""
    others: dict[str, int] = {}
    for entry in found:
        kind = (entry.get("waiting") or {}).get("kind", "dependency")
        if entry["state"] != "ready" and kind == "dependency":
            others[entry["run_id"]] = others.get(entry["run_id"], 0) + 1
            continue
        _, why = _waits(entry)
        is_said = entry.get("starts") is None or "expected free" in why
        soon = "" if is_said else f"; starts {comes(entry['starts'])}"
        head = f"{entry['position']:>3}  "
        out.print(Text.assemble(head, (entry["task"], "bold"), f" of {entry['run_id']}"))
        say(f"{why}; it has waited {span(entry['waiting_seconds'])}{soon}", " " * len(head))
    for run_id, count in others.items():
        what = "1 task waits for earlier ones" if count == 1 else f"{count} tasks wait for earlier ones"
        out.print(Text.assemble("  -  ", (run_id, "bold"), f": {what}"))


def nodes(client: Client, *, as_json: bool) -> None:
    """Show the nodes."""
    document = client.get("/api/v1/nodes")
    if as_json:
        show(document)
        return
    rows = []
    for node in document["nodes"]:
        has, free = node["allocatable"], node["available"]
        devices = ", ".join(f"{count} {kind}" for kind, count in has["accelerators"].items())
        condition = (
            "ready" if node["is_ready"] and node["is_schedulable"] else "cordoned" if node["is_ready"] else "down"
        )
        rows.append(
            (
                node["name"],
                "to be added" if node.get("is_virtual") else condition,
                f"{free['cpu_millicores'] / 1000:g} of {has['cpu_millicores'] / 1000:g}",
                _of(size(free["memory_bytes"]), size(has["memory_bytes"])),
                devices or "-",
                f"{node['speed']:g}",
                ", ".join(f"{held['task']} of {held['run_id']}" for held in node["running"]) or "-",
            )
        )
    heads = ("node", "state", "free cpus", "free memory", "accelerators", "speed", "runs")
    spare = () if any(row[4] != "-" for row in rows) else ("accelerators",)
    out = console()
    out.print(table(*_that_fit(heads, rows, spare, out.width)))
    for source, problem in document.get("problems", {}).items():
        sys.stdout.write(f"warning: source {source}: {problem}\n")


def _of(part: str, whole: str) -> str:
    """`0.5 of 1.0 GiB`, or with both units where these are not the same."""
    unit = whole.rpartition(" ")[2]
    return f"{part.removesuffix(f' {unit}')} of {whole}"


def placers(client: Client, *, all_of_them: bool, as_json: bool) -> None:
    """List the strategies."""
    document = client.get("/api/v1/placers", all="true" if all_of_them else None)
    if as_json:
        show(document)
        return
    rows = []
    for placer in document["placers"]:
        mark = "in use" if placer["is_current"] else "default" if placer["is_default"] else ""
        rows.append((placer["name"], mark, placer["summary"]))
    console().print(table(("strategy", "", "what it does"), rows))
    sys.stdout.write("\nthe server's PLACER setting chooses one\n")
