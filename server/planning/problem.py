"""The problem of placing, as arrays: what a strategy that must place ten thousand tasks computes on.

Tasks, nodes and modes are numbered from 0. A *mode* is one way to run a task (one of its options): a row of seconds and
a vector of demands. Equal tasks share rows, equal nodes share columns, so ten thousand tasks on a thousand nodes stay
small. Times are seconds from now. `server.planning.schedule` holds the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int32]

NEVER = np.inf
"""Seconds where a mode cannot run, and the end of something without a known end."""


class Sharing(IntEnum):
    """How transfers at the same time share the network."""

    CONTENTION_FREE = 0
    """Every transfer has its link for itself (the model of HEFT and its kin)."""
    ONE_PORT = 1
    """A transfer takes its sender's uplink and its receiver's downlink alone."""
    MAX_MIN = 2
    """Transfers through one network card share it fairly. For evaluation; search uses `ONE_PORT`."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What a transfer of `bytes` from node i to node j costs: `latency_seconds + bytes * seconds_per_byte`.

    Nothing is paid on the same node. Exactly one of the three forms is given, none of them means that data is free.

    Attributes:
        uniform: one figure for every pair of nodes, seconds per byte.
        pairs: [m, m] seconds per byte from row to column; the diagonal is zero.
        cards: [m] seconds per byte of each node's full-duplex network card; a transfer alone goes at the slower one's.
        latency_seconds: added to each transfer between two nodes.
        sharing: how transfers at the same time share it; the card of a node is its row's fastest link for `pairs`.
    """

    uniform: float | None = None
    pairs: Floats | None = None
    cards: Floats | None = None
    latency_seconds: float = 0.0
    sharing: Sharing = Sharing.CONTENTION_FREE

    @property
    def is_free(self) -> bool:
        """Whether data moves at no cost."""
        return self.uniform is None and self.pairs is None and self.cards is None


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Which task needs which task's output, by receiver: the upstreams of task t are
    `task[first[t]:first[t + 1]]`, each handing over `bytes` of the same position. `first` has n + 1 entries."""

    first: Ints
    task: Ints
    bytes: Floats

    def reversed(self) -> Edges:
        """The same edges by sender: the dependents of each task, in ascending order."""
        count = len(self.first) - 1
        receivers = np.repeat(np.arange(count, dtype=np.int32), np.diff(self.first))
        order = np.argsort(self.task, kind="stable")
        first = np.zeros(count + 1, np.int32)
        np.cumsum(np.bincount(self.task, minlength=count), out=first[1:])
        return Edges(first, receivers[order].astype(np.int32), self.bytes[order])


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What runs already: on `node[k]`, `demand[k]` (a row of r amounts) until `until[k]` seconds from now."""

    node: Ints
    demand: Floats
    until: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Promised:
    """What will be taken whatever is planned: `demand[k]` on `node[k]`, from `since[k]` to `until[k]` seconds from now.

    Who plans looks for room beside it; lower bounds and replays leave it aside, and so are optimistic.
    """

    node: Ints
    demand: Floats
    since: Floats
    until: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The pipelines that the tasks belong to, numbered from 0.

    Attributes:
        of_task: [n] run of each task.
        submitted: [k] seconds from now, so never positive for what waits already.
        weight: [k] how much a second of this run's turnaround counts; positive.
        priority: [k] higher goes first under every objective.
        deadline: [k] seconds from now, `NEVER` without one.
        project: [k] number of the project it is charged to.
        done_seconds: [k] node seconds its finished and running tasks have had so far.
    """

    of_task: Ints
    submitted: Floats
    weight: Floats
    priority: Ints
    deadline: Floats
    project: Ints
    done_seconds: Floats

    @classmethod
    def single(cls, task_count: int) -> Runs:
        """All tasks belong to one run that was submitted now."""
        zero, one = np.zeros(1), np.ones(1)
        numbers = np.zeros(1, np.int32)
        return cls(np.zeros(task_count, np.int32), zero, one, numbers, np.full(1, NEVER), numbers, zero)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """n tasks in q modes on m nodes of c columns, with p rows of seconds and r resources.

    Attributes:
        seconds: [p, c] median run time, float32 or float64; `NEVER` where it cannot run.
        column_of_node: [m].
        first_mode: [n + 1] the modes of task t are `first_mode[t]` up to `first_mode[t + 1]`.
        row_of_mode: [q] into `seconds`.
        demand: [q, r] what a mode holds of each resource while it runs.
        capacity: [m, r] what each node has to give in all, what is held included.
        edges: by receiver; acyclic. Only between tasks of this problem.
        network: what transfers cost.
        release: [n] seconds from now before which a task cannot start; it waits for something outside, or for backoff.
        inputs: outputs of tasks that are done, by receiver: `task` names the *node* on which they lie.
        opens: [m] seconds until a node is there; 0 for those that are.
        held: what runs already.
        runs: the pipelines.
        promised: what will be taken later; None where nothing will.
        spread: [p, c] standard deviation of log run time; None where estimates are taken as certain.
        price: [m] money per second that a task runs there; None where no node has one.
        task_names, node_names: for people; empty where nobody will read them.
    """

    seconds: Floats
    column_of_node: Ints
    first_mode: Ints
    row_of_mode: Ints
    demand: Floats
    capacity: Floats
    edges: Edges
    network: Network
    release: Floats
    inputs: Edges
    opens: Floats
    held: Held
    runs: Runs
    promised: Promised | None = None
    spread: Floats | None = None
    price: Floats | None = None
    task_names: tuple[str, ...] = field(default=())
    node_names: tuple[str, ...] = field(default=())

    @property
    def task_count(self) -> int:
        """n."""
        return len(self.first_mode) - 1

    @property
    def node_count(self) -> int:
        """m."""
        return len(self.column_of_node)

    @property
    def is_exclusive(self) -> bool:
        """Whether every mode fills any node, so that a node runs one task at a time and the fast kernel serves."""
        return bool(self.demand.size) and bool((2 * self.demand.min(axis=0) > self.capacity.max(axis=0)).any())

    @property
    def is_single_mode(self) -> bool:
        """Whether no task has alternatives."""
        return len(self.row_of_mode) == self.task_count


def taken_on(problem: Problem, node: int) -> tuple[Floats, Floats, Floats]:
    """[k], [k] and [k, r]: since when, until when and how much of a node is held or promised."""
    held, promised = problem.held, problem.promised
    here = held.node == node
    since: Floats = np.zeros(int(here.sum()))
    if promised is None:
        return since, held.until[here], held.demand[here]
    there = promised.node == node
    return (
        np.concatenate([since, promised.since[there]]),
        np.concatenate([held.until[here], promised.until[there]]),
        np.concatenate([held.demand[here], promised.demand[there]]),
    )


def no_edges(task_count: int) -> Edges:
    """Edges of tasks that wait for nothing."""
    return Edges(np.zeros(task_count + 1, np.int32), np.zeros(0, np.int32), np.zeros(0))


def exclusive_problem(
    seconds: Floats,
    edges: Edges,
    network: Network,
    *,
    task_names: tuple[str, ...] = (),
    node_names: tuple[str, ...] = (),
) -> Problem:
    """The textbook problem: one run, all nodes free, one task at a time per node.

    `seconds` is [n, m]; a matrix that is C-contiguous is used as it is, without a copy.
    """
    tasks, nodes = seconds.shape
    return Problem(
        seconds=seconds,
        column_of_node=np.arange(nodes, dtype=np.int32),
        first_mode=np.arange(tasks + 1, dtype=np.int32),
        row_of_mode=np.arange(tasks, dtype=np.int32),
        demand=np.ones((tasks, 1)),
        capacity=np.ones((nodes, 1)),
        edges=edges,
        network=network,
        release=np.zeros(tasks),
        inputs=no_edges(tasks),
        opens=np.zeros(nodes),
        held=Held(np.zeros(0, np.int32), np.zeros((0, 1)), np.zeros(0)),
        runs=Runs.single(tasks),
        task_names=task_names,
        node_names=node_names,
    )


__all__ = [
    "NEVER",
    "Edges",
    "Floats",
    "Held",
    "Ints",
    "Network",
    "Problem",
    "Promised",
    "Runs",
    "Sharing",
    "exclusive_problem",
    "no_edges",
    "taken_on",
]
