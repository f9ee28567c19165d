"""States a placement request as arrays: what every strategy that computes on the whole queue begins with.

Equal tasks share rows of seconds (one per profile of estimates, set of nodes and option), so ten thousand tasks on a
thousand nodes take a fraction of a second. `server.planning.answering` turns a schedule back into a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

import numpy as np

from server.domain.placement import (
    UNKNOWN_SECONDS,
    PlacementRequest,
    TaskOption,
    TaskRef,
    WaitingRun,
    WaitingTask,
)
from server.planning.believing import Belief, belief_of
from server.planning.modes import UNKNOWN_SPREAD, Modes, amounts
from server.planning.needs import Needs, NeedsTable
from server.planning.problem import NEVER, Edges, Floats, Held, Ints, Network, Problem, Promised, Runs, no_edges
from server.planning.remaining import rest_of

SOON_SECONDS = 1.0
"""The soonest for a task that is not ready for a reason nobody tells, and for a node that is not there yet."""

_IS_READY = attrgetter("is_ready")


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A request as arrays, with what leads back to its values.

    Attributes:
        request: what was asked.
        problem: the arrays; task t is `tasks[t]`, node j is `request.snapshot.nodes[j]`, run k is `request.runs[k]`.
            Their seconds are the medians, longer on nodes that the task would rather not have.
        medians: [p, m] the same without that.
        tasks: all unbound tasks, runs and tasks in the request's order.
        needs: [n] what each task finds in the cluster.
        options: [q] the option of each mode.
        finish_of_bound: [k] seconds until the last running task of each run is expected to end.
        belief: what the estimates of the tasks are worth among each other; None where no bands are told.
    """

    request: PlacementRequest
    problem: Problem
    medians: Floats
    tasks: Sequence[WaitingTask]
    needs: Sequence[Needs]
    options: Sequence[TaskOption]
    finish_of_bound: Floats
    belief: Belief | None = None


def state(request: PlacementRequest, *, network: Network | None = None, table: NeedsTable | None = None) -> Statement:
    """The request's problem. `network` says what transfers cost, else the request does; else data is free.

    Outputs that lie on a node already are fetched by a task that holds its node meanwhile, so what the request says of
    the network makes that task longer there, and so does what it says of starts (an image that must be pulled); what
    tasks yet to run hand over is sent before the next begins.
    """
    tasks = request.tasks()
    table = table or NeedsTable(request.snapshot.nodes)
    kinds = _accelerator_kinds(request, tasks)
    rows = Modes(request, kinds)
    needs = [table.of(task) for task in tasks]
    for (task, lying), found in zip(_lying(request), needs, strict=True):
        rows.add(task, found, lying)
    medians, seconds, spread = rows.matrices()
    inputs = _inputs(request, table)
    if network is None and request.network is not None:
        network, inputs = _network(request), no_edges(len(tasks))
    first_rows = np.array(rows.row_of_mode, np.int32)[rows.first_mode[:-1]]
    typical = float(np.median(spread)) if spread.size else UNKNOWN_SPREAD
    belief = belief_of(seconds, spread, first_rows) if spread.size else None
    ends = _Ends(request, typical, belief)
    edges, release = _edges(request, ends)
    problem = Problem(
        seconds=seconds,
        column_of_node=np.arange(len(request.snapshot.nodes), dtype=np.int32),
        first_mode=np.array(rows.first_mode, np.int32),
        row_of_mode=np.array(rows.row_of_mode, np.int32),
        demand=np.array(rows.demand, np.float64).reshape(len(rows.row_of_mode), len(kinds) + 3),
        capacity=_capacity(request, kinds),
        edges=edges,
        network=network or Network(),
        release=release,
        inputs=inputs,
        opens=_opens(request),
        held=_held(request, table, kinds, ends),
        runs=_runs(request),
        promised=_promised(request, table, kinds),
        spread=spread,
        price=_prices(request),
        node_names=tuple(node.name for node in request.snapshot.nodes),
    )
    return Statement(request, problem, medians, tasks, needs, rows.options, ends.of_runs(), belief)


def _accelerator_kinds(request: PlacementRequest, tasks: Iterable[WaitingTask]) -> list[str]:
    asked = {kind for task in tasks for option in task.options for kind, _ in option.requests.accelerators}
    return sorted(asked)


def _capacity(request: PlacementRequest, kinds: Sequence[str]) -> Floats:
    nodes = request.snapshot.nodes
    return np.array([amounts(node.allocatable, kinds) for node in nodes]).reshape(len(nodes), len(kinds) + 3)


def _opens(request: PlacementRequest) -> Floats:
    nodes = request.snapshot.nodes
    return np.array([max(node.startup_seconds, SOON_SECONDS) if node.is_virtual else 0.0 for node in nodes])


def _prices(request: PlacementRequest) -> Floats | None:
    """Money per second; nodes without a price cost as much as the dearest that has one."""
    prices = [node.price_per_hour for node in request.snapshot.nodes]
    known = [price for price in prices if price is not None]
    if not known:
        return None
    return np.array([max(known) if price is None else price for price in prices]) / 3600


class _Ends:
    """When what runs is expected to end, seconds from now; given how long it has run already."""

    def __init__(self, request: PlacementRequest, spread: float, belief: Belief | None) -> None:
        self.request, self.now, self.spread, self.belief = request, request.now, spread, belief
        self._bound: dict[TaskRef, float] = {}
        self._of_run: list[float] = []
        for run in request.runs:
            told = [self.of(bound.expected_end_at, bound.started_at) for bound in run.bound]
            rests = [UNKNOWN_SECONDS if rest is None else rest for rest in told]
            self._bound.update({(run.run_id, one.key): rest for one, rest in zip(run.bound, rests, strict=True)})
            self._of_run.append(max(rests, default=0.0))
        self._by_name = {(run.run_id, str(bound.key)): bound for run in request.runs for bound in run.bound}

    def of(self, expected_end_at: datetime | None, started_at: datetime | None) -> float | None:
        if expected_end_at is None:
            return None
        planned = (expected_end_at - self.now).total_seconds()
        elapsed = (self.now - started_at).total_seconds() if started_at is not None else None
        if self.belief is None or elapsed is None or elapsed + planned <= 0:
            return rest_of(planned, elapsed, self.spread)
        whole, spread = self.belief.median(elapsed + planned, self.spread)
        return rest_of(whole - elapsed, elapsed, spread)

    def of_bound(self, ref: TaskRef) -> float | None:
        return self._bound.get(ref)

    def of_holder(self, run_id: str | None, task: str | None, expected_end_at: datetime | None) -> float:
        """Until when a room is held: strangers without a known end hold it for ever."""
        bound = self._by_name.get((run_id, task)) if run_id is not None and task is not None else None
        rest = self.of(expected_end_at, bound.started_at if bound is not None else None)
        if rest is None:
            return UNKNOWN_SECONDS if run_id is not None else NEVER
        return rest

    def of_runs(self) -> Floats:
        return np.array(self._of_run)


def _held(request: PlacementRequest, table: NeedsTable, kinds: Sequence[str], ends: _Ends) -> Held:
    node, demand, until = [], [], []
    for occupancy in request.snapshot.occupancies:
        index = table.index.get(occupancy.node)
        if index is None or request.snapshot.nodes[index].is_virtual:
            continue
        node.append(index)
        demand.append(amounts(occupancy.requests, kinds))
        until.append(ends.of_holder(occupancy.run_id, occupancy.task, occupancy.expected_end_at))
    return Held(
        np.array(node, np.int32),
        np.array(demand, np.float64).reshape(len(node), len(kinds) + 3),
        np.array(until, np.float64),
    )


def _promised(request: PlacementRequest, table: NeedsTable, kinds: Sequence[str]) -> Promised | None:
    """Of what lasts: a promise that ends as it begins is in nobody's way."""
    chosen = [
        (table.index[one.node], one, span)
        for one in request.promised
        if one.node in table.index and (span := one.span(request.now))[1] > span[0]
    ]
    if not chosen:
        return None
    since, until = np.array([span for _, _, span in chosen], np.float64).T
    demand = np.array([amounts(one.requests, kinds) for _, one, _ in chosen], np.float64)
    return Promised(np.array([node for node, _, _ in chosen], np.int32), demand, since, until)


def _edges(request: PlacementRequest, ends: _Ends) -> tuple[Edges, Floats]:
    """Who waits for whom among the unbound, and when what waits for running tasks can start at the earliest."""
    first, senders, sizes, release = [0], list[int](), list[float](), list[float]()
    begin = 0
    for run in request.runs:
        number = {} if all(map(_IS_READY, run.tasks)) else {task.key: begin + i for i, task in enumerate(run.tasks)}
        for task in run.tasks:
            earliest = 0.0 if task.is_ready else SOON_SECONDS
            for key in () if task.is_ready else task.waits_for:
                upstream = number.get(key)
                if upstream is not None:
                    senders.append(upstream)
                    sizes.append(task.edge_bytes.get(key, 0.0))
                else:
                    earliest = max(earliest, ends.of_bound((run.run_id, key)) or 0.0)
            first.append(len(senders))
            release.append(earliest)
        begin += len(run.tasks)
    edges = Edges(np.array(first, np.int32), np.array(senders, np.int32), np.array(sizes, np.float64))
    return edges, np.array(release, np.float64)


def _lying(request: PlacementRequest) -> Iterator[tuple[WaitingTask, dict[str, float]]]:
    """Every task with what it reads that lies on nodes already, bytes by node; nothing where no network is known."""
    for run in request.runs:
        for task in run.tasks:
            found: dict[str, float] = {}
            if request.network is not None:
                for key, size in task.edge_bytes.items():
                    node = run.finished_on.get(key)
                    if node is not None and size > 0:
                        found[node] = found.get(node, 0.0) + size
            yield task, found


def _network(request: PlacementRequest) -> Network:
    """For what is still to be handed over."""
    known = request.network
    assert known is not None
    names = [node.name for node in request.snapshot.nodes]
    cards = np.array([1.0 / known.rate(name) for name in names])
    zones = sorted(set(known.zone_of.values()))
    if known.zones is None or len(zones) < 2:
        return Network(cards=cards, latency_seconds=known.latency_seconds)
    limits = np.zeros((len(zones) + 1, len(zones) + 1))  # the last is of nodes without a zone
    limits[:-1, :-1] = [[1.0 / known.zones.between(one, other) for other in zones] for one in zones]
    place = {zone: index for index, zone in enumerate(zones)}
    at = np.array([place.get(known.zone_of.get(name, ""), len(zones)) for name in names])
    pairs = np.maximum(np.maximum.outer(cards, cards), limits[np.ix_(at, at)])
    np.fill_diagonal(pairs, 0.0)
    return Network(pairs=pairs, latency_seconds=known.latency_seconds)


def _inputs(request: PlacementRequest, table: NeedsTable) -> Edges:
    """Outputs of finished tasks that an unbound one reads, and the node on which they lie."""
    first, lies_on, sizes = [0], list[int](), list[float]()
    for run in request.runs:
        for task in run.tasks:
            for key, size in task.edge_bytes.items():
                index = table.index.get(run.finished_on.get(key, ""))
                if index is not None and size > 0:
                    lies_on.append(index)
                    sizes.append(size)
            first.append(len(lies_on))
    return Edges(np.array(first, np.int32), np.array(lies_on, np.int32), np.array(sizes, np.float64))


def _runs(request: PlacementRequest) -> Runs:
    runs, now = request.runs, request.now
    projects: dict[str, int] = {}
    of_task: Ints = np.repeat(np.arange(len(runs), dtype=np.int32), [len(run.tasks) for run in runs])
    deadlines = [NEVER if run.deadline_at is None else (run.deadline_at - now).total_seconds() for run in runs]
    return Runs(
        of_task=of_task,
        submitted=np.array([min((run.submitted_at - now).total_seconds(), 0.0) for run in runs], np.float64),
        weight=np.ones(len(runs)),
        priority=np.array([run.priority for run in runs], np.int32),
        deadline=np.array(deadlines, np.float64),
        project=np.array([projects.setdefault(run.project, len(projects)) for run in runs], np.int32),
        done_seconds=np.array([run.done_seconds + _running_seconds(run, now) for run in runs], np.float64),
    )


def _running_seconds(run: WaitingRun, now: datetime) -> float:
    started = (bound.started_at for bound in run.bound if bound.started_at is not None)
    return sum(max((now - at).total_seconds(), 0.0) for at in started)


__all__ = ["SOON_SECONDS", "UNKNOWN_SECONDS", "Statement", "state"]
