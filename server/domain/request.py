"""From live runs to the question a strategy is asked: which tasks wait, and what do they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlopx.spec import Component, ForeignCode, Task, merge_hints
from mlopx.spec import Resources as RequestedResources
from server.domain.inputs import handed_over, is_all_there, upstreams
from server.domain.placement import DEFAULT_OPTION, BoundTask, TaskOption, WaitingRun, WaitingTask
from server.domain.resources import Resources
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import BOUND, TaskState
from server.domain.telling import given_of, parameters_of
from server.domain.turns import turn_of

MORE_MEMORY, MOST_RAISES, ABOVE_PEAK = 1.5, 2, 1.25
"""Factor on the memory request of a task that ran out of memory, how often it is raised, and its distance from the
highest peak."""

Defaults = Callable[[RequestedResources], Resources]
"""How a platform fills in what a task did not request. One that also knows what confines tasks is a `Confining`."""


@dataclass(frozen=True, slots=True, eq=False)
class Confining:
    """How a platform that knows its surroundings fills in requests (`fill`), tells a task where its image and its
    volumes let it run (`confine`), both by the run's project, and which tasks of a run it will take from its cache
    (`foresee`). What they answer may change when `version` does.
    """

    fill: Callable[[RequestedResources, str], Resources]
    confine: Callable[[WaitingTask, Task, str], WaitingTask]
    version: Callable[[], int]
    foresee: Callable[[Run], frozenset[TaskKey]] = lambda run: frozenset()

    def __call__(self, asked: RequestedResources) -> Resources:
        """The requests, filled in as of a run of no project in particular."""
        return self.fill(asked, "")


def defaults_for(project: str, defaults: Defaults) -> Defaults:
    """What a platform fills in for the runs of a project."""
    if not isinstance(defaults, Confining):
        return defaults
    fill = defaults.fill
    return lambda asked: fill(asked, project)


def version_of(defaults: Defaults) -> int:
    """Changes when what a platform fills in may have changed."""
    return defaults.version() if isinstance(defaults, Confining) else 0


def kubernetes_defaults(asked: RequestedResources) -> Resources:
    """Nothing is assumed: what is not requested is not counted."""
    return _resources(asked, 0)


def one_cpu_defaults(asked: RequestedResources) -> Resources:
    """A task without a CPU request counts as one CPU (the local platform)."""
    return _resources(asked, 1000)


def _resources(asked: RequestedResources, cpu_default: int) -> Resources:
    accelerator = asked.accelerator
    return Resources.of(
        cpu_millicores=asked.cpu_millicores or asked.cpu_limit_millicores or cpu_default,
        memory_bytes=asked.memory_bytes or asked.memory_limit_bytes or 0,
        accelerators={accelerator.accelerator: accelerator.count} if accelerator else None,
        pods=1,
    )


def options_of(task: Task, component: Component, defaults: Defaults) -> tuple[TaskOption, ...]:
    """The ways in which a task can run; one named `default` where it offers no alternatives.

    An option's resources complete the task's own: what the option leaves open is taken from the task.
    """
    image = task.image or component.image
    if not task.options:
        return (_option(DEFAULT_OPTION, task.resources, image, defaults),)
    return tuple(
        _option(choice.name, choice.resources.completed_by(task.resources), choice.image or image, defaults)
        for choice in task.options
    )


def raised(options: tuple[TaskOption, ...], task: TaskRun) -> tuple[TaskOption, ...]:
    """The options, asking for more memory after attempts that ran out of it: half as much again for each of them, and a
    quarter more than the highest peak that was seen. What asks for none is left alone.
    """
    ended = [one for one in task.attempts[:-1] if one.error is not None and one.error.kind == "oom"]
    if not ended:
        return options
    factor = MORE_MEMORY ** min(len(ended), MOST_RAISES)
    peak = max((one.peak_memory_bytes or 0 for one in ended), default=0)

    def more(asked: int) -> int:
        return max(round(asked * factor), min(round(peak * ABOVE_PEAK), round(asked * MORE_MEMORY**MOST_RAISES)))

    return tuple(
        replace(one, requests=replace(one.requests, memory_bytes=more(one.requests.memory_bytes)))
        if one.requests.memory_bytes
        else one
        for one in options
    )


def _option(name: str, asked: RequestedResources, image: str | None, defaults: Defaults) -> TaskOption:
    memory = asked.accelerator.memory_bytes if asked.accelerator else None
    return TaskOption(name, defaults(asked), memory, image)


def requests_of(run: Run, key: TaskKey, option: str | None, defaults: Defaults) -> Resources:
    """What a task with the chosen option requests."""
    filled = defaults_for(run.options.project, defaults)
    choices = raised(options_of(run.graph.task(key.path), run.graph.component(key.path), filled), run.tasks[key])
    return next((choice.requests for choice in choices if choice.name == option), choices[0].requests)


def memory_limit_of(run: Run, key: TaskKey, option: str | None, requests: Resources) -> int | None:
    """The most memory that a task may use; None where nothing limits it. It grows with what is requested after
    attempts that ran out of memory."""
    task = run.graph.task(key.path)
    asked = task.resources
    chosen = next((choice for choice in task.options if choice.name == option), None)
    if chosen is not None:
        asked = chosen.resources.completed_by(asked)
    if asked.memory_limit_bytes is None:
        return requests.memory_bytes or None
    before = asked.memory_bytes or asked.memory_limit_bytes
    return max(round(asked.memory_limit_bytes * requests.memory_bytes / before), requests.memory_bytes)


def waiting_run(run: Run, defaults: Defaults) -> WaitingRun:
    """The run as a strategy sees it: its unbound tasks in graph order, its bound ones, where finished outputs lie."""
    rank = {path: index for index, path in enumerate(run.graph.order)}
    ordered = sorted(run.tasks.items(), key=lambda item: (rank[item[0].path], item[0].iteration))
    unbound = (TaskState.PENDING, TaskState.READY)
    reused = defaults.foresee(run) if isinstance(defaults, Confining) else frozenset()
    return WaitingRun(
        run_id=run.id,
        name=run.name,
        submitted_at=run.submitted_at,
        tasks=tuple(
            replace(waiting_task(run, task, defaults), is_reused=True)
            if key in reused
            else waiting_task(run, task, defaults)
            for key, task in ordered
            if task.state in unbound and is_placeable(run, key.path)
        ),
        bound=tuple(_bound(run, task, defaults) for _, task in ordered if task.state in BOUND),
        priority=run.options.priority,
        project=run.options.project,
        deadline_at=run.options.deadline_at,
        finished_on={
            key: task.current.actual_node
            for key, task in ordered
            if task.state is TaskState.SUCCEEDED and task.current.actual_node is not None
        },
        done_seconds=sum(task.current.run_seconds or 0.0 for _, task in ordered if task.state is TaskState.SUCCEEDED),
    )


def is_placeable(run: Run, path: str) -> bool:
    """Whether a node is chosen for a task: not where a foreign document gives it no container of its own."""
    code = run.graph.component(path).code
    return not isinstance(code, ForeignCode) or code.placeable


def waiting_task(run: Run, task: TaskRun, defaults: Defaults) -> WaitingTask:
    """One unbound task as a strategy sees it."""
    definition = run.graph.task(task.key.path)
    component = run.graph.component(task.key.path)
    sizes = handed_over(run, task.key)
    above = upstreams(run, task.key)
    awaited = [*above, *(turn_of(run, task.key) if task.state is TaskState.PENDING else ())]
    found = WaitingTask(
        run_id=run.id,
        key=task.key,
        component=component.name,
        component_digest=run.graph.component_digests[component.name],
        is_ready=task.state is TaskState.READY,
        options=raised(options_of(definition, component, defaults_for(run.options.project, defaults)), task),
        waits_for=tuple(
            dict.fromkeys(one.key for one in awaited if not one.state.is_end and is_placeable(run, one.key.path))
        ),
        edge_bytes=sizes,
        requirements=definition.requirements,
        node=definition.node,
        preferences=definition.preferences,
        tolerations=definition.tolerations,
        avoid_nodes=task.avoid_nodes,
        is_interruptible=definition.interruptible,
        ready_at=task.current.ready_at,
        attempt=task.current.number,
        input_bytes=sum(sizes.values()),
        workload=_workload(run, definition),
        parameters=parameters_of(run, task.key),
        given=given_of(run, task.key),
        is_input_known=task.state is not TaskState.PENDING or is_all_there(run, task.key, above),
    )
    return defaults.confine(found, definition, run.options.project) if isinstance(defaults, Confining) else found


def _bound(run: Run, task: TaskRun, defaults: Defaults) -> BoundTask:
    attempt = task.current
    return BoundTask(
        run_id=run.id,
        key=task.key,
        node=attempt.actual_node or attempt.node or "",
        option=attempt.option or DEFAULT_OPTION,
        requests=requests_of(run, task.key, attempt.option, defaults),
        started_at=attempt.started_at,
        expected_end_at=attempt.planned_finish_at,
    )


def _workload(run: Run, definition: Task) -> Mapping[str, Any]:
    hints = merge_hints(definition.hints, run.graph.spec.hints)
    return hints.model_dump(mode="json") if hints is not None else {}
