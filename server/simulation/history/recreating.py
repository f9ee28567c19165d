"""From recorded history to a case for the simulator: who came when, what it took, and which nodes there were.

A task takes on its node what it took there. Elsewhere it takes so much more or less as the estimators, taught by all
that is on record, say. Strategies are told what was told at the time: the same error for the same task. What a task
cannot run on (labels, taints, states) is worked out with the server's own rules, node by node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from mlopx.spec import merge_hints
from server.domain.feasibility import refusal
from server.domain.node import Node
from server.domain.placement import Decision, Estimate, TaskOption, WaitingRun
from server.domain.request import Defaults, waiting_task
from server.domain.resolve import shared_iteration
from server.domain.run import Run, TaskKey
from server.domain.states import Binding
from server.estimators.bands import Z90
from server.estimators.interface import EstimatorInterface
from server.estimators.table import build_estimates
from server.simulation.engine import Case, Loss
from server.simulation.history.reading import History, attempts_that_ran
from server.simulation.machines import Machine
from server.simulation.pipeline_lines import LEAST_SECONDS
from server.simulation.rules import Rules
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, make_work
from server.simulation.world import Nature

MOST_WRONG = 20.0
"""A told error beyond this factor is taken as this."""

UNUSUAL = 10.0
"""A way that a node cannot take stands so many times as long there as the longest, where another way could run."""

Row = Mapping[str, Sequence[tuple[TaskOption, Estimate]]]


@dataclass(frozen=True, slots=True)
class Recreated:
    """History that the simulator can run. `binding` is that of most runs."""

    arrivals: tuple[Arrival, ...]
    machines: tuple[tuple[Node, float], ...]
    losses: tuple[Loss, ...]
    start_seconds: float
    binding: Binding

    def case(self, placer: str, *, objective: str, seed: int) -> Case:
        """The case under one strategy."""
        return Case(
            machines=lambda: [Machine(node, node.name, joins_at) for node, joins_at in self.machines],
            arrivals=self.arrivals,
            rules=Rules(placer=placer, binding=self.binding, objective=objective),
            nature=Nature(start_seconds=self.start_seconds),
            losses=self.losses,
            seed=seed,
        )


def recreate(history: History, estimator: EstimatorInterface, defaults: Defaults) -> Recreated:
    """Make history a case."""
    begin = history.runs[0].submitted_at
    nodes = [life.node for life in history.lives.values()]
    arrivals = [
        Arrival(
            seconds=(run.submitted_at - begin).total_seconds(),
            run_id=run.id,
            work=make_work(
                run.name,
                _tasks(run, nodes, history.decisions, estimator, defaults),
                kinds=[node.name for node in nodes],
                identity=run.id,
            ),
            priority=run.options.priority,
            project=run.options.project,
            deadline_seconds=_deadline(run),
        )
        for run in history.runs
    ]
    machines, losses = _nodes_over_time(history)
    whole = sum(run.options.binding is Binding.AT_SUBMISSION for run in history.runs)
    return Recreated(
        arrivals=tuple(arrivals),
        machines=tuple(machines),
        losses=tuple(losses),
        start_seconds=_start_seconds(history.runs),
        binding=Binding.AT_SUBMISSION if 2 * whole > len(history.runs) else Binding.WHEN_READY,
    )


def _tasks(
    run: Run,
    nodes: Sequence[Node],
    decisions: Mapping[tuple[str, TaskKey], Decision],
    estimator: EstimatorInterface,
    defaults: Defaults,
) -> list[TaskWork]:
    rank = {path: index for index, path in enumerate(run.graph.order)}
    keys = sorted(
        (key for key in run.tasks if attempts_that_ran(run, key)), key=lambda key: (rank[key.path], key.iteration)
    )
    views = tuple(waiting_task(run, run.tasks[key], defaults) for key in keys)
    estimates = build_estimates([WaitingRun(run.id, run.name, run.submitted_at, views)], nodes, estimator)
    number = {key: index for index, key in enumerate(keys)}
    found = []
    for key, view in zip(keys, views, strict=True):
        attempts = attempts_that_ran(run, key)
        last = attempts[-1]
        ran_on, option = last.actual_node or last.node or "", last.option or view.options[0].name
        took = max(sum(one.run_seconds or 0.0 for one in attempts), LEAST_SECONDS)
        option = option if any(one.name == option for one in view.options) else view.options[0].name
        scale = took / estimates.seconds(view.ref, ran_on, option)
        ways = []
        for choice in view.options:
            able = [node.name for node in nodes if node.name == ran_on or refusal(view, choice, node) is None]
            seconds = {name: estimates.seconds(view.ref, name, choice.name) * scale for name in able}
            way = _way(choice, {**seconds, ran_on: took} if choice.name == option else seconds)
            ways.append(replace(way, measured_on=(ran_on,)) if choice.name == option else way)
        told = decisions.get((run.id, key))
        found.append(
            TaskWork(
                name=str(key),
                ways=_completed(ways),
                after=tuple(sorted(number[one] for one in _upstreams(run, key, set(keys)))),
                output_bytes=_output_bytes(run, key),
                hints=merge_hints(run.graph.task(key.path).hints, run.graph.spec.hints),
                told_factor=_told_factor(told, last.number, took),
                told_spread=_told_spread(told),
                component=f"{view.component}@{view.component_digest.removeprefix('sha256:')[:12]}",
            )
        )
    return found


def _way(option: TaskOption, seconds: Mapping[str, float]) -> Way:
    kind, count = next(iter(option.requests.accelerators), (None, 0))
    return Way(
        seconds=seconds,
        cpu_millicores=option.requests.cpu_millicores or None,
        memory_bytes=option.requests.memory_bytes or None,
        accelerator=kind,
        accelerators=count,
        name=option.name,
    )


def _completed(ways: Sequence[Way]) -> tuple[Way, ...]:
    """Every way on every node that any way can use: what does not go there is there, and unattractive."""
    known = {name: 0.0 for way in ways for name in way.seconds}
    longest = max((seconds for way in ways for seconds in way.seconds.values()), default=1.0)
    return tuple(
        replace(way, seconds={name: way.seconds.get(name, UNUSUAL * longest) for name in known}) for way in ways
    )


def _upstreams(run: Run, key: TaskKey, ran: set[TaskKey]) -> set[TaskKey]:
    """What a task waited for, as far as it ran; through what was skipped or reused, to what stands before that."""
    if key.path == run.graph.spec.exit_task:
        return ran - {key}
    found: set[TaskKey] = set()
    looked: set[TaskKey] = set()
    todo = [key]
    while todo:
        current = todo.pop()
        around = run.graph.loops[current.path]
        for path in run.graph.waits_for[current.path]:
            shared = shared_iteration(run, path, around, current.iteration)
            for other in run.tasks:
                if other.path != path or other.iteration[: len(shared)] != shared or other in looked:
                    continue
                looked.add(other)
                if other in ran:
                    found.add(other)
                else:
                    todo.append(other)
    return found


def _output_bytes(run: Run, key: TaskKey) -> float:
    outputs = run.tasks[key].outputs.values()
    return float(sum(output.artifact.size_bytes or 0 for output in outputs if output.artifact is not None))


def _told_factor(told: Decision | None, attempt: int, took: float) -> float:
    """Predicted over actual seconds, as the decision had it."""
    if told is None or told.estimate is None or told.attempt != attempt:
        return 1.0
    return min(max(told.estimate.p50 / took, 1 / MOST_WRONG), MOST_WRONG)


def _told_spread(told: Decision | None) -> float | None:
    if told is None or told.estimate is None or told.estimate.p10 <= 0:
        return None
    return math.log(max(told.estimate.p90 / told.estimate.p10, 1.0)) / (2 * Z90)


def _deadline(run: Run) -> float | None:
    at = run.options.deadline_at
    return None if at is None else max((at - run.submitted_at).total_seconds(), 0.0)


def _start_seconds(runs: Sequence[Run]) -> float:
    """What it usually took from handing a task over to its start."""
    spans = [
        (attempt.started_at - handed_over).total_seconds()
        for run in runs
        for task in run.tasks.values()
        for attempt in task.attempts
        if (handed_over := attempt.placed_at or attempt.queued_at) is not None and attempt.started_at is not None
        if run.options.binding is Binding.WHEN_READY
    ]
    return max(median(spans), 0.0) if spans else 0.0


def _nodes_over_time(history: History) -> tuple[list[tuple[Node, float]], list[Loss]]:
    """Nodes with the second at which each joins, and when they go. What the first look saw was there all along."""
    begin = history.runs[0].submitted_at
    first_look = min(life.spans[0][0] for life in history.lives.values() if life.spans)
    machines, losses = [], []
    for life in history.lives.values():
        if not life.spans:
            continue
        labels = {**life.node.labels, KIND_LABEL: life.node.name}
        joins = 0.0 if life.spans[0][0] <= first_look else (life.spans[0][0] - begin).total_seconds()
        machines.append((replace(life.node, labels=labels, taints=()), max(joins, 0.0)))
        ends = [*(start for start, _ in life.spans[1:]), None]
        for (_, end), back in zip(life.spans, ends, strict=True):
            if end is None or (back is not None and back <= begin):
                continue
            at = max((end - begin).total_seconds(), 0.0)
            losses.append(Loss(life.node.name, at, None if back is None else (back - begin).total_seconds() - at))
    return machines, losses


__all__ = ["Recreated", "recreate"]
