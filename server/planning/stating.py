"""States a placement request as arrays: what every strategy that computes on the whole queue begins with.

Equal tasks share rows of seconds (one per profile of estimates, set of nodes and option), so ten thousand tasks on a
thousand nodes take a fraction of a second. `server.planning.answering` turns a schedule back into a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter

import numpy as np

from server.domain.datasets import DatasetUse
from server.domain.packing import PackedTable, StackedTable
from server.domain.placement import (
    UNKNOWN_SECONDS,
    Estimates,
    PlacementRequest,
    TaskOption,
    TaskRef,
    WaitingRun,
    WaitingTask,
)
from server.domain.resources import Resources
from server.planning.needs import Needs, NeedsTable
from server.planning.problem import NEVER, Edges, Floats, Held, Ints, Network, Problem, Promised, Runs, no_edges
from server.planning.remaining import rest_of

SOON_SECONDS = 1.0
"""The soonest for a task that is not ready for a reason nobody tells, and for a node that is not there yet."""

WISH_WEIGHT = 0.5
"""A node that misses wishes of weight 100 is taken as so much slower than one that fulfils them."""

Fetched = tuple[tuple[tuple[str, float], ...], tuple[DatasetUse, ...]]
"""Bytes by the node on which they lie, and data sets."""

NOTHING: Fetched = ((), ())

_IS_READY = attrgetter("is_ready")
_Z_P90 = 1.2815515594
_UNKNOWN_SPREAD = 1.0


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
    """

    request: PlacementRequest
    problem: Problem
    medians: Floats
    tasks: Sequence[WaitingTask]
    needs: Sequence[Needs]
    options: Sequence[TaskOption]
    finish_of_bound: Floats


def state(request: PlacementRequest, *, network: Network | None = None, table: NeedsTable | None = None) -> Statement:
    """The request's problem. `network` says what transfers cost, else the request does; else data is free.

    Outputs that lie on a node already are fetched by a task that holds its node meanwhile, so what the request says of
    the network makes that task longer there; what tasks yet to run hand over is sent before the next begins.
    """
    tasks = request.tasks()
    table = table or NeedsTable(request.snapshot.nodes)
    kinds = _accelerator_kinds(request, tasks)
    rows = _Rows(request, kinds)
    needs = [table.of(task) for task in tasks]
    for (task, lying), found in zip(_lying(request), needs, strict=True):
        rows.add(task, found, lying)
    medians, seconds, spread = rows.matrices()
    inputs = _inputs(request, table)
    if network is None and request.network is not None:
        network, inputs = _network(request), no_edges(len(tasks))
    ends = _Ends(request, float(np.median(spread)) if spread.size else _UNKNOWN_SPREAD)
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
    return Statement(request, problem, medians, tasks, needs, rows.options, ends.of_runs())


class _Rows:
    """Modes, and the rows of seconds that equal ones share."""

    def __init__(self, request: PlacementRequest, kinds: Sequence[str]) -> None:
        self.estimates, self.kinds = request.estimates, kinds
        self.nodes = request.snapshot.nodes
        self.first_mode, self.row_of_mode = [0], list[int]()
        self.demand: list[tuple[float, ...]] = []
        self.options: list[TaskOption] = []
        self._rows: dict[tuple[int, int, str, Fetched], int] = {}
        self._fetched: dict[int, Fetched] = {}
        self._network = request.network
        self._parts: list[tuple[int, Needs, str]] = []
        self._demands: list[tuple[float, ...]] = []

    def add(self, task: WaitingTask, needs: Needs, lying: Mapping[str, float]) -> None:
        profile_of = self.estimates.profile_of
        fetched = _fetched(task, lying) if self._network is not None else NOTHING
        for option in task.options:
            profile = profile_of.get((task.run_id, task.key, option.name), -1)
            key = (profile, id(needs), option.name, fetched)
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = len(self._parts)
                self._parts.append((profile, needs, option.name))
                if fetched is not NOTHING:
                    self._fetched[row] = fetched
                self._demands.append(amounts(option.requests, self.kinds))
            self.row_of_mode.append(row)
            self.options.append(option)
            self.demand.append(self._demands[row])
        self.first_mode.append(len(self.row_of_mode))

    def matrices(self) -> tuple[Floats, Floats, Floats]:
        """[p, m] medians, the same with wishes counted in, and standard deviations of their logarithm."""
        median, spread = table_of(self.estimates, [node.name for node in self.nodes])
        profiles = np.array([profile for profile, _, _ in self._parts], np.int64)
        medians, factors = median[profiles], np.empty((len(profiles), len(self.nodes)), np.float32)
        known: dict[tuple[int, str], Floats] = {}
        for row, (_, needs, option) in enumerate(self._parts):
            key = (id(needs), option)
            if key not in known:
                known[key] = _factors(needs, option, len(self.nodes))
            factors[row] = known[key]
        for row, fetched in self._fetched.items():
            medians[row] += self._fetching(fetched)
        return medians, medians * factors, spread[profiles]

    def _fetching(self, fetched: Fetched) -> Floats:
        """[m] seconds until the inputs are on each node."""
        assert self._network is not None
        lying, datasets = dict(fetched[0]), fetched[1]
        return np.array([self._network.seconds(lying, node.name, datasets) for node in self.nodes], np.float32)


def _fetched(task: WaitingTask, lying: Mapping[str, float]) -> Fetched:
    return (tuple(sorted(lying.items())), task.datasets) if lying or task.datasets else NOTHING


def table_of(estimates: Estimates, names: Sequence[str]) -> tuple[Floats, Floats]:
    """[profiles + 1, m] medians and standard deviations of the logarithm, columns in the order of `names`; the last
    row, and nodes without a column, stand for what nobody estimated."""
    rows = len(estimates.table)
    median = np.full((rows + 1, len(names)), UNKNOWN_SECONDS, np.float32)
    spread = np.full((rows + 1, len(names)), _UNKNOWN_SPREAD, np.float32)
    columns = [estimates.column_of.get(name, -1) for name in names]
    if rows and max(columns, default=-1) >= 0:
        shape = (rows, len(estimates.table[0]))
        low, mid, high = (_read(estimates, shape, name) for name in ("p10", "p50", "p90"))
        wide = np.log(np.maximum(high, 1e-9) / np.maximum(low, 1e-9)) / (2 * _Z_P90)
        at = np.array(columns)
        is_known = at >= 0
        median[:-1, is_known] = np.maximum(mid[:, at[is_known]], 0.0)
        spread[:-1, is_known] = np.clip(wide[:, at[is_known]], 0.0, 3.0)
    return median, spread


def amounts(resources: Resources, kinds: Sequence[str]) -> tuple[float, ...]:
    """CPU in millicores, memory in bytes, pods, then one figure per kind of accelerator."""
    base = (float(resources.cpu_millicores), float(resources.memory_bytes), float(resources.pods))
    if not kinds:
        return base
    return (*base, *(float(resources.accelerator_count(kind)) for kind in kinds))


def _read(estimates: Estimates, shape: tuple[int, int], name: str) -> Floats:
    if isinstance(estimates.table, PackedTable | StackedTable):
        return np.frombuffer(getattr(estimates.table, name), np.float64).reshape(shape).astype(np.float32)
    values = map(attrgetter(name), chain.from_iterable(estimates.table))
    return np.fromiter(values, np.float32, shape[0] * shape[1]).reshape(shape)


def _factors(needs: Needs, option: str, node_count: int) -> Floats:
    """What the seconds of a mode are multiplied with: infinite where it cannot or should not run."""
    factors = np.full(node_count, NEVER, np.float32)
    top = max((needs.preference.get(node, 0) for node in needs.nodes), default=0)
    for node in needs.nodes:
        choices = needs.options[node]
        if len(choices) == 1 and choices[0].name != option:
            continue
        if len(choices) == 1 or any(choice.name == option for choice in choices):
            factors[node] = 1.0
            if needs.preference:
                factors[node] += WISH_WEIGHT * (top - needs.preference.get(node, 0)) / 100
    return factors


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

    def __init__(self, request: PlacementRequest, spread: float) -> None:
        self.request, self.now, self.spread = request, request.now, spread
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
        return rest_of(planned, elapsed, self.spread)

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


__all__ = ["SOON_SECONDS", "UNKNOWN_SECONDS", "WISH_WEIGHT", "Statement", "amounts", "state", "table_of"]
