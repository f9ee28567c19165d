"""The picture that explanations of one moment share: nodes, estimates, the latest plan, and when everything will end.

Made at most once a second, however many ask. Building it is plain computing; the explainer does it in a thread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from server.components.explaining.sequence import in_sequence
from server.components.explaining.to_come import in_their_turn, with_places
from server.components.explaining.values import Band
from server.components.forecasting.whole_run import (
    UNKNOWN_WIDTHS,
    LoopWidths,
    keys_to_come,
    loops_counted,
    open_loops,
    with_coming,
)
from server.components.placer_registry import takes_turns
from server.domain.instants import after
from server.domain.network import NodeNetwork
from server.domain.node import Node, Snapshot
from server.domain.placement import DEFAULT_OPTION, Estimate, Estimates, Placement, TaskRef, WaitingRun, WaitingTask
from server.domain.request import Defaults, waiting_run, waiting_task
from server.domain.run import Attempt, Run
from server.domain.starting import OWN_IMAGE, Wait
from server.domain.states import BOUND, TaskState
from server.planning.forecast import Forecast, Percentiles, forecast
from server.planning.steps import SMALLEST_SPREAD, Z90, Move, Step

FROM_HISTORY = re.compile(r"^from \d+ runs?\b")
"""How an estimate's source begins when it stands on past runs."""

NO_END_YET = "no end is predicted yet"
GUESSED = f"{NO_END_YET}: {{task}} has never run here, so its run time is a guess"
VAGUE = f"{NO_END_YET}: past runs of {{task}} tell too little of how long it takes this time"
UNPLANNED = "no end is predicted: a part of it has no place in the plan yet"
GROWING = "no end is predicted: it waits for a node that is not there yet"

UNEXPANDED = "no end is predicted: how often a loop of it runs is not known yet, and no earlier run tells"

WIDEST_BAND, LEAST_SECONDS = 10.0, 60.0
"""Where the long run times of a task's band are more than so many times the short ones, and by that much, past runs say
too little: one run with equal inputs on the same node says enough, one with a fiftieth of the inputs does not."""

SHORTEST_WAIT = 0.1
NOT_BEGUN = Attempt(1)
UNKNOWN = Estimate(60.0, 10.0, 360.0, "a guess")
MOST_STEPS = 20_000
MOST_COMING = 2_000
"""Of a run that would bring more tasks no end is told before they are there."""

EstimateAll = Callable[[Sequence[WaitingRun], Sequence[Node]], Estimates]


@dataclass(frozen=True, slots=True)
class Scene:
    """What explanations stand on.

    Attributes:
        estimates: of every option of every task that waits or runs, on every node.
        plan: where the latest cycle would place what still waits.
        positions: place in the queue, from 1.
        starts, ends, run_ends: predicted instants by task and by run.
        runs: the runs in the picture.
        silent: runs whose starts and ends are not shown, with the reason.
        assumed: what the end of a run stands on besides run times: how often loops run whose items are not known yet.
        waits_for: by task, those that must end before it starts.
        last: by run, the task that comes after all others that it has yet; runs with several such tasks have none.
    """

    now: datetime
    snapshot: Snapshot
    estimates: Estimates
    plan: Mapping[TaskRef, Placement]
    positions: Mapping[TaskRef, int]
    starts: Mapping[TaskRef, Band]
    ends: Mapping[TaskRef, Band]
    run_ends: Mapping[str, Band]
    runs: frozenset[str]
    silent: Mapping[str, str]
    strategy: str
    priorities: Mapping[str, int] = field(default_factory=dict)
    assumed: Mapping[str, str] = field(default_factory=dict)
    waits_for: Mapping[TaskRef, Sequence[TaskRef]] = field(default_factory=dict)
    last: Mapping[str, TaskRef] = field(default_factory=dict)

    def shown_ends(self) -> dict[str, Band]:
        """The ends of runs that are shown."""
        return {run: band for run, band in self.run_ends.items() if run not in self.silent}


def make_scene(
    runs: Sequence[Run],
    *,
    now: datetime,
    snapshot: Snapshot,
    plan: Mapping[TaskRef, Placement],
    positions: Mapping[TaskRef, int],
    strategy: str,
    estimate: EstimateAll,
    defaults: Defaults,
    network: NodeNetwork | None = None,
    widths: Mapping[str, LoopWidths] | None = None,
) -> Scene:
    """Put the picture together. `widths`: by run, how many items its open loops had in an earlier run."""
    counted = {run.id: widths[run.id] for run in runs if widths and run.id in widths}
    views, coming, unexpanded = _whole(runs, defaults, counted)
    attempts, known = attempts_of(runs), {(run.id, key) for run in runs for key in run.tasks}
    estimates = estimate(views, snapshot.nodes)
    network = network.among(snapshot.nodes) if network is not None else None
    placed = with_places(plan, coming, views, attempts, estimates, snapshot, now) if coming else plan
    if coming or takes_turns(strategy):
        told = in_sequence(placed, views, attempts, estimates, snapshot, now)
        placed = told if takes_turns(strategy) else in_their_turn(placed, coming, views, told)
    found = list(steps_of(attempts, views, now, placed, estimates, network))[:MOST_STEPS]
    steps = [step for step, _ in found]
    groups = groups_of(steps)
    seen = forecast(steps, groups, seed=0, network=network) if steps else Forecast({}, {}, {})
    planned = {step.key for step in steps}
    virtual = {node.name for node in snapshot.nodes if node.is_virtual}
    silent = {run.run_id: UNPLANNED for run in views for task in run.tasks if task.ref not in planned}
    silent |= dict.fromkeys(unexpanded, UNEXPANDED)
    silent |= {step.key[0]: GROWING for step in steps if step.node in virtual}
    guessed, vague = doubtful(found)
    silent = vague | silent | guessed
    return Scene(
        now=now,
        snapshot=snapshot,
        estimates=estimates,
        plan={ref: one for ref, one in placed.items() if ref not in coming},
        positions=positions,
        starts=_bands({ref: one for ref, one in seen.starts.items() if ref in known}, now),
        ends=_bands({ref: one for ref, one in seen.ends.items() if ref in known}, now),
        run_ends={run: band_at(found, now) for run, found in seen.group_ends.items()},
        runs=frozenset(run.id for run in runs),
        silent=silent,
        strategy=strategy,
        priorities={run.id: run.options.priority for run in runs},
        assumed={
            run.id: said
            for run in runs
            if run.id in counted and run.id not in unexpanded and (said := loops_counted(run, counted[run.id]))
        },
        waits_for={step.key: step.waits_for for step in steps if step.waits_for},
        last=last_of(steps),
    )


def _whole(
    runs: Sequence[Run], defaults: Defaults, widths: Mapping[str, LoopWidths]
) -> tuple[list[WaitingRun], frozenset[TaskRef], set[str]]:
    """The runs with what they still bring, which of that is to come, and runs of which that is not known."""
    views, coming, unexpanded = list[WaitingRun](), set[TaskRef](), set[str]()
    for run in runs:
        view, known = with_bound(run, defaults), widths.get(run.id, UNKNOWN_WIDTHS)
        keys = list(islice(keys_to_come(run, known), MOST_COMING + 1))
        if len(keys) > MOST_COMING or any(loop not in known.items for loop in open_loops(run)):
            unexpanded.add(run.id)
        elif keys or open_loops(run):
            view = with_coming(run, view, defaults, known)
            coming.update((run.id, key) for key in keys)
        views.append(view)
    return views, frozenset(coming), unexpanded


def with_bound(run: Run, defaults: Defaults) -> WaitingRun:
    """The run with its placed and running tasks among the tasks, so that these are estimated too."""
    view = waiting_run(run, defaults)
    bound = [waiting_task(run, task, defaults) for task in run.tasks.values() if task.state in BOUND]
    return replace(view, tasks=(*view.tasks, *bound), bound=())


def attempts_of(runs: Sequence[Run]) -> dict[TaskRef, Attempt]:
    """The current attempt of every task."""
    return {(run.id, key): task.current for run in runs for key, task in run.tasks.items()}


def estimate_of(task: WaitingTask, node: str, option: str, estimates: Estimates) -> Estimate | None:
    """The prediction for one task on one node, if there is one."""
    row = estimates.profile_of.get((task.run_id, task.key, option))
    column = estimates.column_of.get(node)
    return None if row is None or column is None else estimates.table[row][column]


def is_from_history(source: str) -> bool:
    """Whether an estimate stands on past runs, rather than on hints or on nothing."""
    return FROM_HISTORY.match(source) is not None


def doubtful(found: Iterable[tuple[Step, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Runs of whose end nothing should be said, by the estimates of their tasks and these estimates' sources, with the
    reason: those of which a run time is guessed, and those of which past runs say too little."""
    guessed, vague = dict[str, str](), dict[str, str]()
    for step, source in found:
        run_id, key = step.key
        if not is_from_history(source):
            guessed.setdefault(run_id, GUESSED.format(task=key))
        elif step.p90 > WIDEST_BAND * step.p10 and step.p90 - step.p10 > LEAST_SECONDS:
            vague.setdefault(run_id, VAGUE.format(task=key))
    return guessed, vague


def steps_of(
    attempts: Mapping[TaskRef, Attempt],
    views: Sequence[WaitingRun],
    now: datetime,
    plan: Mapping[TaskRef, Placement],
    estimates: Estimates,
    network: NodeNetwork | None = None,
) -> Iterable[tuple[Step, str]]:
    """What runs and what is planned, as steps from now, each with its estimate's source."""
    places = {
        task.ref: _place(attempts.get(task.ref, NOT_BEGUN), plan.get(task.ref)) for view in views for task in view.tasks
    }
    for view in views:
        for task in view.tasks:
            attempt = attempts.get(task.ref, NOT_BEGUN)
            node, option = places[task.ref]
            start, finish = attempt.started_at or now, attempt.planned_finish_at
            placement = None if attempt.state.is_bound else plan.get(task.ref)
            if placement is not None:
                start, finish = placement.planned_start_at or now, placement.planned_finish_at
            if node is None:
                continue
            band = estimate_of(task, node, option, estimates) or UNKNOWN
            begins = (start - now).total_seconds()
            is_running = attempt.state is TaskState.RUNNING
            fetches = attempt.queued_at if attempt.state.is_bound and not is_running else None
            starts, image = estimates.starts, task.option(option).image
            before = () if is_running else starts.waits(image, node)
            is_pulled = not is_running and starts.is_pulled(image, node)
            step = Step(
                key=task.ref,
                node=node,
                start=begins if is_running else max(begins, 0.0),
                finish=(finish - now).total_seconds()
                if finish
                else begins + band.p50 + sum(wait.p50 for wait in before),
                p10=band.p10,
                p50=band.p50,
                p90=band.p90,
                waits_for=tuple((task.run_id, key) for key in task.waits_for),
                is_running=is_running,
                moves=() if network is None or is_running else tuple(_moves(task, view, node, places, network)),
                fetches_since=(fetches - now).total_seconds() if fetches else None,
                begins_p50=sum(wait.p50 for wait in before),
                begins_spread=_spread(before),
                pulls=(image or OWN_IMAGE) if is_pulled else None,
                brought_p50=sum(wait.p50 for wait in starts.waits(image, node, is_brought=True)) if is_pulled else 0.0,
            )
            yield step, band.source


def _spread(waits: Sequence[Wait]) -> float:
    """Standard deviation of the logarithm of their sum, as if all were long at the same time."""
    low, high = (max(sum(getattr(wait, name) for wait in waits), SHORTEST_WAIT) for name in ("p10", "p90"))
    return max(math.log(high / low) / (2 * Z90), SMALLEST_SPREAD)


def _place(attempt: Attempt, placement: Placement | None) -> tuple[str | None, str]:
    """Where a task runs, or would by the plan, and with which option."""
    if attempt.state.is_bound or placement is None:
        return (
            attempt.actual_node or attempt.node
        ) if attempt.state.is_bound else None, attempt.option or DEFAULT_OPTION
    return placement.node, placement.option


def _moves(
    task: WaitingTask,
    view: WaitingRun,
    node: str,
    places: Mapping[TaskRef, tuple[str | None, str]],
    network: NodeNetwork,
) -> Iterable[Move]:
    """What the task has to fetch to its node: outputs that lie elsewhere, or will, and data sets."""
    for key, size in task.edge_bytes.items():
        source = view.finished_on.get(key) or places.get((view.run_id, key), (None, ""))[0]
        if source is not None and source != node and size > 0:
            yield Move(source, size)
    for dataset in task.datasets:
        if node not in dataset.nodes:
            yield Move("", dataset.size_bytes, network.arrival(dataset, node))


def groups_of(steps: Sequence[Step]) -> dict[str, list[TaskRef]]:
    """Steps by run."""
    found: dict[str, list[TaskRef]] = {}
    for step in steps:
        found.setdefault(step.key[0], []).append(step.key)
    return found


def last_of(steps: Sequence[Step]) -> dict[str, TaskRef]:
    """By run the step that comes after all its others; runs with several that nothing comes after have none."""
    before = {key for step in steps for key in step.waits_for}
    ends = groups_of([step for step in steps if step.key not in before])
    return {run: found[0] for run, found in ends.items() if len(found) == 1}


def _bands(found: Mapping[TaskRef, Percentiles], now: datetime) -> dict[TaskRef, Band]:
    return {key: band_at(one, now) for key, one in found.items()}


def band_at(found: Percentiles, now: datetime) -> Band:
    """The instants of a band of seconds from now."""
    low, middle, high = (after(now, one) for one in (found.p10, found.p50, found.p90))
    return Band(low, middle, high)


__all__ = [
    "NO_END_YET",
    "EstimateAll",
    "Scene",
    "attempts_of",
    "band_at",
    "doubtful",
    "estimate_of",
    "groups_of",
    "is_from_history",
    "last_of",
    "make_scene",
    "steps_of",
    "with_bound",
]
