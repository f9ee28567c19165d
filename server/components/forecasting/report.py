"""What follows from a plan: bands of starts and ends, the critical path, its bottleneck, bytes moved, and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from server.components.explaining.calibrating import Foretold, corrected
from server.components.explaining.scene import band_at, estimate_of, groups_of, is_from_history, last_of, steps_of
from server.components.explaining.sequence import in_sequence
from server.components.explaining.texts import span
from server.components.explaining.track import ForecastTrack
from server.components.explaining.values import Band
from server.components.placer_registry import takes_turns
from server.components.reporting.rates import Rates, node_share
from server.domain.network import NodeNetwork
from server.domain.node import Snapshot
from server.domain.placement import Estimates, Hold, Placement, PlacementPlan, TaskRef, WaitingRun, WaitingTask
from server.domain.run import Attempt, TaskKey
from server.planning.forecast import SAME_TIME_SECONDS, Forecast, forecast, predecessors
from server.planning.steps import Step

LARGE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Bar:
    """One task of a plan on its node."""

    run_id: str
    key: TaskKey
    node: str
    option: str
    is_running: bool
    is_from_history: bool
    starts: Band
    ends: Band


@dataclass(frozen=True, slots=True)
class PathStep:
    """One task of the critical path. `why`: `data` or `room`, what it starts after; empty for the first."""

    run_id: str
    key: TaskKey
    node: str
    start_seconds: float
    finish_seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan, read. Seconds count from now; `ends` by run; bytes and cost are None where nobody knows them."""

    strategy: str
    objective: str
    at: datetime
    bars: tuple[Bar, ...]
    holds: tuple[Hold, ...]
    ends: Mapping[str, Band]
    makespan_seconds: float
    critical_path: tuple[PathStep, ...]
    bottleneck: str
    bytes_moved: float | None
    cost: float | None
    waits_for: Mapping[TaskRef, Sequence[TaskRef]] = field(default_factory=dict)
    last: Mapping[str, TaskRef] = field(default_factory=dict)


def with_experience(report: PlanReport, track: ForecastTrack) -> PlanReport:
    """The report with bands as wide as past forecasts of the strategy allow, where run times stand on past runs."""
    silent = {bar.run_id for bar in report.bars if not bar.is_from_history} | {hold.run_id for hold in report.holds}
    raw = Foretold(
        {(bar.run_id, bar.key): bar.starts for bar in report.bars},
        {(bar.run_id, bar.key): bar.ends for bar in report.bars},
        report.ends,
        report.waits_for,
        report.last,
    )
    found = corrected(raw, track.around, report.strategy, report.at, silent)
    bars = (
        replace(bar, starts=found.starts[bar.run_id, bar.key], ends=found.ends[bar.run_id, bar.key])
        for bar in report.bars
    )
    return replace(report, bars=tuple(bars), ends=found.run_ends)


def make_report(
    *,
    strategy: str,
    objective: str,
    now: datetime,
    views: Sequence[WaitingRun],
    attempts: Mapping[TaskRef, Attempt],
    plan: PlacementPlan,
    estimates: Estimates,
    snapshot: Snapshot,
    subject: str | None,
    network: NodeNetwork | None = None,
    rates: Rates | None = None,
) -> PlanReport:
    """Read a plan. `views` hold bound tasks among their tasks; `subject` is the run whose critical path is wanted."""
    placements: Mapping[TaskRef, Placement] = {(one.run_id, one.key): one for one in plan.placements}
    if takes_turns(strategy):
        placements = in_sequence(placements, views, attempts, estimates, snapshot, now)
    found = list(steps_of(attempts, views, now, placements, estimates, network))
    steps = [step for step, _ in found]
    seen = forecast(steps, groups_of(steps), network=network) if steps else Forecast({}, {}, {})
    tasks = {task.ref: task for view in views for task in view.tasks}
    timed = [_timed(step, seen) for step in steps]
    path = critical_path(timed, subject, predecessors(steps))
    return PlanReport(
        strategy=strategy,
        objective=objective,
        at=now,
        bars=tuple(_bar(step, source, placements, seen, now) for step, source in found),
        holds=plan.holds,
        ends={run: band_at(one, now) for run, one in seen.group_ends.items()},
        makespan_seconds=max((step.finish for step in timed), default=0.0),
        critical_path=tuple(path),
        bottleneck=bottleneck(path, {step.key: step for step in timed}),
        bytes_moved=_bytes_moved(subject, tasks, placements, attempts),
        cost=_cost(subject, tasks.values(), placements, estimates, snapshot, rates or Rates()),
        waits_for={step.key: step.waits_for for step in steps if step.waits_for},
        last=last_of(steps),
    )


def _timed(step: Step, seen: Forecast) -> Step:
    """The step at its foretold times, which are those that are told: a plan knows nothing of what is late already."""
    return replace(
        step, start=step.start if step.is_running else seen.starts[step.key].p50, finish=seen.ends[step.key].p50
    )


def critical_path(
    steps: Sequence[Step], subject: str | None, before: Mapping[TaskRef, Sequence[TaskRef]] | None = None
) -> list[PathStep]:
    """The chain of tasks that decides when the run (None: everything) ends, first task first. `before`: after what each
    of them comes, by default by the times that they have."""
    by_key = {step.key: step for step in steps}
    before = before if before is not None else predecessors(steps)
    own = [step for step in steps if subject is None or step.key[0] == subject]
    found: list[PathStep] = []
    current = max(own, key=lambda step: step.finish, default=None)
    while current is not None:
        waits = [by_key[key] for key in before[current.key]]
        last = max(waits, key=lambda step: step.finish, default=None)
        if last is None or current.is_running or last.start >= current.start + SAME_TIME_SECONDS:
            last = None
        why = "" if last is None else "data" if last.key in current.waits_for else "room"
        run_id, key = current.key
        found.append(PathStep(run_id, key, current.node, current.start, current.finish, why))
        current = last if len(found) < len(steps) else None
    return found[::-1]


def bottleneck(path: Sequence[PathStep], steps: Mapping[TaskRef, Step]) -> str:
    """A sentence on what holds the critical path up most."""
    if not path:
        return ""
    total = max(path[-1].finish_seconds - max(path[0].start_seconds, 0.0), 1e-9)
    waits: dict[str, list[tuple[float, float]]] = {}
    for one in path:
        step = steps[one.run_id, one.key]
        ready = max((steps[key].finish for key in step.waits_for if key in steps), default=0.0)
        waits.setdefault(one.node, []).append((max(ready, 0.0), max(step.start, 0.0)))
    node, waited = max(((name, _covered(spans)) for name, spans in waits.items()), key=lambda item: item[1])
    whole = path[-1].finish_seconds
    if whole > 0 and waited / whole > LARGE_SHARE:
        return f"room on {node}: {span(waited)} of {span(whole)} are spent waiting for it"
    longest = max(path, key=lambda one: one.finish_seconds - max(one.start_seconds, 0.0))
    length = longest.finish_seconds - max(longest.start_seconds, 0.0)
    return f"the run time of {longest.key} on {longest.node}: {span(length)} of {span(total)}"


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie in any of the spans: tasks that wait side by side wait once."""
    covered, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        covered += max(end - max(begin, reached), 0.0)
        reached = max(reached, end)
    return covered


def _bar(step: Step, source: str, placements: Mapping[TaskRef, Placement], seen: Forecast, now: datetime) -> Bar:
    run_id, key = step.key
    placement = placements.get(step.key)
    return Bar(
        run_id=run_id,
        key=key,
        node=step.node,
        option=placement.option if placement else "",
        is_running=step.is_running,
        is_from_history=is_from_history(source),
        starts=band_at(seen.starts[step.key], now),
        ends=band_at(seen.ends[step.key], now),
    )


def _bytes_moved(
    subject: str | None,
    tasks: Mapping[TaskRef, WaitingTask],
    placements: Mapping[TaskRef, Placement],
    attempts: Mapping[TaskRef, Attempt],
) -> float | None:
    """Bytes that tasks read from others on another node, as far as sizes are known."""
    moved, is_known = 0.0, False
    for ref, placement in placements.items():
        task = tasks.get(ref)
        if task is None or (subject is not None and ref[0] != subject):
            continue
        for upstream, size in task.edge_bytes.items():
            is_known = True
            other = placements.get((ref[0], upstream))
            attempt = attempts.get((ref[0], upstream))
            node = other.node if other else (attempt.actual_node or attempt.node) if attempt else None
            moved += size if node is not None and node != placement.node else 0.0
    return moved if is_known else None


def _cost(
    subject: str | None,
    tasks: Iterable[WaitingTask],
    placements: Mapping[TaskRef, Placement],
    estimates: Estimates,
    snapshot: Snapshot,
    rates: Rates,
) -> float | None:
    """Money for the median run times, counted as in reports: of a node's price, the part that a task takes from others,
    and its accelerators'. None where a node that is used has no price."""
    nodes = {node.name: node for node in snapshot.nodes}
    total, is_priced = 0.0, False
    for task in tasks:
        placement = placements.get(task.ref)
        if placement is None or (subject is not None and task.run_id != subject):
            continue
        node = nodes.get(placement.node)
        rate = rates.of_node(node) if node is not None else None
        if node is None or rate is None:
            return None
        found = estimate_of(task, placement.node, placement.option, estimates)
        requests = task.option(placement.option).requests
        an_hour = node_share(requests, node) * rate + rates.of_devices(requests)
        total, is_priced = total + (found.p50 if found else 0.0) / 3600 * an_hour, True
    return total if is_priced else None


__all__ = ["Bar", "PathStep", "PlanReport", "bottleneck", "critical_path", "make_report", "with_experience"]
