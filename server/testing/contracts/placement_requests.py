"""Placement requests to try strategies on: builders for hand-made ones, and Hypothesis strategies for any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from mlopx.spec import Preference, Requirement, Toleration
from server.domain.node import Node, Occupancy, Snapshot, Taint
from server.domain.placement import (
    DEFAULT_OPTION,
    BoundTask,
    Estimate,
    Estimates,
    PlacementRequest,
    Promise,
    TaskOption,
    WaitingRun,
    WaitingTask,
)
from server.domain.resources import Resources
from server.domain.run import TaskKey

NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
GIB = 2**30


def a_node(
    name: str,
    *,
    cpus: float = 4,
    memory_gib: float = 16,
    gpus: int = 0,
    pods: int = 110,
    speed: float = 1.0,
    **more: Any,
) -> Node:
    """A node with room for ordinary tasks; `more` goes to `Node` as it is."""
    return Node(name, amounts(cpus=cpus, memory_gib=memory_gib, gpus=gpus, pods=pods), speed=speed, **more)


def amounts(*, cpus: float = 1, memory_gib: float = 1, gpus: int = 0, pods: int = 1) -> Resources:
    """Resources in handy units; accelerators are of the kind `gpu`."""
    return Resources.of(
        cpu_millicores=round(cpus * 1000),
        memory_bytes=round(memory_gib * GIB),
        accelerators={"gpu": gpus},
        pods=pods,
    )


def a_task(
    run_id: str,
    path: str = "train",
    *,
    cpus: float = 1,
    memory_gib: float = 1,
    gpus: int = 0,
    is_ready: bool = True,
    waits_for: Sequence[str] = (),
    options: tuple[TaskOption, ...] = (),
    **more: Any,
) -> WaitingTask:
    """A waiting task; ready unless it waits for others. `more` goes to `WaitingTask` as it is."""
    own = TaskOption(DEFAULT_OPTION, amounts(cpus=cpus, memory_gib=memory_gib, gpus=gpus))
    return WaitingTask(
        run_id=run_id,
        key=TaskKey(path),
        component=path,
        component_digest=f"digest-{path}",
        is_ready=is_ready and not waits_for,
        options=options or (own,),
        waits_for=tuple(TaskKey(upstream) for upstream in waits_for),
        **more,
    )


def a_run(run_id: str, *tasks: WaitingTask, submitted_seconds_ago: float = 0, **more: Any) -> WaitingRun:
    """A waiting run; `more` goes to `WaitingRun` as it is."""
    return WaitingRun(run_id, run_id, NOW - timedelta(seconds=submitted_seconds_ago), tuple(tasks), **more)


def a_request(
    nodes: Sequence[Node],
    runs: Sequence[WaitingRun],
    *,
    seconds: float | Mapping[tuple[str, str], float] = 60.0,
    occupancies: Sequence[Occupancy] = (),
    **more: Any,
) -> PlacementRequest:
    """A request about these runs. `seconds` is one median for everything, or one per (component, node)."""
    return PlacementRequest(
        cycle=more.pop("cycle", 1),
        now=NOW,
        runs=tuple(runs),
        snapshot=Snapshot(NOW, tuple(nodes), tuple(occupancies)),
        estimates=some_estimates(nodes, runs, seconds),
        **more,
    )


def some_estimates(
    nodes: Sequence[Node], runs: Sequence[WaitingRun], seconds: float | Mapping[tuple[str, str], float]
) -> Estimates:
    """A table with one row per component and option; a single median is divided by the node's speed."""
    rows: dict[tuple[str, str], int] = {}
    table: list[tuple[Estimate, ...]] = []
    profile_of: dict[tuple[str, TaskKey, str], int] = {}
    for task in (task for run in runs for task in run.tasks):
        for option in task.options:
            key = (task.component, option.name)
            if key not in rows:
                rows[key] = len(table)
                table.append(tuple(_estimate(task.component, node, seconds) for node in nodes))
            profile_of[(task.run_id, task.key, option.name)] = rows[key]
    return Estimates(profile_of, {node.name: column for column, node in enumerate(nodes)}, tuple(table))


def _estimate(component: str, node: Node, seconds: float | Mapping[tuple[str, str], float]) -> Estimate:
    median = seconds / node.speed if isinstance(seconds, int | float) else seconds[(component, node.name)]
    return Estimate(median, median * 0.7, median * 1.4, "made up")


ZONES = ("a", "b")
_GPU_TAINT = Taint("gpu", "yes")
_TAINTS = ((), (_GPU_TAINT,), (Taint("spot", "", "PreferNoSchedule"),), (Taint("old", "", "NoExecute"),))
_TOLERATIONS = ((), (Toleration(key="gpu", operator="Exists"),), (Toleration(operator="Exists"),))


@st.composite
def nodes(draw: st.DrawFn, most: int = 6) -> tuple[Node, ...]:
    """Any small cluster: nodes of several sizes and speeds, labelled, tainted, cordoned, down or still virtual."""
    count = draw(st.integers(0, most))
    return tuple(draw(_node(f"node-{index}")) for index in range(count))


def _node(name: str) -> st.SearchStrategy[Node]:
    return st.builds(
        lambda cpus, memory, gpus, pods, speed, zone, taints, state: a_node(
            name,
            cpus=cpus,
            memory_gib=memory,
            gpus=gpus,
            pods=pods,
            speed=speed,
            labels={"kubernetes.io/hostname": name, **({"zone": zone} if zone else {})},
            taints=taints,
            is_ready=state != "down",
            is_schedulable=state != "cordoned",
            is_virtual=state == "virtual",
            group="growing" if state == "virtual" else None,
            startup_seconds=90.0 if state == "virtual" else 0.0,
        ),
        st.sampled_from((0.5, 1, 4, 16)),
        st.sampled_from((1, 8, 64)),
        st.sampled_from((0, 0, 0, 1, 4)),
        st.sampled_from((1, 3, 110)),
        st.sampled_from((0.5, 1.0, 3.0)),
        st.sampled_from((None, *ZONES)),
        st.sampled_from(_TAINTS),
        st.sampled_from(("up", "up", "up", "up", "down", "cordoned", "virtual")),
    )


@st.composite
def requests(draw: st.DrawFn, most_nodes: int = 6, most_runs: int = 5, most_tasks: int = 5) -> PlacementRequest:
    """Any small request: several runs with graphs, priorities, wishes, alternatives, and work already on the nodes, or
    promised to come."""
    cluster = draw(nodes(most_nodes))
    runs, occupancies = [], []
    for number in range(draw(st.integers(0, most_runs))):
        run = draw(_run(f"run-{number}", cluster, most_tasks))
        runs.append(run)
        occupancies += [
            Occupancy(bound.node, bound.requests, run.run_id, str(bound.key), bound.expected_end_at)
            for bound in run.bound
        ]
    for node in cluster:
        if draw(st.integers(0, 3)) == 0:
            until = draw(st.sampled_from((None, NOW + timedelta(seconds=40))))
            occupancies.append(Occupancy(node.name, amounts(cpus=0.5, memory_gib=1), None, None, until))
    return a_request(
        cluster,
        runs,
        seconds=draw(st.sampled_from((0.5, 60.0, 4000.0))),
        occupancies=occupancies,
        seed=draw(st.integers(0, 5)),
        history={node.name: draw(st.integers(0, 9)) for node in cluster},
        promised=tuple(draw(st.lists(_promise(cluster), max_size=3))) if cluster else (),
    )


def _promise(cluster: Sequence[Node]) -> st.SearchStrategy[Promise]:
    return st.builds(
        lambda node, cpus, begins, lasts: Promise(
            node,
            amounts(cpus=cpus),
            "handed-over",
            TaskKey("later"),
            NOW + timedelta(seconds=begins),
            NOW + timedelta(seconds=begins + lasts),
        ),
        st.sampled_from([*(node.name for node in cluster), "gone"]),
        st.sampled_from((0.5, 1, 4, 64)),
        st.sampled_from((0, 20, 500)),
        st.sampled_from((0, 30, 4000)),
    )


@st.composite
def _run(draw: st.DrawFn, run_id: str, cluster: Sequence[Node], most_tasks: int) -> WaitingRun:
    tasks: list[WaitingTask] = []
    is_running = bool(cluster) and draw(st.booleans())
    bound: list[BoundTask] = [draw(_bound(run_id, cluster))] if is_running else []
    for index in range(draw(st.integers(1, most_tasks))):
        known = [task.key.path for task in tasks] + [running.key.path for running in bound]
        upstreams = draw(st.lists(st.sampled_from(known), unique=True, max_size=2)) if known else []
        tasks.append(draw(_task(run_id, f"task-{index}", upstreams, [node.name for node in cluster])))
    return a_run(
        run_id,
        *tasks,
        submitted_seconds_ago=draw(st.integers(0, 500)),
        bound=tuple(bound),
        priority=draw(st.sampled_from((0, 0, 0, 5, -5))),
    )


def _bound(run_id: str, cluster: Sequence[Node]) -> st.SearchStrategy[BoundTask]:
    return st.builds(
        lambda node, ends: BoundTask(run_id, TaskKey("running"), node, DEFAULT_OPTION, amounts(), NOW, ends),
        st.sampled_from([node.name for node in cluster]),
        st.sampled_from((None, NOW - timedelta(seconds=5), NOW + timedelta(seconds=30))),
    )


def _task(run_id: str, path: str, upstreams: Sequence[str], names: Sequence[str]) -> st.SearchStrategy[WaitingTask]:
    named: st.SearchStrategy[str | None] = st.sampled_from((None, None, None, None, *names[:1], "gone"))
    avoided: st.SearchStrategy[tuple[str, ...]] = st.just(())
    if names:
        avoided = st.one_of(st.just(()), st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple))
    return st.builds(
        lambda size, more, node, avoid, wishes, labels, tolerations, workload: a_task(
            run_id,
            path,
            waits_for=upstreams,
            options=_options(size, more),
            node=node,
            avoid_nodes=avoid,
            preferences=wishes,
            requirements=labels,
            tolerations=tolerations,
            workload=workload,
        ),
        st.sampled_from(((0.5, 1, 0), (1, 1, 0), (2, 4, 0), (8, 32, 0), (1, 1, 1), (64, 1, 0))),
        st.booleans(),
        named,
        avoided,
        st.sampled_from(((), (), (Preference(weight=10, requirement=Requirement(label="zone", values=("a",))),))),
        st.sampled_from(((), (), (), (Requirement(label="zone", values=("a", "b")),))),
        st.sampled_from(_TOLERATIONS),
        _workloads(),
    )


def _options(size: tuple[float, float, int], is_choice: bool) -> tuple[TaskOption, ...]:
    cpus, memory, gpus = size
    if not is_choice:
        return (TaskOption(DEFAULT_OPTION, amounts(cpus=cpus, memory_gib=memory, gpus=gpus)),)
    gpu, cpu = amounts(cpus=1, memory_gib=memory, gpus=1), amounts(cpus=cpus, memory_gib=memory)
    return (TaskOption("gpu", gpu, image="cuda"), TaskOption("cpu", cpu))


def _workloads() -> st.SearchStrategy[Mapping[str, Any]]:
    kinds = st.sampled_from(("preprocessing", "training", "evaluation", "inference", "other", "nonsense", None))
    models = st.sampled_from(("cnn", "nn", "random_forest", "linear_regression", "svm", "other", "transformer", None))
    return st.builds(
        lambda kind, model: {
            **({"task_kind": kind} if kind else {}),
            **({"model": {"type": model, "params": {}}} if model else {}),
        },
        kinds,
        models,
    )


__all__ = ["GIB", "NOW", "ZONES", "a_node", "a_request", "a_run", "a_task", "amounts", "nodes", "requests"]
