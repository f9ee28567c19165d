"""From a problem document to `server.planning.Problem`: names become numbers, everything is held together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from server.exchange.document import NetworkEntry, NodeEntry, ProblemDocument, Reference, RunEntry, TaskEntry
from server.exchange.errors import UnreadableError
from server.exchange.resources import Columns, is_exclusive
from server.exchange.tables import matrix, table
from server.planning.bounds import topological
from server.planning.checking import TOLERANCE, can_run
from server.planning.problem import NEVER, Edges, Floats, Held, Network, Problem, Promised, Runs, Sharing

SECONDS_PER_HOUR = 3600.0


Options = tuple[tuple[str, ...], ...]


def to_problem(document: ProblemDocument) -> tuple[Problem, Options, tuple[str, ...]]:
    """The arrays, the names of each task's options and of the resources. Raises UnreadableError naming the place."""
    return _Reader(document).problem()


class Names:
    """Names of one kind of thing; unnamed ones are called by their number."""

    def __init__(self, kind: str, names: Sequence[str | None]) -> None:
        self.kind = kind
        self.names = tuple(str(number) if name is None else name for number, name in enumerate(names))
        self.number = {name: number for number, name in enumerate(self.names)}
        for number, name in enumerate(self.names):
            if self.number[name] != number:
                raise UnreadableError(f"{kind}s[{self.number[name]}].name: there are two {kind}s called {name!r}")

    def of(self, reference: Reference, place: str) -> int:
        """The number that is meant."""
        if isinstance(reference, int) and reference < len(self.names):
            return reference
        found = self.number.get(reference) if isinstance(reference, str) else None
        if found is None:
            raise UnreadableError(f"{place}: there is no {self.kind} {reference!r}")
        return found


class _Reader:
    def __init__(self, document: ProblemDocument) -> None:
        self.document = document
        self.table = None if document.run_seconds is None else table(document.run_seconds, "run_seconds")
        nodes = document.nodes if document.nodes is not None else self._unnamed(1, "nodes")
        tasks = document.tasks if document.tasks is not None else self._unnamed(0, "tasks")
        self.node_entries = [NodeEntry(name=node) if isinstance(node, str) else node for node in nodes]
        self.task_entries = [TaskEntry(name=task) if isinstance(task, str) else task for task in tasks]
        self.nodes = Names("node", [node.name for node in self.node_entries])
        self.tasks = Names("task", [task.name for task in self.task_entries])
        self.runs = Names("run", [run.name for run in document.runs or [RunEntry()]])
        self._require_shape()

    def problem(self) -> tuple[Problem, Options, tuple[str, ...]]:
        seconds, first_mode, asked, options = self._modes()
        columns = Columns.of(self.node_entries, [*asked, *(held.requests for held in self.document.held)])
        demand, capacity = columns.demand(asked), columns.capacity(self.node_entries)
        if demand.shape[1] > 1 or not is_exclusive(self.node_entries[0]):
            seconds = np.where((demand[:, None, :] > capacity * (1 + TOLERANCE)).any(axis=2), NEVER, seconds)
        count = len(self.task_entries)
        prices = [node.price_per_hour for node in self.node_entries]
        problem = Problem(
            seconds=seconds,
            column_of_node=np.arange(len(self.node_entries), dtype=np.int32),
            first_mode=first_mode,
            row_of_mode=np.arange(len(seconds), dtype=np.int32),
            demand=demand,
            capacity=capacity,
            edges=self._edges(),
            network=self._network(),
            release=np.array([task.release_seconds for task in self.task_entries], float),
            inputs=self._inputs(),
            opens=np.array([node.opens_seconds for node in self.node_entries], float),
            held=self._held(columns, capacity),
            runs=self._runs(count),
            promised=self._promised(columns),
            price=None if None in prices else np.array(prices, float) / SECONDS_PER_HOUR,
            task_names=self.tasks.names,
            node_names=self.nodes.names,
        )
        self._require_able(problem)
        return problem, options, columns.names

    def _unnamed(self, axis: int, what: str) -> list[Any]:
        if self.table is None:
            raise UnreadableError(f"{what}: is missing, and so is the table `run_seconds` that could say how many")
        return [NodeEntry() if axis else TaskEntry() for _ in range(self.table.shape[axis])]

    def _require_shape(self) -> None:
        tasks, nodes = len(self.task_entries), len(self.node_entries)
        if not nodes:
            raise UnreadableError("nodes: a problem needs at least one node")
        if self.table is not None and self.table.shape != (tasks, nodes) and (tasks or self.table.size):
            rows, columns = self.table.shape
            raise UnreadableError(f"run_seconds: is {rows} x {columns}, and there are {tasks} tasks and {nodes} nodes")

    def _modes(self) -> tuple[Floats, Any, list[Any], tuple[tuple[str, ...], ...]]:
        """Rows of seconds, the first mode of each task, what each mode requests, and the names of options."""
        counts = [max(1, len(task.options)) for task in self.task_entries]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        asked = [
            requests
            for task in self.task_entries
            for requests in ([option.requests or task.requests for option in task.options] or [task.requests])
        ]
        names = tuple(tuple(option.name for option in task.options) or ("default",) for task in self.task_entries)
        if self.table is not None and not any(t.options or t.run_seconds is not None for t in self.task_entries):
            return self.table, first, asked, names
        seconds = np.full((int(first[-1]), len(self.node_entries)), NEVER)
        for number, task in enumerate(self.task_entries):
            self._require_one_source(number, task)
            if self.table is not None and task.run_seconds is None and not task.options:
                seconds[first[number]] = self.table[number]
            for place, option in enumerate(task.options):
                where = f"tasks[{number}].options[{place}].run_seconds"
                seconds[first[number] + place] = self._row(option.run_seconds, where)
            if task.run_seconds is not None:
                seconds[first[number]] = self._row(task.run_seconds, f"tasks[{number}].run_seconds")
        return seconds, first, asked, names

    def _require_one_source(self, number: int, task: TaskEntry) -> None:
        given = [task.run_seconds is not None, bool(task.options)]
        if all(given):
            raise UnreadableError(f"tasks[{number}]: has both `run_seconds` and `options`; give one")
        if not any(given) and self.table is None:
            raise UnreadableError(f"tasks[{number}].run_seconds: is missing, here, in options, and as a table")
        names = [option.name for option in task.options]
        if len(set(names)) < len(names):
            raise UnreadableError(f"tasks[{number}].options: two of them have the same name")

    def _row(self, given: Any, place: str) -> Floats:
        row: Floats = np.full(len(self.node_entries), NEVER)
        if isinstance(given, list):
            if len(given) != len(row):
                raise UnreadableError(f"{place}: has {len(given)} entries, and there are {len(row)} nodes")
            given = dict(enumerate(given))
        for node, seconds in given.items():
            if seconds is not None:
                row[self.nodes.of(node, place)] = seconds
        return row

    def _edges(self) -> Edges:
        found: dict[tuple[int, int], float] = {}
        for number, (sender, receiver, *size) in enumerate(self.document.edges):
            place = f"edges[{number}]"
            pair = (self.tasks.of(sender, f"{place}[0]"), self.tasks.of(receiver, f"{place}[1]"))
            if pair in found:
                raise UnreadableError(f"{place}: the edge from {sender!r} to {receiver!r} is there twice")
            found[pair] = float(size[0]) if size else 0.0
        edges = by_receiver(found, len(self.task_entries))
        try:
            topological(edges)
        except ValueError as error:
            raise UnreadableError(f"edges: {error}") from None
        return edges

    def _inputs(self) -> Edges:
        found: dict[tuple[int, int], float] = {}
        for number, (task, node, size) in enumerate(self.document.inputs):
            place = f"inputs[{number}]"
            pair = (self.nodes.of(node, f"{place}[1]"), self.tasks.of(task, f"{place}[0]"))
            found[pair] = found.get(pair, 0.0) + size
        return by_receiver(found, len(self.task_entries))

    def _network(self) -> Network:
        given = self.document.network
        if self.document.seconds_per_byte is not None:
            if given is not None:
                raise UnreadableError("seconds_per_byte: is there beside `network`, which says the same; give one")
            given = NetworkEntry(kind="pairs", seconds_per_byte=self.document.seconds_per_byte)
            return network_of(given, len(self.node_entries), "seconds_per_byte")
        return Network() if given is None else network_of(given, len(self.node_entries), "network.seconds_per_byte")

    def _held(self, columns: Columns, capacity: Floats) -> Held:
        held = [(number, one) for number, one in enumerate(self.document.held) if not one.from_seconds]
        node = [self.nodes.of(one.node, f"held[{number}].node") for number, one in held]
        until = [NEVER if one.until_seconds is None else one.until_seconds for _, one in held]
        demand = np.minimum(columns.demand([one.requests for _, one in held]), capacity[node])  # no more than there is
        return Held(np.array(node, np.int32), demand, np.array(until, float))

    def _promised(self, columns: Columns) -> Promised | None:
        coming = [(number, one) for number, one in enumerate(self.document.held) if one.from_seconds]
        if not coming:
            return None
        for number, one in coming:
            if one.until_seconds is None or one.until_seconds <= one.from_seconds:
                raise UnreadableError(f"held[{number}].until_seconds: what begins later needs an end after that")
        node = [self.nodes.of(one.node, f"held[{number}].node") for number, one in coming]
        demand = columns.demand([one.requests for _, one in coming])
        since = np.array([one.from_seconds for _, one in coming], float)
        until = np.array([one.until_seconds for _, one in coming], float)
        return Promised(np.array(node, np.int32), demand, since, until)

    def _runs(self, count: int) -> Runs:
        runs = self.document.runs or [RunEntry()]
        of_task = [
            0 if task.run is None else self.runs.of(task.run, f"tasks[{number}].run")
            for number, task in enumerate(self.task_entries)
        ]
        projects = {name: number for number, name in enumerate(dict.fromkeys(run.project for run in runs))}
        return Runs(
            of_task=np.array(of_task, np.int32),
            submitted=np.array([run.submitted_seconds for run in runs], float),
            weight=np.array([run.weight for run in runs], float),
            priority=np.array([run.priority for run in runs], np.int32),
            deadline=np.array([NEVER if run.deadline_seconds is None else run.deadline_seconds for run in runs], float),
            project=np.array([projects[run.project] for run in runs], np.int32),
            done_seconds=np.array([run.done_seconds for run in runs], float),
        )

    def _require_able(self, problem: Problem) -> None:
        is_simple = problem.is_exclusive and problem.is_single_mode and not len(problem.held.node)
        if is_simple and np.isfinite(problem.seconds).any(axis=1).all():
            return
        for task in range(problem.task_count):
            if not len(can_run(problem, task)[0]):
                raise UnreadableError(f"tasks[{task}]: no node can ever run task {self.tasks.names[task]!r}")


def by_receiver(found: dict[tuple[int, int], float], count: int) -> Edges:
    """Edges from (sender, receiver) -> bytes."""
    senders = np.array([sender for sender, _ in found], np.int32)
    receivers = np.array([receiver for _, receiver in found], np.int32)
    order = np.lexsort((senders, receivers))
    first = np.concatenate([[0], np.cumsum(np.bincount(receivers, minlength=count))]).astype(np.int32)
    return Edges(first, senders[order], np.array(list(found.values()), float)[order])


def network_of(given: NetworkEntry, count: int, place: str) -> Network:
    """The network of a document. Raises UnreadableError naming the place."""
    figure, latency, sharing = given.seconds_per_byte, given.latency_seconds, Sharing[given.sharing.upper()]
    if given.kind == "none":
        if figure is not None:
            raise UnreadableError(f"{place}: is there, although data is free in a network of kind none")
        return Network()
    shapes = {"uniform": (), "cards": (count,), "pairs": (count, count)}
    found = matrix(figure, shapes[given.kind], place)
    if given.kind == "uniform":
        return Network(uniform=float(found), latency_seconds=latency, sharing=sharing)
    if given.kind == "cards":
        return Network(cards=found, latency_seconds=latency, sharing=sharing)
    if found.diagonal().any():
        raise UnreadableError(f"{place}: the diagonal must be 0, for nothing is paid on the same node")
    return Network(pairs=found, latency_seconds=latency, sharing=sharing)


__all__ = ["Names", "by_receiver", "network_of", "to_problem"]
