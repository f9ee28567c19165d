"""The work of `mlopx-server place`: a pipeline, a cluster from a file, a strategy asked in this process -> a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlopx.spec import PipelineSpec, merge_hints
from server.cluster.limits.limits import KubernetesLimits
from server.components.decision_unit import DecisionUnit, Outcome
from server.components.handing_over import placeable_part
from server.domain.errors import InvalidRequestError, InvalidSubmissionError
from server.domain.feasibility import feasible_nodes, refusal, rejection
from server.domain.node import Node, Occupancy, Snapshot
from server.domain.placement import DEFAULT_OPTION, Estimates, Placement, PlacementRequest, TaskOption, WaitingTask
from server.domain.request import kubernetes_defaults, options_of
from server.domain.run import TaskKey
from server.domain.states import Binding
from server.estimators.chain import ChainEstimator
from server.estimators.table import build_estimates
from server.planning.needs import NeedsTable, no_node_reason
from server.platforms.kubeflow.compile import compile_spec, size_doubts, size_problems
from server.platforms.kubeflow.compile.sizes import SDK_VERSION
from server.platforms.kubeflow.iterating import Iterations, counts_of, iterations_of
from server.platforms.kubeflow.placing import PlacedPipeline, PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.placing.configs import is_same_kind, stable_labels
from server.platforms.kubeflow.placing.merging import merged
from server.platforms.kubeflow.reading import KubeflowPipeline, read_pipeline
from server.platforms.kubeflow.reading.waiting import Known, waiting_run
from server.platforms.kubeflow.writing import dump_all

RUN_ID = "offline"
AT = datetime(2000, 1, 1, tzinfo=UTC)
"""Any instant does: nothing else runs on a cluster that is only described. Fixed, so that answers repeat."""

ALTERNATIVES = 2
"""How many further nodes are wished for behind the chosen one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be placed. `known` and `paths` are there where our own spec was compiled."""

    pipeline: KubeflowPipeline
    known: Mapping[str, Known] = field(default_factory=dict)
    environments: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)


def subject_of_spec(spec: PipelineSpec) -> Subject:
    """Our own spec, compiled. Raises InvalidSubmissionError."""
    compiled = compile_spec(spec)
    known: dict[str, Known] = {}
    environments: dict[tuple[str, str], Mapping[str, str]] = {}
    for path, task in spec.tasks.items():
        place = compiled.paths[path]
        component = spec.components[task.component]
        hints = merge_hints(task.hints, spec.hints)
        options = options_of(task, component, kubernetes_defaults)
        known[place] = Known(options, hints.model_dump(mode="json") if hints else {}, component.name)
        for option in task.options:
            environments[place, option.name] = {**option.environment, "MLOPX_OPTION": option.name}
    return Subject(read_pipeline(compiled.text, f"pipeline {spec.name}"), known, environments)


@dataclass(frozen=True, slots=True)
class Placed:
    """The placed pipeline, and the report that is printed."""

    pipeline: PlacedPipeline
    report: dict[str, Any]


def place_offline(
    subject: Subject,
    nodes: Sequence[Node],
    *,
    placer: str,
    mode: PlacementMode,
    pins: Mapping[str, str],
    is_by_iteration: bool = False,
    occupancies: Sequence[Occupancy] = (),
    limits: KubernetesLimits | None = None,
) -> Placed:
    """Ask the strategy, and write what it answers. Raises InvalidRequestError for pins that make no sense.

    `is_by_iteration`: loops whose items the file says have a node for each iteration, where that can be written.
    `occupancies` is what others hold on the nodes, `limits` what their cluster confines tasks to, where it was asked.
    """
    pipeline = subject.pipeline
    by_name = {node.name: node for node in nodes}
    pins = {_task(pipeline, path): _node(by_name, name) for path, name in pins.items()}
    real = [node for node in nodes if not node.is_virtual]
    counts = counts_of(pipeline, None) if is_by_iteration else {}
    run = waiting_run(pipeline, nodes, run_id=RUN_ID, at=AT, pins=pins, known=subject.known, iterations=counts)
    if limits is not None:
        completed = tuple(limits.completed(task, pipeline.tasks[task.key.path].claims) for task in run.tasks)
        run = replace(run, tasks=completed)
    tasks = {task.key: task for task in run.tasks}
    table = NeedsTable(real)
    asked = placeable_part(run, table)
    estimates = build_estimates([asked], real, ChainEstimator())
    request = PlacementRequest(1, AT, (asked,), Snapshot(AT, tuple(real), tuple(occupancies)), estimates)
    unit = DecisionUnit(placer=placer, new_id=lambda: "", in_process=True, binding=Binding.AT_SUBMISSION)
    outcome = unit.decide_now(request)
    planned = {one.key: one for one in outcome.plan.placements}
    chosen = {
        key: _placement(subject, task, planned.get(key), by_name, estimates, mode, pins.get(key.path))
        for key, task in tasks.items()
    }
    placements = {key: one for key, one in chosen.items() if one is not None}
    suiting = {key: _suiting(tasks[key], one, real, estimates) for key, one in placements.items() if key.iteration}
    pinned = {path: by_name[name] for path, name in pins.items()}
    loops = _loops(pipeline, placements, suiting, pinned)
    found = place_pipeline(pipeline, _by_path(placements, loops), loops=loops.apart, mode=mode)
    placements.update(_as_written(placements, loops))
    rows = [
        _row(pipeline, task, placements.get(key), planned, outcome, found, nodes, pins, table)
        for key, task in tasks.items()
    ]
    if limits is not None:
        for row, task in zip(rows, tasks.values(), strict=True):
            row["notes"] += _limited(task, row["node"], by_name, limits)
    report = _report(pipeline, outcome, mode, rows)
    found, doubts = _fitting(found)
    report["notes"] += doubts
    report["notes"] += [f"loop {path}: all iterations are placed alike: {why}" for path, why in loops.left.items()]
    return Placed(found, report)


def _suiting(
    task: WaitingTask, placement: TaskPlacement, nodes: Sequence[Node], estimates: Estimates
) -> tuple[Node, ...]:
    """The chosen node, then all others that could run the task, quickest first."""
    chosen = placement.nodes[0]
    option = next((one for one in task.options if one.requests == placement.requests), task.options[0])
    others = [node for node in nodes if node.name != chosen.name and rejection(task, option, node) is None]
    others.sort(key=lambda node: (estimates.seconds(task.ref, node.name, option.name), node.name))
    return (chosen, *others)


def _loops(
    pipeline: KubeflowPipeline,
    placements: Mapping[TaskKey, TaskPlacement],
    suiting: Mapping[TaskKey, tuple[Node, ...]],
    pinned: Mapping[str, Node],
) -> Iterations:
    """Where iterations go; of tasks with options, those with the option that most iterations have."""
    if not suiting:
        return Iterations()
    common = _common(placements)
    planned = {
        (key.path, key.iteration[0]): nodes
        for key, nodes in suiting.items()
        if _changes(placements[key]) == _changes(common[key.path])
    }
    return iterations_of(pipeline, None, planned, pinned=pinned)


def _as_written(placements: Mapping[TaskKey, TaskPlacement], loops: Iterations) -> dict[TaskKey, TaskPlacement]:
    """Iterations whose tasks share a node, with that node; without nodes where it does not suit them."""
    found = {}
    for loop in loops.apart.values():
        for key, one in placements.items():
            if key.iteration and key.path in loop.tasks:
                found[key] = replace(one, nodes=loop.nodes[key.iteration[0]])
    left = {key: one for key, one in placements.items() if key.iteration and key not in found}
    return {**found, **{key: replace(one, nodes=()) for key, one in left.items() if key.path not in loops.together}}


def _by_path(placements: Mapping[TaskKey, TaskPlacement], loops: Iterations) -> dict[str, TaskPlacement]:
    """One placement for each task: without nodes where its loop's iterations have theirs."""
    found = dict(_common(placements))
    for path in {key.path for key in placements if key.iteration}:
        found[path] = replace(found[path], nodes=loops.together.get(path, ()))
    return found


def _common(placements: Mapping[TaskKey, TaskPlacement]) -> dict[str, TaskPlacement]:
    """For each task a placement with the option that most of its iterations have."""
    found: dict[str, list[TaskPlacement]] = {}
    for key, one in placements.items():
        found.setdefault(key.path, []).append(one)
    return {
        path: max(same, key=lambda one: sum(_changes(other) == _changes(one) for other in same))
        for path, same in found.items()
    }


def _changes(placement: TaskPlacement) -> tuple[object, ...]:
    return placement.image, placement.requests, tuple(placement.environment.items())


def _placement(
    subject: Subject,
    task: WaitingTask,
    planned: Placement | None,
    nodes: Mapping[str, Node],
    estimates: Estimates,
    mode: PlacementMode,
    pin: str | None,
) -> TaskPlacement | None:
    if planned is None and pin is None:
        return None
    path, name = task.key.path, pin or (planned.node if planned else "")
    option = task.option(planned.option if planned else None)
    is_choice = option.name != DEFAULT_OPTION
    labels = stable_labels(bool(option.requests.accelerators)) if mode is PlacementMode.DEFAULT else ()
    ranked = () if pin else _ranked(task, option, nodes[name], nodes, estimates, labels)
    return TaskPlacement(
        nodes=(nodes[name], *ranked),
        mode=PlacementMode.REQUIRE if pin else mode,
        image=option.image if is_choice else None,
        requests=option.requests if is_choice else None,
        environment=subject.environments.get((path, option.name), {}),
    )


def _ranked(
    task: WaitingTask,
    option: TaskOption,
    chosen: Node,
    nodes: Mapping[str, Node],
    estimates: Estimates,
    labels: Sequence[str],
) -> tuple[Node, ...]:
    """The next best nodes for the same option, of the same kind where that is required: quickest first."""
    others = [
        node
        for node in nodes.values()
        if node.name != chosen.name and not node.is_virtual and is_same_kind(chosen, node, labels)
        if rejection(task, option, node) is None
    ]
    others.sort(key=lambda node: (estimates.seconds(task.ref, node.name, option.name), node.name))
    return tuple(others[:ALTERNATIVES])


def _row(
    pipeline: KubeflowPipeline,
    task: WaitingTask,
    placement: TaskPlacement | None,
    planned: Mapping[TaskKey, Placement],
    outcome: Outcome,
    found: PlacedPipeline,
    nodes: Sequence[Node],
    pins: Mapping[str, str],
    table: NeedsTable,
) -> dict[str, Any]:
    path = task.key.path
    plan, effect = planned.get(task.key), found.effects.get(path)
    notes = list(effect.notes) if effect else []
    if placement is not None and not placement.nodes:
        reason = "left to Kubernetes: the node of its iteration does not suit it"
        return {"task": str(task.key), "node": None, "reason": reason, "notes": notes}
    if placement is None:
        refused = next((one.reason for one in outcome.plan.holds if one.key == task.key), "")
        reason = refused or no_node_reason(table.of(task), len(table.nodes))
        groups = [node.group or node.name for node in feasible_nodes(task, nodes) if node.is_virtual]
        if groups:
            notes.append(f"left to the autoscaler: node group {', '.join(groups)} could grow a node for it")
        return {"task": str(task.key), "node": None, "reason": reason, "notes": notes}
    node = placement.nodes[0]
    if path in pins:
        reason = "pinned by you"
        notes += _doubts(pipeline, task, node)
    else:
        is_moved = plan is not None and plan.node != node.name
        reason = f"with its iteration; alone {plan.node}" if plan and is_moved else plan.reason if plan else ""
    return {
        "task": str(task.key),
        "node": node.name,
        "alternatives": [one.name for one in placement.nodes[1:]],
        "option": None if plan is None or plan.option == DEFAULT_OPTION else plan.option,
        "mode": str(placement.mode),
        "reason": reason,
        "required": list(effect.required) if effect else [],
        "preferred": list(effect.preferred) if effect else [],
        "notes": notes,
    }


def _limited(
    task: WaitingTask, name: str | None, nodes: Mapping[str, Node], limits: KubernetesLimits | None
) -> list[str]:
    """What the cluster says to a task besides its nodes: that it would never start it, or on how many nodes not."""
    refused = limits.never(task) if limits is not None else None
    found = [f"Kubernetes would never start it: it {refused}"] if refused else []
    left_out: dict[str, int] = {}
    for node in nodes.values():
        no = refusal(task, task.options[0], node)
        if no is not None and no.kind in ("architecture", "volume"):
            left_out[no.text] = left_out.get(no.text, 0) + 1
    if name is None:
        return found
    return found + [f"not on {count} node{'s' if count > 1 else ''}: {text}" for text, count in left_out.items()]


def _doubts(pipeline: KubeflowPipeline, task: WaitingTask, node: Node) -> list[str]:
    """Why a pinned task may wait for ever."""
    own = pipeline.tasks[task.key.path].constraints.rejection(node)
    reasons = [rejection(task, option, node) for option in task.options]
    why = own or (reasons[0] if None not in reasons else None)
    return [f"it may never start there: {why}"] if why else []


def _report(
    pipeline: KubeflowPipeline, outcome: Outcome, mode: PlacementMode, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    left_alone = [{"task": one.path, "reason": one.reason} for one in pipeline.tasks.values() if not one.is_placeable]
    notes = [*pipeline.notes, *([outcome.problem] if outcome.problem else [])]
    return {
        "caching": _caching(pipeline),
        "pipeline": pipeline.name,
        "placer": outcome.strategy,
        "mode": str(mode),
        "tasks": rows,
        "left_alone": left_alone,
        "notes": notes,
    }


def _caching(pipeline: KubeflowPipeline) -> str:
    """What is not known here of Kubeflow's cache; an empty text where no task uses it."""
    count = sum(one.is_cached for one in pipeline.placeable())
    of = len(pipeline.placeable())
    return (
        f"not known here: {count} of {of} tasks may come from Kubeflow's cache, and then take no node" if count else ""
    )


def _fitting(placed: PlacedPipeline) -> tuple[PlacedPipeline, list[str]]:
    """The file, made smaller if it must be and is ours, and what is too large in what others compiled.

    Raises:
        InvalidSubmissionError: a pipeline of our own is too large with its placements.
    """
    problems = size_problems(placed.pipeline, placed.platform)
    if not problems or placed.pipeline.get("sdkVersion") != SDK_VERSION:
        return placed, problems or size_doubts(placed.pipeline, placed.platform)
    pipeline, platform = merged(placed.pipeline, placed.platform)
    if problems := size_problems(pipeline, platform):
        raise InvalidSubmissionError("with its placements it is too large for Kubeflow", details=tuple(problems))
    return replace(placed, pipeline=pipeline, platform=platform, text=dump_all(pipeline, platform)), []


def _task(pipeline: KubeflowPipeline, wanted: str) -> str:
    """The path of a task, or of the only one of that name."""
    known = [task.path for task in pipeline.placeable()]
    if wanted in known:
        return wanted
    named = [path for path in known if path.rsplit("/", 1)[-1] == wanted]
    if len(named) == 1:
        return named[0]
    if wanted in pipeline.tasks:
        raise InvalidRequestError(f"task {wanted!r} takes no placement: it is {pipeline.tasks[wanted].reason}")
    said = f"the name {wanted!r} is of several tasks" if named else f"the pipeline has no task {wanted!r}"
    shown = ", ".join((named or known)[:20])
    raise InvalidRequestError(said, hint=f"say one of: {shown}")


def _node(nodes: Mapping[str, Node], name: str) -> str:
    if name not in nodes:
        raise InvalidRequestError(f"the cluster has no node {name!r}", hint=f"it has: {', '.join(list(nodes)[:20])}")
    return name


__all__ = ["Placed", "Subject", "place_offline", "subject_of_spec"]
