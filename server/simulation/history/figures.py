"""A stretch of time in figures, as it was or as it was simulated: turnaround, and what of the nodes was used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.components.reporting.rates import Rates, node_share
from server.domain.node import Node
from server.domain.request import Defaults, requests_of
from server.domain.resources import Resources
from server.simulation.history.reading import History, attempts_that_ran
from server.simulation.records import Finished
from server.simulation.work import Arrival

Span = tuple[float, float]
Use = tuple[Node, Resources, float]
"""A task held so much of a node for so many seconds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One way in which the stretch went: mean and 95th percentile of turnaround, makespan (seconds), and what was used.

    A task that takes a part of a node for an hour takes that part of a node-hour. `money` is None without rates.
    """

    turnaround_mean: float
    turnaround_p95: float
    makespan: float
    node_hours: float
    gpu_hours: float
    money: float | None


def real_figures(history: History, defaults: Defaults, rates: Rates) -> Figures:
    """What happened."""
    begin = history.runs[0].submitted_at
    spans: list[Span] = []
    uses: list[Use] = []
    for run in history.runs:
        end = run.finished_at or run.submitted_at
        spans.append(((run.submitted_at - begin).total_seconds(), (end - begin).total_seconds()))
        for key in run.tasks:
            for attempt in attempts_that_ran(run, key):
                node = history.lives[attempt.actual_node or attempt.node or ""].node
                uses.append((node, requests_of(run, key, attempt.option, defaults), attempt.run_seconds or 0.0))
    return _figures(spans, uses, rates)


def simulated_figures(
    finished: Finished, arrivals: Sequence[Arrival], nodes: Mapping[str, Node], rates: Rates
) -> Figures:
    """What was simulated."""
    works = {arrival.run_id: arrival.work for arrival in arrivals}
    uses = [
        (nodes[task.node], works[task.run_id].tasks[task.task].way(task.option).amounts(), task.run_seconds)
        for task in finished.tasks
        if task.node is not None and task.node in nodes and task.run_seconds is not None
    ]
    return _figures([(run.submitted_at, run.finished_at) for run in finished.runs], uses, rates)


def _figures(spans: Sequence[Span], uses: Iterable[Use], rates: Rates) -> Figures:
    ordered = sorted(finish - submit for submit, finish in spans)
    node_hours = gpu_hours = money = 0.0
    is_priced = True
    for node, requests, seconds in uses:
        share, rate = node_share(requests, node), rates.of_node(node)
        node_hours += share * seconds / 3600
        gpu_hours += sum(count for _, count in requests.accelerators) * seconds / 3600
        money += (share * (rate or 0.0) + rates.of_devices(requests)) * seconds / 3600
        is_priced = is_priced and rate is not None
    return Figures(
        turnaround_mean=math.fsum(ordered) / len(ordered),
        turnaround_p95=ordered[max(math.ceil(0.95 * len(ordered)) - 1, 0)],
        makespan=max(finish for _, finish in spans) - min(submit for submit, _ in spans),
        node_hours=node_hours,
        gpu_hours=gpu_hours,
        money=money if is_priced else None,
    )


__all__ = ["Figures", "real_figures", "simulated_figures"]
