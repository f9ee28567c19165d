"""Ends of runs with loops whose items are not known yet: counted as in an earlier run, and said to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mlopx.spec import SPEC_VERSION, PipelineSpec
from server.components.explaining.calibrating import calibrated
from server.components.explaining.explainer import _run_sentence
from server.components.explaining.scene import UNEXPANDED, UNPLANNED, Scene, make_scene
from server.components.explaining.track import ForecastTrack
from server.components.forecasting.whole_run import LoopWidths
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.node import Node, Snapshot
from server.domain.placement import Estimate, Estimates, Placement, TaskRef, WaitingRun
from server.domain.request import one_cpu_defaults
from server.domain.resources import Resources
from server.domain.run import Expansion, Run, RunOptions, TaskKey
from server.testing.contracts.placement_requests import NOW

LOOP, BEFORE = "loop-1", "flow-before"
SECONDS = 60.0


def a_run(*, width: int | None = None, exit_task: bool = False, node: str | None = None) -> Run:
    """`propose`, then `fit` in a loop over its output, then `choose`; each takes a minute and a CPU."""
    code = {"kind": "function", "source": "def work():\n    return []\n", "entrypoint": "work"}
    items = {"kind": "output", "task": "propose", "port": "output"}
    document: dict[str, Any] = {
        "version": SPEC_VERSION,
        "name": "flow",
        "components": {
            "work": {"name": "work", "code": code, "outputs": {"output": {"kind": "parameter", "type": "list"}}}
        },
        "scopes": {LOOP: {"kind": "loop", "items": items, **({"width": width} if width else {})}},
        "tasks": {
            "propose": {"component": "work"},
            "fit": {"component": "work", "scope": LOOP, "after": ["propose"], **({"node": node} if node else {})},
            "choose": {"component": "work", "after": ["fit"]},
            **({"tell": {"component": "work"}} if exit_task else {}),
        },
        **({"exit_task": "tell"} if exit_task else {}),
    }
    graph = compile_graph(PipelineSpec.model_validate(document))
    return start_run("r", graph, parameters={}, options=RunOptions(), at=NOW).run


def minutes(views: Sequence[WaitingRun], nodes: Sequence[Node]) -> Estimates:
    refs = [(task.run_id, task.key, option.name) for view in views for task in view.tasks for option in task.options]
    row = [Estimate(SECONDS, SECONDS - 1, SECONDS + 1, "from 3 runs here")] * len(nodes)
    return Estimates(
        table=[row], profile_of=dict.fromkeys(refs, 0), column_of={node.name: at for at, node in enumerate(nodes)}
    )


def scene_of(run: Run, widths: Mapping[str, int] | None, strategy: str = "online") -> Scene:
    """One after the other on the first of two nodes with two CPUs each, as strategies plan that know no iterations."""
    nodes = tuple(Node(name, Resources.of(cpu_millicores=2000, pods=10)) for name in ("one", "two"))
    waiting = [key for key in run.tasks if not run.tasks[key].state.is_end]
    plan: dict[TaskRef, Placement] = {}
    for index, key in enumerate(waiting):
        start = NOW + timedelta(seconds=index * SECONDS)
        placed = Placement(run.id, key, "one", planned_start_at=start, planned_finish_at=start)
        plan[run.id, key] = replace(placed, planned_finish_at=start + timedelta(seconds=SECONDS))
    return make_scene(
        [run],
        now=NOW,
        snapshot=Snapshot(NOW, nodes),
        plan=plan,
        positions={},
        strategy=strategy,
        estimate=minutes,
        defaults=one_cpu_defaults,
        widths={} if widths is None else {run.id: LoopWidths(widths, BEFORE)},
    )


def end_of(scene: Scene) -> float:
    return (scene.run_ends["r"].p50 - NOW).total_seconds()


@pytest.mark.parametrize("strategy", ["online", "fifo_greedy"])
@pytest.mark.parametrize(("items", "rounds"), [(1, 1), (4, 1), (5, 2), (8, 2), (0, 0)])
def test_iterations_count_as_in_the_last_run_where_there_is_room(strategy: str, items: int, rounds: int) -> None:
    scene = scene_of(a_run(), {LOOP: items}, strategy)
    assert scene.silent == {}
    assert end_of(scene) == pytest.approx((2 + rounds) * SECONDS, rel=0.05)
    assert scene.assumed["r"] == f"its loop runs {'once' if items == 1 else f'{items} times'}, as in {BEFORE}"
    assert {str(key) for _, key in scene.ends} == {"propose", "choose"}
    assert (scene.starts["r", TaskKey("choose")].p50 - NOW).total_seconds() >= (1 + rounds) * SECONDS * 0.95


def test_a_width_lets_iterations_wait_for_each_other() -> None:
    assert end_of(scene_of(a_run(width=1), {LOOP: 4})) == pytest.approx(6 * SECONDS, rel=0.05)


def test_without_an_earlier_run_no_end_is_told() -> None:
    scene = scene_of(a_run(), None)
    assert (scene.silent, scene.assumed) == ({"r": UNEXPANDED}, {})
    assert scene_of(a_run(), {"loop-9": 3}).silent == {"r": UNEXPANDED}


def test_known_iterations_are_not_assumed() -> None:
    run = a_run()
    run = replace(run, expansions={LOOP: Expansion(())})
    assert scene_of(run, {LOOP: 7}).assumed == {}


def test_the_exit_task_counts() -> None:
    run = replace(a_run(exit_task=True), expansions={LOOP: Expansion(())})
    scene = scene_of(run, None)
    assert scene.silent == {}
    assert end_of(scene) == pytest.approx(3 * SECONDS, rel=0.05)


def test_iterations_that_no_node_can_run_have_no_end() -> None:
    assert scene_of(a_run(node="three"), {LOOP: 2}).silent == {"r": UNPLANNED}


def test_what_stands_on_an_assumption_is_not_judged() -> None:
    track = ForecastTrack()
    scene = scene_of(a_run(), {LOOP: 2})
    assert calibrated(scene, track, scene.silent).run_ends["r"].p50 == scene.run_ends["r"].p50
    track.came("run-ends", ("r", None), NOW + timedelta(hours=9))
    assert all(one.asked == 0 for one in track.reliabilities())


def test_the_sentence_names_what_the_end_stands_on() -> None:
    run = a_run()
    scene = scene_of(run, {LOOP: 2})
    assert _run_sentence(run, [], scene.run_ends["r"], scene).endswith(f", if its loop runs 2 times, as in {BEFORE}.")
