"""`mlopx-server estimate`: the estimators on anybody's data, as tables of past runs, machines and tasks."""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

import typer
from threadpoolctl import threadpool_limits

from server.cli.sheets import BadCellError, Column, Row, UnreadableSheetError, read_sheet
from server.components.collecting import uncollected
from server.domain.node import ARCHITECTURE_LABEL, Node
from server.domain.placement import Estimate
from server.domain.resources import Resources
from server.domain.telling import CHANCE
from server.estimators.chain import ChainEstimator
from server.estimators.classes import NODE_CLASS_LABELS, node_class
from server.estimators.history import LEARNT_FROM
from server.estimators.interface import Observation, Profile

COMPONENT = (
    Column("component", ("process", "task_name", "job", "framework", "name", "task"), is_needed=True),
    Column("version", ("digest", "component_digest", "revision")),
    Column("option", ("variant",)),
    Column("input_bytes", ("input_size", "input_size_bytes", "size_bytes", "bytes", "input", "size")),
    Column("parameters", ("params", "arguments")),
    Column("cpus", ("cores", "threads")),
    Column("accelerators", ("gpus", "gpu", "accelerator")),
)
NODE_NAMES = ("machine", "host", "hostname", "instance", "node_name", "machine_name")
RUNS = (
    *COMPONENT,
    Column("node", NODE_NAMES, is_needed=True),
    Column("seconds", ("run_seconds", "runtime", "run_time", "duration", "realtime", "elapsed"), is_needed=True),
    Column("peak_memory_bytes", ("peak_rss", "max_rss", "peak_memory", "rss")),
    Column("state", ("status", "outcome")),
    Column("finished_at", ("end", "completed_at", "timestamp")),
)
TASKS = (*COMPONENT, Column("task", ("id", "task_id", "key")), Column("node", NODE_NAMES), Column("operations"))
SPEEDS: Mapping[str, tuple[str, ...]] = {
    "single": ("cpu", "cpu_speed", "single_speed", "cpu_single", "speed_cpu"),
    "multi": ("cpu_multi", "multi_speed", "speed_all"),
    "gemm": ("matrix", "gemm_speed", "blas"),
    "memory": ("memory_speed", "memory_bandwidth", "mem_speed", "ram_speed"),
    "disk": ("disk_speed", "io", "io_speed", "speed_io"),
    "gpu": ("gpu_speed", "gpu_gemm"),
}
NODES = (
    Column("node", (*NODE_NAMES, "name"), is_needed=True),
    Column("class", ("node_class", "worker_type", "type")),
    Column("architecture", ("arch",)),
    Column("cpus", ("cores", "vcpus", "n_cpus")),
    Column("memory_bytes", ("memory_size", "ram", "ram_bytes")),
    Column("speed", ("relative_speed",)),
    *(Column(f"speed_{kind}", (kind, *others)) for kind, others in SPEEDS.items()),
)
STATES: Mapping[str, str] = {
    **dict.fromkeys(("", "succeeded", "success", "ok", "completed", "complete", "done", "cached", "0"), "succeeded"),
    **dict.fromkeys(("failed", "failure", "error", "aborted", "lost", "killed", "cancelled"), "failed"),
    **dict.fromkeys(("oom", "oomkilled", "outofmemory"), "oom"),
    **dict.fromkeys(("timeout", "timedout", "deadlineexceeded"), "timeout"),
}
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
MOST_WARNINGS, MOST_FITS = 50, 256
"""So many warnings are said, and so many components, the latest, say what all have in common."""

MOST_TIMES = 1e4
"""Machines are no further apart: a speed that is, is a slip of units."""

Value = TypeVar("Value")


@dataclass(slots=True)
class Given:
    """What was read: runs, machines by name, tasks to predict, and what was odd."""

    runs: list[Observation] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    tasks: list[tuple[Row, Profile]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def estimate(
    history: Annotated[Path, typer.Option(help="CSV of past runs.")],
    predict: Annotated[Path, typer.Option(help="CSV of tasks to predict; without a node: on every node.")],
    profiles: Annotated[Path | None, typer.Option(help="CSV of the nodes, with speeds per kind of work.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict run time and peak memory from tables of your own (columns: docs/estimates.md)."""
    try:
        with uncollected():
            given = read(history, profiles, predict)
    except (UnreadableSheetError, BadCellError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    for warning in given.warnings[:MOST_WARNINGS]:
        typer.echo(f"warning: {warning}", err=True)
    if len(given.warnings) > MOST_WARNINGS:
        typer.echo(f"warning: and {len(given.warnings) - MOST_WARNINGS} more like these", err=True)
    with uncollected():
        found = predictions(given)
    if json:
        document = {
            "predictions": found,
            "runs": len(given.runs),
            "nodes": len(given.nodes),
            "warnings": given.warnings,
        }
        typer.echo(json_module.dumps(document, indent=1))
        return
    for one in found:
        band = f"{one['p50']:.4g} s ({one['p10']:.4g} to {one['p90']:.4g})"
        typer.echo(f"{one['task']}  {one['component']} on {one['node']}: {band}, {one['source']}")


def predictions(given: Given) -> list[dict[str, Any]]:
    """One entry per task and node: seconds, peak memory, and where they come from."""
    chain = ChainEstimator()
    with threadpool_limits(limits=1, user_api="blas"):  # small matrices: more threads only spin
        chain.teach(given.runs)
        chain.settle(most_fits=MOST_FITS)
    nodes = list(given.nodes.values())
    chain.estimate([], nodes)  # all nodes are known before the first answer, which may be about some only
    wanted: dict[str, list[int]] = {}
    for number, (line, _) in enumerate(given.tasks):
        wanted.setdefault(line.text("node"), []).append(number)
    answers: dict[int, list[tuple[str, Estimate]]] = {}
    for named, numbers in wanted.items():
        asked = [given.nodes[named]] if named else nodes
        rows = chain.estimate([given.tasks[number][1] for number in numbers], asked)
        for number, row in zip(numbers, rows, strict=True):
            answers[number] = [(node.name, one) for node, one in zip(asked, row, strict=True) if one is not None]
    return [
        {
            "row": number + 1,
            "task": line.text("task", str(number + 1)),
            "component": profile.component,
            "node": node,
            "p10": one.p10,
            "p50": one.p50,
            "p90": one.p90,
            "peak_memory_bytes": one.peak_memory_bytes,
            "peak_memory_p90_bytes": one.peak_memory_p90_bytes,
            "source": one.source,
        }
        for number, (line, profile) in enumerate(given.tasks)
        for node, one in answers[number]
    ]


def read(history: Path, profiles: Path | None, predict: Path) -> Given:
    """Read the tables. Raises UnreadableSheetError, and BadCellError for a task; bad runs are left out and said."""
    given = Given()
    if profiles is not None:
        sheet = read_sheet(profiles, NODES)
        given.warnings += sheet.warnings
        _machines(sheet.rows, given)
    runs, tasks = read_sheet(history, RUNS), read_sheet(predict, TASKS)
    given.warnings += runs.warnings + tasks.warnings
    for line in [*runs.rows, *tasks.rows]:
        name = line.text("node")
        if name and name not in given.nodes:
            if profiles is not None:
                given.warnings.append(
                    f"{line.file}:{line.line}:node: {name!r} is not in {profiles}; its speed is unknown"
                )
            given.nodes[name] = _node(name, {}, None)
    seen = [found for line in runs.rows if (found := _or_warning(partial(_run, line, given), given))]
    given.runs = [run for _, run in sorted(enumerate(seen), key=lambda item: (item[1].finished_at, item[0]))]
    given.tasks = [(line, _profile(line)) for line in tasks.rows]
    if not any(run.state in LEARNT_FROM for run in given.runs):
        given.warnings.append(f"no run of {history} can be learnt from: what follows is from hints, or a guess")
    if not given.tasks:
        raise UnreadableSheetError(f"{predict} has no tasks below its header")
    if not given.nodes:
        raise UnreadableSheetError(f"no nodes: give --profiles, or a column node in {predict}")
    return given


def _or_warning(make: Callable[[], Value | None], given: Given, left_out: str = "this line") -> Value | None:
    try:
        return make()
    except BadCellError as error:
        given.warnings.append(f"{error}; {left_out} is left out")
        return None


def _machines(lines: Sequence[Row], given: Given) -> None:
    """Nodes with speeds per kind of work, each relative to its mean over the nodes: units do not matter."""
    lines = [line for line in lines if _or_warning(partial(line.needed, "node"), given)]
    measured: dict[str, dict[str, float]] = {}
    usual = {kind: _middle(lines, f"speed_{kind}") for kind in SPEEDS}
    for line in lines:
        speeds = {}
        for kind in SPEEDS:
            value = _or_warning(partial(_speed, line, f"speed_{kind}", usual[kind]), given, "this speed")
            if value is not None:
                speeds[kind] = value
        measured[line.needed("node")] = speeds
    for kind in SPEEDS:
        logs = [math.log(speeds[kind]) for speeds in measured.values() if kind in speeds]
        for speeds in measured.values():
            if kind in speeds:
                speeds[kind] /= math.exp(sum(logs) / len(logs))
    middle = _middle(lines, "speed")
    for line in lines:
        name = line.needed("node")
        if name in given.nodes:
            given.warnings.append(f"{line.file}:{line.line}:node: {name!r} is there twice; the last line counts")
        node = _or_warning(partial(_node, name, measured[name], line), given)
        speed = _or_warning(partial(_speed, line, "speed", middle), given, "this speed")
        node = node or _node(name, {}, None)
        usual_speed = node.speed if node.speeds else middle
        given.nodes[name] = replace(node, speed=usual_speed if speed is None else speed)


def _middle(lines: Sequence[Row], name: str) -> float:
    """The median of a column's speeds, as far as they are numbers above zero; 1 without any."""
    values = []
    for line in lines:
        try:
            values.append(line.number(name, 0.0))
        except BadCellError:
            continue
    above = [value for value in values if value > 0]
    return median(above) if above else 1.0


def _speed(line: Row, name: str, usual: float) -> float | None:
    """A node's speed, None where none was measured. Raises BadCellError where it cannot be one."""
    value = line.number(name, 0.0)
    if value == 0:
        return None
    if not usual / MOST_TIMES <= value <= usual * MOST_TIMES:
        raise BadCellError(
            f"{line.file}:{line.line}:{name}: {line.text(name)!r} is more than {MOST_TIMES:g} times faster or slower"
            f" than the usual {usual:g}"
        )
    return value


def _node(name: str, speeds: Mapping[str, float], line: Row | None) -> Node:
    if line is None:
        return Node(name, Resources())
    labels = {ARCHITECTURE_LABEL: line.text("architecture", "amd64")}
    if line.text("class"):
        labels[NODE_CLASS_LABELS[0]] = line.text("class")
    cpus, memory = line.number("cpus", 0.0), line.number("memory_bytes", 0.0)
    speed = speeds.get("single", 1.0)
    room = Resources.of(cpu_millicores=round(cpus * 1000), memory_bytes=round(memory))
    return Node(name, room, labels, speed=speed, speeds=dict(speeds))


def _run(line: Row, given: Given) -> Observation | None:
    """A past run; None for one that has no seconds and did not succeed."""
    profile, name = _profile(line), line.needed("node")
    state = _state(line.text("state"))
    if state is None:
        raise BadCellError(
            f"{line.file}:{line.line}:state: {line.text('state')!r} is none of succeeded, failed, oom, timeout"
        )
    if state != "succeeded" and not line.text("seconds"):
        return None
    node = given.nodes[name]
    return Observation(
        profile=profile,
        node=name,
        node_class=node_class(node),
        node_speed=node.speed,
        run_seconds=line.number("seconds"),
        state=state,
        finished_at=_instant(line),
        peak_memory_bytes=line.number("peak_memory_bytes", 0.0) or None,
        node_speeds=node.speeds,
        node_cores=node.allocatable.cpu_millicores / 1000,
    )


@cache
def _state(text: str) -> str | None:
    """How a run ended, None where that is not understood."""
    return STATES.get("".join(filter(str.isalnum, text.lower())))


def _profile(line: Row) -> Profile:
    name = line.needed("component")
    return Profile(
        component=name,
        component_digest=line.text("version", name),
        option=line.text("option", "default"),
        cpu_millicores=round(line.number("cpus", 0.0) * 1000),
        accelerators=_accelerators(line) if "accelerators" in line.cells else (),
        input_bytes=line.number("input_bytes", 0.0),
        workload={"operations": line.number("operations")} if line.text("operations") else {},
        parameters={
            name: value
            for name, value in line.mapping("parameters").items()
            if not any(part in name for part in CHANCE)
        }
        if "parameters" in line.cells
        else {},
    )


def _accelerators(line: Row) -> tuple[tuple[str, int], ...]:
    said = line.text("accelerators")
    kinds = line.mapping("accelerators") if "=" in said or said.startswith("{") else {}
    if not kinds and said.lower() not in ("", "0", "false", "no"):
        kinds = {"gpu": said if said.isdigit() else 1}
    return tuple(sorted((str(kind), _count(line, count)) for kind, count in kinds.items()))


def _count(line: Row, given: object) -> int:
    try:
        count = int(float(str(given)))
    except (ValueError, OverflowError):
        raise BadCellError(f"{line.file}:{line.line}:accelerators: {given!r} is not a number") from None
    if count < 0:
        raise BadCellError(f"{line.file}:{line.line}:accelerators: {given!r} is below 0")
    return count


def _instant(line: Row) -> datetime:
    """When a run ended: ISO 8601 or seconds since the epoch; the order of the lines where it is not given."""
    text = line.text("finished_at")
    if not text:
        return BEGIN
    try:
        return BEGIN + timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadCellError(f"{line.file}:{line.line}:finished_at: {text!r} is no time (2026-01-31T12:00:00Z)") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


__all__ = ["estimate", "predictions", "read"]
