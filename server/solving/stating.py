"""A problem file as placement requests: what a strategy that knows only requests is asked at a second of a roll-out.

Amounts become whole numbers (rounded against the task); where a task cannot run is said by a requirement on the node's
name, or, for one option of several, by an accelerator of its own that the other nodes lack. Seconds are handed over as
they are, so nothing that is answered here is used but nodes, options and order: times are found on the problem itself.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from mlopx.spec import Requirement
from server.domain.instants import after
from server.domain.node import HOSTNAME_LABEL, Node, Occupancy, Snapshot
from server.domain.packing import PackedTable
from server.domain.placement import BoundTask, Estimates, PlacementRequest, TaskOption, WaitingRun, WaitingTask
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.exchange.reading import Question
from server.exchange.resources import CPUS, MEMORY, PODS, SLOTS
from server.planning.bounds import topological
from server.planning.problem import NEVER, Floats
from server.planning.schedule import UNPLACED, Schedule

START = datetime(2000, 1, 1, tzinfo=UTC)
"""The instant that a file's seconds count from."""

UNITS = {CPUS: 1000, MEMORY: 1, PODS: 1}
FINER = 1_000_000
"""Amounts that are not whole in their unit are counted in so much smaller ones."""

LEAST_SECONDS = 1e-3
PLENTY = 2**60
Amounts = list[int]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked along: the objective, the seed, and the limit in seconds."""

    objective: str
    seed: int
    time_limit_seconds: float


@dataclass(slots=True)
class Progress:
    """How far a roll-out is: what is started so far, as a schedule in which the rest is unplaced, at `seconds`."""

    plan: Schedule
    seconds: float = 0.0
    history: dict[str, int] = field(default_factory=dict)
    cycle: int = 0


class Asking:
    """One problem, asked about again and again."""

    def __init__(self, question: Question) -> None:
        problem = question.problem
        self.question, self.problem = question, problem
        self.keys = [TaskKey(name) for name in problem.task_names]
        self.number = {key: task for task, key in enumerate(self.keys)}
        self._amounts = _Whole(question)
        self._nodes = [self._node(node) for node in range(problem.node_count)]
        self._options, self._requirements = self._tasks()
        self._upstreams = [self._inside(task) for task in range(problem.task_count)]
        self._estimates = self._told()
        order = topological(problem.edges)
        self._of_run = [order[problem.runs.of_task[order] == run].tolist() for run in range(len(question.runs))]
        self._inputs = [self._lying(task) for task in range(problem.task_count)]

    def begin(self) -> Progress:
        """Nothing is started."""
        count = self.problem.task_count
        never = np.full(count, NEVER)
        return Progress(Schedule(np.full(count, UNPLACED, np.int32), np.zeros(count, np.int32), never, never.copy()))

    def request(self, progress: Progress, wishes: Wishes) -> PlacementRequest:
        """What a strategy is asked at the progress's second."""
        runs, now = self.problem.runs, after(START, progress.seconds)
        by_submission = np.argsort(runs.submitted, kind="stable").tolist()
        found = (self._run(run, progress) for run in by_submission)
        progress.cycle += 1
        return PlacementRequest(
            cycle=progress.cycle,
            now=now,
            runs=tuple(run for run in found if run.tasks),
            snapshot=Snapshot(now, self._nodes_at(progress.seconds), tuple(self._held(progress)), source="file"),
            estimates=self._estimates,
            objective=wishes.objective,
            seed=wishes.seed,
            time_limit_seconds=wishes.time_limit_seconds,
            history=dict(progress.history),
        )

    def is_ready(self, task: int, progress: Progress) -> bool:
        """Whether nothing unfinished stands before an unstarted task."""
        edges, plan = self.problem.edges, progress.plan
        upstreams = edges.task[edges.first[task] : edges.first[task + 1]]
        is_free = bool((plan.finish[upstreams] <= progress.seconds).all())
        return is_free and self.problem.release[task] <= progress.seconds and plan.node[task] == UNPLACED

    def _node(self, node: int) -> Node:
        price = None if self.problem.price is None else float(self.problem.price[node]) * 3600
        name = self.problem.node_names[node]
        return Node(name, self._amounts.of_node(node), {HOSTNAME_LABEL: name}, price_per_hour=price)

    def _nodes_at(self, seconds: float) -> tuple[Node, ...]:
        opens = self.problem.opens
        if not (opens > seconds).any():
            return tuple(self._nodes)
        return tuple(
            node
            if at <= seconds
            else Node(
                node.name,
                node.allocatable,
                node.labels,
                group=node.name,
                is_virtual=True,
                startup_seconds=at - seconds,
                price_per_hour=node.price_per_hour,
            )
            for node, at in zip(self._nodes, opens.tolist(), strict=True)
        )

    def _tasks(self) -> tuple[list[tuple[TaskOption, ...]], list[tuple[Requirement, ...]]]:
        problem, names = self.problem, self.problem.node_names
        can = np.isfinite(problem.seconds)[problem.row_of_mode][:, problem.column_of_node]
        options: list[tuple[TaskOption, ...]] = []
        requirements: list[tuple[Requirement, ...]] = []
        for task in range(problem.task_count):
            modes = range(problem.first_mode[task], problem.first_mode[task + 1])
            is_single = len(modes) == 1
            masks = [can[mode] for mode in modes]
            options.append(
                tuple(
                    TaskOption(name, self._amounts.of_mode(mode, None if is_single or mask.all() else mask))
                    for name, mode, mask in zip(self.question.options[task], modes, masks, strict=True)
                )
            )
            forbidden = tuple(names[node] for node in np.flatnonzero(~masks[0])) if is_single else ()
            one = Requirement(label=HOSTNAME_LABEL, operator="NotIn", values=forbidden) if forbidden else None
            requirements.append((one,) if one else ())
        self._nodes = [self._with_masks(node) for node in range(problem.node_count)]
        return options, requirements

    def _with_masks(self, number: int) -> Node:
        """The node with the accelerators that stand for single options."""
        node, extra = self._nodes[number], self._amounts.masks_on(number)
        if not extra:
            return node
        has = node.allocatable
        more = Resources.of(
            cpu_millicores=has.cpu_millicores,
            memory_bytes=has.memory_bytes,
            pods=has.pods,
            accelerators={**dict(has.accelerators), **extra},
        )
        return Node(node.name, more, node.labels, price_per_hour=node.price_per_hour)

    def _inside(self, task: int) -> dict[TaskKey, float]:
        """Upstreams in the same run, with bytes."""
        edges, of_task = self.problem.edges, self.problem.runs.of_task
        return {
            self.keys[edges.task[k]]: float(edges.bytes[k])
            for k in range(edges.first[task], edges.first[task + 1])
            if of_task[edges.task[k]] == of_task[task]
        }

    def _lying(self, task: int) -> dict[TaskKey, tuple[str, float]]:
        inputs = self.problem.inputs
        names = self.problem.node_names
        return {
            TaskKey(f"on-{names[inputs.task[k]]}"): (names[inputs.task[k]], float(inputs.bytes[k]))
            for k in range(inputs.first[task], inputs.first[task + 1])
        }

    def _told(self) -> Estimates:
        """Seconds as they stand in the file; where a mode cannot run, its most, which nobody should look at.

        None are told as nothing: a plan counts microseconds, and who starts at one instant must fit side by side.
        """
        problem = self.problem
        rows = np.array(problem.seconds, np.float64)[:, problem.column_of_node]
        most = np.where(np.isfinite(rows), rows, 0.0).max(axis=1, initial=0.0)
        rows = np.maximum(np.where(np.isfinite(rows), rows, most[:, None]), LEAST_SECONDS)
        figures = np.ascontiguousarray(rows).tobytes()
        peaks = array("d", [math.nan]) * rows.size
        columns = (figures, figures, figures, peaks.tobytes(), (array("I", [0]) * rows.size).tobytes())
        profile_of = {
            (self.question.runs[problem.runs.of_task[task]], self.keys[task], name): int(
                problem.row_of_mode[problem.first_mode[task] + place]
            )
            for task in range(problem.task_count)
            for place, name in enumerate(self.question.options[task])
        }
        column_of = {name: node for node, name in enumerate(problem.node_names)}
        return Estimates(profile_of, column_of, PackedTable(len(rows), problem.node_count, columns, ("file",)))

    def _run(self, run: int, progress: Progress) -> WaitingRun:
        problem, plan, name = self.problem, progress.plan, self.question.runs[run]
        runs, members = problem.runs, self._of_run[run]
        started = [task for task in members if plan.node[task] != UNPLACED]
        done = [task for task in started if plan.finish[task] <= progress.seconds]
        finished_on = {self.keys[task]: problem.node_names[plan.node[task]] for task in done}
        for task in members:
            finished_on.update({key: node for key, (node, _) in self._inputs[task].items()})
        deadline = float(runs.deadline[run])
        return WaitingRun(
            run_id=name,
            name=name,
            submitted_at=after(START, float(runs.submitted[run])),
            tasks=tuple(self._task(task, name, progress) for task in members if plan.node[task] == UNPLACED),
            bound=tuple(self._bound(task, name, plan) for task in started if task not in set(done)),
            priority=int(runs.priority[run]),
            project=str(runs.project[run]),
            deadline_at=after(START, deadline) if math.isfinite(deadline) else None,
            finished_on=finished_on,
            done_seconds=float(runs.done_seconds[run]) + float((plan.finish[done] - plan.start[done]).sum()),
        )

    def _task(self, task: int, run: str, progress: Progress) -> WaitingTask:
        is_ready = self.is_ready(task, progress)
        since = max(progress.seconds if self._upstreams[task] else 0.0, float(self.problem.release[task]))
        return WaitingTask(
            run_id=run,
            key=self.keys[task],
            component=str(self.keys[task]),
            component_digest=str(task),
            is_ready=is_ready,
            options=self._options[task],
            waits_for=tuple(
                key for key in self._upstreams[task] if progress.plan.finish[self.number[key]] > progress.seconds
            ),
            edge_bytes={
                **self._upstreams[task],
                **{key: size for key, (_, size) in self._inputs[task].items()},
            },
            requirements=self._requirements[task],
            ready_at=after(START, since) if is_ready else None,
        )

    def _bound(self, task: int, run: str, plan: Schedule) -> BoundTask:
        mode = int(self.problem.first_mode[task] + plan.mode[task])
        return BoundTask(
            run_id=run,
            key=self.keys[task],
            node=self.problem.node_names[plan.node[task]],
            option=self.question.options[task][plan.mode[task]],
            requests=self._amounts.of_mode(mode, None),
            started_at=after(START, float(plan.start[task])),
            expected_end_at=after(START, float(plan.finish[task])),
        )

    def _held(self, progress: Progress) -> Sequence[Occupancy]:
        problem, plan, held = self.problem, progress.plan, self.problem.held
        names = problem.node_names
        found = [
            Occupancy(
                names[held.node[k]],
                self._amounts.of_held(k),
                expected_end_at=after(START, float(held.until[k])) if held.until[k] < NEVER else None,
            )
            for k in range(len(held.node))
            if held.until[k] > progress.seconds
        ]
        running = np.flatnonzero((plan.node != UNPLACED) & (plan.finish > progress.seconds)).tolist()
        for task in running:
            bound = self._bound(task, self.question.runs[problem.runs.of_task[task]], plan)
            found.append(Occupancy(bound.node, bound.requests, bound.run_id, str(bound.key), bound.expected_end_at))
        return found


class _Whole:
    """Amounts of a problem as whole numbers: what is asked for rounded up, what nodes have rounded down."""

    def __init__(self, question: Question) -> None:
        self.problem, self.names = question.problem, question.resources
        self.units = [self._unit(column, name) for column, name in enumerate(self.names)]
        self._masks: dict[bytes, str] = {}
        self._where: dict[str, Floats] = {}

    def of_mode(self, mode: int, mask: Floats | None) -> Resources:
        """What a mode holds, with the accelerator that keeps it where `mask` [m] is true."""
        found = self._resources(self.problem.demand[mode], math.ceil)
        if mask is None:
            return found
        kind = self._masks.setdefault(mask.tobytes(), f"option-{len(self._masks)}")
        self._where[kind] = mask
        return found + Resources.of(accelerators={kind: 1})

    def of_held(self, k: int) -> Resources:
        """What is held already."""
        return self._resources(self.problem.held.demand[k], math.ceil)

    def of_node(self, node: int) -> Resources:
        """What a node has; resources that the file does not count are there in plenty."""
        found = self._resources(self.problem.capacity[node], math.floor)
        cpu = found.cpu_millicores if CPUS in self.names else 1000
        memory = found.memory_bytes if MEMORY in self.names else PLENTY
        pods = found.pods if PODS in self.names or SLOTS in self.names else PLENTY
        return Resources(cpu, memory, found.accelerators, pods)

    def masks_on(self, node: int) -> Mapping[str, int]:
        """The accelerators of single options that the node has."""
        return {kind: PLENTY for kind, mask in self._where.items() if mask[node]}

    def _resources(self, amounts: Floats, rounded: object) -> Resources:
        counts = dict(zip(self.names, self._counted(amounts, rounded is math.ceil), strict=True))
        slots, pods = counts.pop(SLOTS, None), counts.pop(PODS, None)
        known = [count for count in (slots, pods) if count is not None]
        return Resources.of(
            cpu_millicores=counts.pop(CPUS, 0),
            memory_bytes=counts.pop(MEMORY, 0),
            pods=max(known, default=0) if rounded is math.ceil else min(known, default=0),
            accelerators=counts,
        )

    def _counted(self, amounts: Floats, is_up: bool) -> Amounts:
        sums = [float(amount) * unit for amount, unit in zip(amounts, self.units, strict=True)]
        return [min(math.ceil(x * (1 - 1e-9)) if is_up else math.floor(x * (1 + 1e-9)), PLENTY) for x in sums]

    def _unit(self, column: int, name: str) -> int:
        unit = UNITS.get(name, 1)
        values = np.concatenate([self.problem.demand[:, column], self.problem.held.demand[:, column]]) * unit
        is_whole = bool((np.abs(values - np.rint(values)) <= 1e-9 * np.maximum(np.abs(values), 1)).all())
        return unit if is_whole else unit * FINER


__all__ = ["START", "Asking", "Progress", "Wishes"]
