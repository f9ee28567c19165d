"""Recorded history as a scenario: files that `mlopx-server simulate` runs under any strategy, on any machine.

The TOML file holds the nodes (a kind each, since seconds are known node by node), when they came and went, and the
servers to compare; the JSON-lines file one run a line. Seconds are measured where a task ran, which `measured_on`
names, and the estimators' prediction elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, Node
from server.simulation.engine import Loss
from server.simulation.history.reading import History
from server.simulation.history.recreating import Recreated
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way

OTHERS = ("fifo_greedy", "kubernetes", "online")
"""Strategies that are compared with the one that ran, where nobody names others."""

DECIMALS = 6
_OWN_LABELS = (HOSTNAME_LABEL, ARCHITECTURE_LABEL, KIND_LABEL)


@dataclass(frozen=True, slots=True)
class Exported:
    """A scenario file's text, the lines of its pipelines, and how many of their seconds are measured, and predicted."""

    scenario: str
    pipelines: tuple[str, ...]
    measured: int
    predicted: int


def export(
    history: History, recreated: Recreated, *, file: str, really: str, placers: Sequence[str], objective: str
) -> Exported:
    """Write history as a scenario that names `file` as its pipelines. `really` is the strategy that ran."""
    measured = predicted = 0
    for arrival in recreated.arrivals:
        for task in arrival.work.tasks.values():
            actual = sum(len(way.measured_on) for way in task.ways)
            measured += actual
            predicted += sum(len(way.seconds) for way in task.ways) - actual
    names = dict.fromkeys([really, *(placers or OTHERS)])
    lines = [
        *_heading(history, measured, predicted),
        f"title = {_text(f'Recorded from {history.since:%Y-%m-%d %H:%M} to {history.until:%Y-%m-%d %H:%M} UTC')}",
        "",
        "[arrivals]",
        f"file = {_text(file)}",
        "",
        "[world]",
        f"start_seconds = {_number(recreated.start_seconds)}",
        *_servers(list(names), really, recreated, objective),
        *(line for node, joins_at in recreated.machines for line in _node(node, joins_at)),
        *(line for loss in recreated.losses for line in _loss(loss)),
    ]
    pipelines = tuple(json.dumps(_pipeline(arrival), allow_nan=False) for arrival in recreated.arrivals)
    return Exported("\n".join(lines) + "\n", pipelines, measured, predicted)


def _heading(history: History, measured: int, predicted: int) -> Iterator[str]:
    turnarounds = [(run.finished_at - run.submitted_at).total_seconds() for run in history.runs if run.finished_at]
    yield f"# {len(history.runs)} recorded runs, written by `mlopx-server export`."
    yield f"# What really happened: a mean turnaround of {sum(turnarounds) / len(turnarounds):.3f} s."
    yield f"# {measured} of {measured + predicted} run times are measured (measured_on says on which node); the others,"
    yield "# on nodes where a task did not run, are predicted by the server's estimators from what they learnt."
    yield "# Retries count in a task's seconds; a failed task succeeds here; what others used of nodes is left out."
    for why, count in history.left_out.items():
        yield f"# Left out: {count} runs ({why})."


def _servers(names: Sequence[str], really: str, recreated: Recreated, objective: str) -> Iterator[str]:
    for name in names:
        yield from ("", "[[server]]", f"placer = {_text(name)}", f"binding = {_text(str(recreated.binding))}")
        if name == really:
            yield f"name = {_text(f'{name}, as it was')}"
        if objective != "turnaround":
            yield f"objective = {_text(objective)}"


def _node(node: Node, joins_at: float) -> Iterator[str]:
    has = node.allocatable
    yield from ("", "[[cluster.node]]", f"kind = {_text(node.name)}", f"cpus = {_number(has.cpu_millicores / 1000)}")
    yield f'memory = "{has.memory_bytes}"'
    yield f"pods = {max(has.pods, 1)}"
    yield f"speed = {_number(node.speed)}"
    yield f"architecture = {_text(node.architecture)}"
    if has.accelerators:
        kinds = ", ".join(f"{_text(kind)} = {count}" for kind, count in has.accelerators if count)
        yield f"accelerators = {{ {kinds} }}"
    labels = {name: value for name, value in node.labels.items() if name not in _OWN_LABELS}
    if labels:
        yield f"labels = {{ {', '.join(f'{_text(name)} = {_text(value)}' for name, value in labels.items())} }}"
    if joins_at:
        yield f"joins_at = {_number(joins_at)}"
    if node.price_per_hour is not None:
        yield f"price_per_hour = {_number(node.price_per_hour)}"


def _loss(loss: Loss) -> Iterator[str]:
    yield from ("", "[[loss]]", f"node = {_text(loss.node)}", f"at = {_number(loss.seconds)}")
    if loss.back_after_seconds is not None:
        yield f"back_after = {_number(loss.back_after_seconds)}"


def _pipeline(arrival: Arrival) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": arrival.run_id,
        "name": arrival.work.name,
        "arrival": round(arrival.seconds, DECIMALS),
        "priority": arrival.priority,
        "project": arrival.project,
    }
    if arrival.deadline_seconds is not None:
        found["deadline_seconds"] = max(round(arrival.deadline_seconds, DECIMALS), 1e-3)
    return {**found, "tasks": [_task(task) for task in arrival.work.tasks.values()]}


def _task(task: TaskWork) -> dict[str, Any]:
    optional = {
        "after": list(task.after),
        "component": task.component,
        "output_bytes": task.output_bytes,
        "hints": task.hints.model_dump(mode="json", exclude_none=True) if task.hints else None,
        "told_factor": None if task.told_factor is None else round(task.told_factor, DECIMALS),
        "told_spread": None if task.told_spread is None else round(task.told_spread, DECIMALS),
    }
    return {
        "name": task.name,
        **{key: value for key, value in optional.items() if value},
        "options": [_way(way) for way in task.ways],
    }


def _way(way: Way) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": way.name,
        "seconds": {kind: max(round(seconds, DECIMALS), 1e-6) for kind, seconds in way.seconds.items()},
    }
    if way.cpu_millicores:
        found["cpus"] = way.cpu_millicores / 1000
    if way.memory_bytes:
        found["memory"] = str(way.memory_bytes)
    if way.measured_on:
        found["measured_on"] = list(way.measured_on)
    if way.accelerator:
        found |= {"accelerator": way.accelerator, "accelerators": way.accelerators}
    return found


def _text(value: str) -> str:
    """A TOML string: what JSON writes is one."""
    return json.dumps(value)


def _number(value: float) -> str:
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")


__all__ = ["OTHERS", "Exported", "export"]
