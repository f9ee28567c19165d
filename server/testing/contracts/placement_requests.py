"""Placement requests to try strategies on: builders for hand-made ones, and Hypothesis strategies for any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

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
_WISH = Preference(weight=10, requirement=Requirement(label="zone", values=("a",)))
_NEED = Requirement(label="zone", values=("a", "b"))
_SIZES = ((0.5, 1, 0), (1, 1, 0), (2, 4, 0), (8, 32, 0), (1, 1, 1), (64, 1, 0))
_TASK_KINDS = (None, "preprocessing", "training", "evaluation", "inference", "other", "nonsense")
_MODELS = (None, "cnn", "nn", "random_forest", "linear_regression", "svm", "other", "transformer")

_NUMBER = st.integers(0, 839)
"""The one strategy that all others are made of: making a new one for each draw takes most of an example's time."""

T = TypeVar("T")


def _one_of(draw: st.DrawFn, values: Sequence[T]) -> T:
    return values[draw(_NUMBER) % len(values)]


def _up_to(draw: st.DrawFn, most: int) -> int:
    return draw(_NUMBER) % (most + 1)


def _some_of(draw: st.DrawFn, values: Sequence[T], most: int) -> list[T]:
    """At most so many different ones."""
    count = _up_to(draw, min(most, len(values)))
    return list(dict.fromkeys(_one_of(draw, values) for _ in range(count)))


@st.composite
def nodes(draw: st.DrawFn, most: int = 6) -> tuple[Node, ...]:
    """Any small cluster: nodes of several sizes and speeds, labelled, tainted, cordoned, down or still virtual."""
    return tuple(_node(draw, f"node-{index}") for index in range(_up_to(draw, most)))


def _node(draw: st.DrawFn, name: str) -> Node:
    zone = _one_of(draw, (None, *ZONES))
    state = _one_of(draw, ("up", "up", "up", "up", "down", "cordoned", "virtual"))
    return a_node(
        name,
        cpus=_one_of(draw, (0.5, 1, 4, 16)),
        memory_gib=_one_of(draw, (1, 8, 64)),
        gpus=_one_of(draw, (0, 0, 0, 1, 4)),
        pods=_one_of(draw, (1, 3, 110)),
        speed=_one_of(draw, (0.5, 1.0, 3.0)),
        labels={"kubernetes.io/hostname": name, **({"zone": zone} if zone else {})},
        taints=_one_of(draw, _TAINTS),
        is_ready=state != "down",
        is_schedulable=state != "cordoned",
        is_virtual=state == "virtual",
        group="growing" if state == "virtual" else None,
        startup_seconds=90.0 if state == "virtual" else 0.0,
    )


@st.composite
def requests(draw: st.DrawFn, most_nodes: int = 6, most_runs: int = 5, most_tasks: int = 5) -> PlacementRequest:
    """Any small request: several runs with graphs, priorities, wishes, alternatives, and work already on the nodes, or
    promised to come."""
    cluster = draw(nodes(most_nodes))
    runs, occupancies = [], []
    for number in range(_up_to(draw, most_runs)):
        run = _run(draw, f"run-{number}", cluster, most_tasks)
        runs.append(run)
        occupancies += [
            Occupancy(bound.node, bound.requests, run.run_id, str(bound.key), bound.expected_end_at)
            for bound in run.bound
        ]
    for node in cluster:
        if _up_to(draw, 3) == 0:
            until = _one_of(draw, (None, NOW + timedelta(seconds=40)))
            occupancies.append(Occupancy(node.name, amounts(cpus=0.5, memory_gib=1), None, None, until))
    return a_request(
        cluster,
        runs,
        seconds=_one_of(draw, (0.5, 60.0, 4000.0)),
        occupancies=occupancies,
        seed=_up_to(draw, 5),
        history={node.name: _up_to(draw, 9) for node in cluster},
        promised=tuple(_promise(draw, cluster) for _ in range(_up_to(draw, 3))) if cluster else (),
    )


def _promise(draw: st.DrawFn, cluster: Sequence[Node]) -> Promise:
    node = _one_of(draw, [*(node.name for node in cluster), "gone"])
    begins_at = NOW + timedelta(seconds=_one_of(draw, (0, 20, 500)))
    ends_at = begins_at + timedelta(seconds=_one_of(draw, (0, 30, 4000)))
    cpus = _one_of(draw, (0.5, 1, 4, 64))
    return Promise(node, amounts(cpus=cpus), "handed-over", TaskKey("later"), begins_at, ends_at)


def _run(draw: st.DrawFn, run_id: str, cluster: Sequence[Node], most_tasks: int) -> WaitingRun:
    tasks: list[WaitingTask] = []
    is_running = bool(cluster) and _up_to(draw, 1) == 1
    bound: list[BoundTask] = [_bound(draw, run_id, cluster)] if is_running else []
    for index in range(1 + _up_to(draw, most_tasks - 1)):
        known = [task.key.path for task in tasks] + [running.key.path for running in bound]
        upstreams = _some_of(draw, known, 2)
        tasks.append(_task(draw, run_id, f"task-{index}", upstreams, [node.name for node in cluster]))
    return a_run(
        run_id,
        *tasks,
        submitted_seconds_ago=_up_to(draw, 500),
        bound=tuple(bound),
        priority=_one_of(draw, (0, 0, 0, 5, -5)),
    )


def _bound(draw: st.DrawFn, run_id: str, cluster: Sequence[Node]) -> BoundTask:
    ends = _one_of(draw, (None, NOW - timedelta(seconds=5), NOW + timedelta(seconds=30)))
    node = _one_of(draw, cluster).name
    return BoundTask(run_id, TaskKey("running"), node, DEFAULT_OPTION, amounts(), NOW, ends)


def _task(draw: st.DrawFn, run_id: str, path: str, upstreams: Sequence[str], names: Sequence[str]) -> WaitingTask:
    kind, model = _one_of(draw, _TASK_KINDS), _one_of(draw, _MODELS)
    return a_task(
        run_id,
        path,
        waits_for=upstreams,
        options=_options(_one_of(draw, _SIZES), _up_to(draw, 1) == 1),
        node=_one_of(draw, (None, None, None, None, *names[:1], "gone")),
        avoid_nodes=tuple(_some_of(draw, names, 2)) if _up_to(draw, 1) == 1 else (),
        preferences=_one_of(draw, ((), (), (_WISH,))),
        requirements=_one_of(draw, ((), (), (), (_NEED,))),
        tolerations=_one_of(draw, _TOLERATIONS),
        workload={
            **({"task_kind": kind} if kind else {}),
            **({"model": {"type": model, "params": {}}} if model else {}),
        },
    )


def _options(size: tuple[float, float, int], is_choice: bool) -> tuple[TaskOption, ...]:
    cpus, memory, gpus = size
    if not is_choice:
        return (TaskOption(DEFAULT_OPTION, amounts(cpus=cpus, memory_gib=memory, gpus=gpus)),)
    gpu, cpu = amounts(cpus=1, memory_gib=memory, gpus=1), amounts(cpus=cpus, memory_gib=memory)
    return (TaskOption("gpu", gpu, image="cuda"), TaskOption("cpu", cpu))


__all__ = ["GIB", "NOW", "ZONES", "a_node", "a_request", "a_run", "a_task", "amounts", "nodes", "requests"]
