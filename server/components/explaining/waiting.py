"""What a task that has not started waits for: others of its run, room, a node that is not there, the platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from server.components.explaining.scene import Scene
from server.components.explaining.texts import between, clock, names, span
from server.components.explaining.values import Action, Band, NodeVerdict, Waiting
from server.components.explaining.verdicts import amount, amount_text, requests_text
from server.domain.placement import TaskRef, WaitingTask
from server.domain.run import Run, TaskKey, TaskRun
from server.domain.states import Binding, TaskState

MUCH_SLOWER = 1.2
MOST_LETTERS, MOST_ANSWERS = 120, 2
ACCEPT = "mlopx accept"
NO_NODE: Final = "node"
BARRED = "waits "
"""How the reasons begin for which a cluster would not start a run that is handed over whole."""

HELD = "held "
"""How the reason begins for which such a run is kept here for room."""


def what_it_waits_for(
    run: Run, task: TaskRun, view: WaitingTask, verdicts: Sequence[NodeVerdict], scene: Scene
) -> Waiting | None:
    """The one thing that keeps a task from starting; None if it has started or is over."""
    attempt, ref = task.current, (run.id, task.key)
    if task.state in (TaskState.PLACED, TaskState.QUEUED):
        node = attempt.actual_node or attempt.node
        since = attempt.queued_at or attempt.placed_at
        awaited = f"to start it on {node}" if node else "to find a node for it"
        awaited += ", to which its run is left (holdout)" if run.options.is_holdout else ""
        text = f"waits for the platform {awaited}" + (f", since {clock(since)}" if since else "")
        text += f": {task.hold.removesuffix('.')}" if task.hold and task.state is TaskState.QUEUED else ""
        text += _at_platform(ref, node, verdicts, scene)
        return Waiting("platform", text, nodes=(node,) if node else ())
    is_first = goes_first(run, task, view)
    if (task.state is TaskState.PENDING and not is_first) or (task.state is TaskState.READY and view.waits_for):
        return _on_others(run, view, scene)
    if task.state is not TaskState.READY and not is_first:
        return None
    if attempt.not_before is not None and attempt.not_before > scene.now:
        rest = (attempt.not_before - scene.now).total_seconds()
        if run.options.binding is Binding.AT_SUBMISSION:
            again = "looked for there" if run.dispatched_at is not None else "sent"
            return Waiting("backoff", f"{task.hold}; it is {again} again in {span(rest)}")
        return Waiting("backoff", f"failed before{_failure(task)}, and waits {span(rest)} more until it is tried again")
    if run.options.binding is Binding.AT_SUBMISSION and task.hold.startswith(BARRED):
        return Waiting("cluster", task.hold)
    if is_first and run.dispatched_at is not None:
        return Waiting("platform", "is being handed over to the platform with its run")
    if is_first and task.hold.startswith(HELD):
        return Waiting("capacity", f"is {task.hold}")
    ran_out = any(one.error is not None and one.error.kind == "oom" for one in task.attempts[:-1])
    return _on_room(
        ref, view, verdicts, scene, ", more memory than before, since it ran out of that" if ran_out else ""
    )


def goes_first(run: Run, task: TaskRun, view: WaitingTask) -> bool:
    """Whether it is among the tasks that start first in a run that waits here to be handed over whole."""
    is_whole = run.options.binding is Binding.AT_SUBMISSION and run.platform_run_id is None
    return is_whole and task.state is TaskState.PENDING and not view.waits_for


def what_to_do(
    run: Run, task: TaskRun, waiting: Waiting, view: WaitingTask, verdicts: Sequence[NodeVerdict], scene: Scene
) -> tuple[Action, ...]:
    """What the user can do about a wait. An offer comes first, and only where accepting it would work now."""
    if waiting.kind == NO_NODE:
        return (*_lower(verdicts), Action("See what the nodes have.", "mlopx nodes"))
    if waiting.kind == "platform":
        return _about_the_platform(run, verdicts)
    if waiting.kind in ("capacity", "kept", "priority", "growth"):
        offered = offer(run, task, view, verdicts, scene)
        able = [one.node for one in verdicts if one.verdict == "busy"]
        if able:
            return (
                *offered,
                Action(f"See what another node like {able[0]} would change.", f"mlopx plan --add-node {able[0]}"),
                Action("See what a higher priority would change.", f"mlopx plan --priority {run.id}=10"),
            )
        return offered
    if waiting.kind == "backoff" and task.current.number > 1:
        return (Action("Read what it printed.", f"mlopx logs {run.id} {task.key}"),)
    if waiting.kind == "dependency" and waiting.tasks:
        return (Action(f"See why {waiting.tasks[0]} takes its time.", f"mlopx explain {run.id} {waiting.tasks[0]}"),)
    return ()


def _about_the_platform(run: Run, verdicts: Sequence[NodeVerdict]) -> tuple[Action, ...]:
    """What can be done about a run that a platform has whole, and does not get on with."""
    if run.offer is not None and not run.replaced_by:
        where = names([f"{task} on {node}" for task, node in run.offer.nodes.items()])
        return (Action(f"Place it anew: {where} could start now.", f"mlopx replace {run.id}"),)
    if not verdicts:
        return ()
    is_able = any(one.verdict != "never" for one in verdicts)
    lower = () if is_able else _lower(verdicts)
    return (
        *lower,
        Action("See what the nodes have, and what runs there.", "mlopx nodes"),
        Action("Stop it, to submit it with other requests.", f"mlopx cancel {run.id}"),
    )


def offer(
    run: Run, task: TaskRun, view: WaitingTask, verdicts: Sequence[NodeVerdict], scene: Scene
) -> tuple[Action, ...]:
    """The quickest node that is free for a ready task and is not the one it waits for, with what it would cost."""
    placement = scene.plan.get((run.id, task.key))
    free = next(
        (one for one in verdicts if one.verdict == "free" and (placement is None or one.node != placement.node)), None
    )
    is_ours = run.options.binding is Binding.WHEN_READY and run.cancel_requested_at is None
    if free is None or placement is None or task.state is not TaskState.READY or not is_ours:
        return ()
    what = f"--node {free.node}"
    if len(view.options) > 1 and free.option is not None:
        what = f"--option {free.option} {what}"
    took = f" ({span(free.seconds_p50)} are predicted)" if free.seconds_p50 is not None else ""
    return (Action(f"Take {free.node} at once{took}.", f"{ACCEPT} {run.id} {task.key} {what}"),)


def expected_free(ref: TaskRef, scene: Scene) -> Band | None:
    """When the task's planned node is expected to have room, once all of its run's times stand on history."""
    return None if ref[0] in scene.silent else scene.starts.get(ref)


def _on_others(run: Run, view: WaitingTask, scene: Scene) -> Waiting:
    tasks = sorted(view.waits_for, key=lambda key: (_state(run, key) is not TaskState.RUNNING, str(key)))
    if not tasks:
        return Waiting("dependency", "waits until a condition or loop around it is decided")
    first = tasks[0]
    said = names([str(key) for key in tasks])
    ends = None if run.id in scene.silent else scene.ends.get((run.id, first))
    text = f"waits for {said}"
    if _state(run, first) is TaskState.RUNNING:
        node = run.tasks[first].current.actual_node or run.tasks[first].current.node
        text += f"; {first} is running on {node}" if len(tasks) > 1 else f", which is running on {node}"
        text += f" and expected to end {between(scene.now, ends.p10, ends.p90)}" if ends else ""
    return Waiting("dependency", text, tasks=tuple(str(key) for key in tasks))


def _failure(task: TaskRun) -> str:
    """How the attempt before ended, in brackets; empty if nothing tells."""
    error = task.attempts[-2].error if len(task.attempts) > 1 else None
    if error is None or not error.message:
        return ""
    message = error.message.splitlines()[0].removesuffix(".")
    return f" ({message if len(message) <= MOST_LETTERS else f'{message[: MOST_LETTERS - 1]}…'})"


def _on_room(ref: TaskRef, view: WaitingTask, verdicts: Sequence[NodeVerdict], scene: Scene, raised: str) -> Waiting:
    able = [one for one in verdicts if one.verdict in ("free", "busy")]
    growing = [one for one in verdicts if one.verdict == "not-there-yet"]
    if not able and growing:
        wish = _wish(view, growing[0].option) + raised
        return Waiting(
            "growth", f"waits for a new node: it needs {wish}; {growing[0].reason}", nodes=(growing[0].node,)
        )
    if not able:
        wish = ", or ".join(requests_text(option) for option in view.options) + raised
        return Waiting(NO_NODE, f"waits: it needs {wish}, and no node can run it{_why_none(verdicts)}")
    placement = scene.plan.get(ref)
    free = [one for one in able if one.verdict == "free"]
    count = f"{len(able)} of {len(verdicts)} node{'s' if len(verdicts) != 1 else ''} can run it"
    if placement is None:
        return Waiting("decision", f"is about to be placed: {count}", nodes=tuple(one.node for one in able))
    wish = _wish(view, placement.option) + raised
    starts = expected_free(ref, scene)
    when = f", expected free {between(scene.now, starts.p10, starts.p90)}" if starts else ""
    planned = next((one for one in able if one.node == placement.node), None)
    coming = next((one for one in growing if one.node == placement.node), None)
    if coming is not None:
        why = _why_not(able, view)
        return Waiting("growth", f"waits for a new node: it needs {wish}; {coming.reason}{why}", nodes=(coming.node,))
    higher = _of_higher_priority(ref, scene)
    if higher:
        said = f"{len(higher)} runs" if len(higher) > 1 else higher[0]
        text = f"waits behind {said} of higher priority for room on {placement.node}{when}: it needs {wish}; {count}"
        return Waiting("priority", text, nodes=(placement.node,))
    text = f"waits for room on {placement.node}{when}: it needs {wish}; {count}"
    if planned is not None and planned.verdict == "free":
        if placement.planned_start_at is not None and placement.planned_start_at <= scene.now:
            return Waiting("decision", f"is about to be placed on {placement.node}: {count}", nodes=(placement.node,))
        return Waiting(
            "kept",
            f"waits for {placement.node}, whose room is kept for a task before it{when}; {count}",
            nodes=(placement.node,),
        )
    who = _busy_with(ref, planned, scene)
    if not free:
        text += (
            f", and {placement.node} is busy{who}"
            if len(able) == 1
            else f", all busy{who and f', {placement.node}{who}'}"
        )
        return Waiting("capacity", text, nodes=(placement.node,))
    text += f"; {placement.node} is busy{who}" if who else ""
    return Waiting("capacity", text + _slower(free[0], planned), nodes=(placement.node,))


def _wish(view: WaitingTask, option: str | None) -> str:
    """What a task asks for where it is to run, with the name of its option if it has several."""
    chosen = view.option(option)
    return requests_text(chosen) + (f" with option {chosen.name}" if len(view.options) > 1 else "")


def _busy_with(ref: TaskRef, planned: NodeVerdict | None, scene: Scene) -> str:
    """Whose tasks hold what is too little on the planned node, as the end of a sentence; empty if nobody is seen to."""
    lacking = [short.request for short in planned.missing] if planned is not None else []
    found: dict[str, None] = {}
    for one in scene.snapshot.occupancies:
        if planned is None or one.node != planned.node or (one.run_id, one.task) == (ref[0], str(ref[1])):
            continue
        if any(amount(one.requests, what) for what in lacking):
            own = "other tasks of its run" if one.run_id == ref[0] else one.run_id
            found.setdefault(own or "what is not placed here")
    return f" with {names(sorted(found, key=lambda who: (' ' in who, who)))}" if found else ""


def _at_platform(ref: TaskRef, node: str | None, verdicts: Sequence[NodeVerdict], scene: Scene) -> str:
    """What the nodes say to a task that the platform does not start, as the end of a sentence."""
    if not verdicts:
        return ""
    if all(one.verdict == "never" for one in verdicts):
        return f"; no node can run it{_why_none(verdicts)}"
    able = [one for one in verdicts if one.verdict in ("free", "busy")]
    planned = next((one for one in able if node is None or one.node == node), None)
    who = _busy_with(ref, planned, scene) if planned is not None and planned.verdict == "busy" else ""
    free = [one.node for one in able if one.verdict == "free" and one.node != node]
    text = f"; {planned.node} is busy{who}" if planned is not None and who else ""
    return f"{text}; {names(free)} {'has' if len(free) == 1 else 'have'} room" if free and planned is not None else text


def _of_higher_priority(ref: TaskRef, scene: Scene) -> list[str]:
    """The runs whose waiting tasks get the task's node before it; none where one of these has no higher priority."""
    mine, priority = scene.plan[ref], scene.priorities.get(ref[0], 0)
    if mine.planned_start_at is None:
        return []
    before = {
        other.run_id
        for other in scene.plan.values()
        if other.node == mine.node
        and other.planned_start_at is not None
        and other.planned_start_at < mine.planned_start_at
        and (other.run_id, other.key) in scene.positions
    }
    is_all = all(scene.priorities.get(run, 0) > priority for run in before)
    return sorted(before) if is_all else []


def _why_not(able: Sequence[NodeVerdict], view: WaitingTask) -> str:
    """Why a task waits for a node that is not there, although others can run it."""
    failed = [one.node for one in able if one.node in view.avoid_nodes]
    others = [one.node for one in able if one.node not in view.avoid_nodes and one.verdict == "free"]
    text = f"; on {names(failed)} an attempt failed before" if failed else ""
    return f"{text}; {names(others)} {'is' if len(others) == 1 else 'are'} free" if others else text


def _slower(free: NodeVerdict, planned: NodeVerdict | None) -> str:
    """Why a node that is free is not taken, where run times tell."""
    if planned is None or not planned.seconds_p50 or not free.seconds_p50:
        return f"; {free.node} is free"
    ratio = free.seconds_p50 / planned.seconds_p50
    if ratio < MUCH_SLOWER:
        return f"; {free.node} is free"
    return f"; {free.node} is free, but {ratio:.1f} times slower ({span(free.seconds_p50)})"


def _why_none(verdicts: Sequence[NodeVerdict]) -> str:
    return f" ({why_none(verdicts)})" if verdicts else ": the cluster has no nodes"


def why_none(verdicts: Sequence[NodeVerdict]) -> str:
    """What the nodes say, those with the same answer together; only the first answers where these are many."""
    by_reason: dict[str, list[str]] = {}
    for one in verdicts:
        by_reason.setdefault(one.reason, []).append(one.node)
    said = [f"{names(nodes)}: {reason}" for reason, nodes in list(by_reason.items())[:MOST_ANSWERS]]
    return "; ".join(said) + ("; …" if len(by_reason) > MOST_ANSWERS else "")


def _lower(verdicts: Sequence[NodeVerdict]) -> tuple[Action, ...]:
    """The smallest change of the request that would let a node take it."""
    nearest = min(
        (one for one in verdicts if one.kind == "request" and one.missing),
        key=lambda one: sum(short.asks / max(short.has, 1) for short in one.missing),
        default=None,
    )
    if nearest is None or any(short.has == 0 for short in nearest.missing):
        return ()
    most = " and ".join(amount_text(short.request, short.has) for short in nearest.missing)
    return (Action(f"Ask for at most {most}, and {nearest.node} can run it."),)


def _state(run: Run, key: TaskKey) -> TaskState | None:
    task = run.tasks.get(key)
    return task.state if task else None


__all__ = ["ACCEPT", "expected_free", "goes_first", "offer", "what_it_waits_for", "what_to_do", "why_none"]
