"""What is told counts from the instant at which it is asked, whenever the picture behind it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlopx.spec import SPEC_VERSION, Accelerator, Component, FunctionCode, Option, PipelineSpec, Task
from mlopx.spec import Resources as AskedResources
from server.components.explaining.explainer import Explainer
from server.components.explaining.track import ForecastTrack
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.node import Node, Occupancy, Snapshot
from server.domain.placement import Estimates, Placement, WaitingRun
from server.domain.request import one_cpu_defaults
from server.domain.resources import Resources
from server.domain.run import Attempt, Offer, Run, RunOptions, TaskError, TaskKey, TaskRun
from server.domain.states import Binding, RunState, TaskState
from server.testing.contracts.placement_requests import NOW, a_node, some_estimates

KEY = TaskKey("fit")


def a_live_run(*attempts: Attempt, options: Sequence[Option] = ()) -> Run:
    code = FunctionCode(source="def fit():\n    pass\n", entrypoint="fit")
    spec = PipelineSpec(
        version=SPEC_VERSION,
        name="flow",
        components={"fit": Component(name="fit", code=code)},
        tasks={"fit": Task(component="fit", options=tuple(options))},
    )
    run = start_run("r", compile_graph(spec), parameters={}, options=RunOptions(), at=NOW).run
    return replace(run, tasks={KEY: TaskRun(KEY, attempts)})


class Stage:
    """A server of one run, whose clock stands until it is moved."""

    def __init__(
        self,
        run: Run,
        *nodes: Node,
        planned_on: str | None = None,
        option: str = "default",
        held: Sequence[Occupancy] = (),
    ) -> None:
        self.at, self.run = NOW, run
        snapshot = Snapshot(NOW, nodes or (a_node("only", cpus=0.5),), tuple(held))
        plan = {} if planned_on is None else {("r", KEY): Placement("r", KEY, planned_on, option)}
        scheduler = SimpleNamespace(now=lambda: self.at, queue=list, plan=plan, answered_by="s")
        parts: dict[str, Any] = {
            "journal": SimpleNamespace(run=self._run, live=lambda: [self.run]),
            "store": SimpleNamespace(decisions=lambda run, task=None: []),
            "node_manager": SimpleNamespace(current=lambda: snapshot),
            "scheduler": scheduler,
        }
        self.explainer = Explainer(
            **cast(Any, parts), estimate=self._estimate, defaults=one_cpu_defaults, track=ForecastTrack()
        )

    async def _run(self, run_id: str) -> Run:
        assert run_id == self.run.id
        return self.run

    def _estimate(self, runs: Sequence[WaitingRun], nodes: Sequence[Node]) -> Estimates:
        return some_estimates(list(nodes), list(runs), 60)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def test_a_delay_is_never_told_longer_than_it_is() -> None:
    stage = Stage(a_live_run(Attempt(1, TaskState.READY)))
    await stage.explainer.run("r")
    stage.at = later(0.9)
    stage.run = a_live_run(Attempt(2, TaskState.READY, not_before=later(2.9)))
    told = await stage.explainer.task("r", KEY)
    assert told.sentence == "fit failed before, and waits 2.0 s more until it is tried again."
    assert (await stage.explainer.run("r")).tasks[0].sentence == told.sentence


async def test_how_long_a_task_runs_counts_until_now() -> None:
    running = Attempt(1, TaskState.RUNNING, node="only", actual_node="only", placed_at=NOW, started_at=NOW)
    stage = Stage(a_live_run(running))
    await stage.explainer.run("r")
    stage.at = later(0.9)
    told = await stage.explainer.run("r")
    assert told.at == stage.at
    assert told.tasks[0].sentence.startswith("fit runs on only since 14:00:00 UTC (0.9 s)")
    assert told.why_no_eta.startswith("no end is predicted yet: fit has never run here")
    assert [one.command for one in told.actions] == ["mlopx plan"]


async def test_who_waits_for_a_new_node_though_others_are_free_is_told_why() -> None:
    grown = a_node("rented", is_virtual=True, group="rented", startup_seconds=60)
    failed = Attempt(1, TaskState.FAILED, node="a", actual_node="a", placed_at=NOW, started_at=NOW)
    run = a_live_run(failed, Attempt(2, TaskState.READY))
    stage = Stage(run, a_node("a"), grown, planned_on="rented")
    told = await stage.explainer.task("r", KEY)
    assert told.waiting is not None
    assert told.waiting.kind == "growth"
    assert told.sentence == (
        "fit waits for a new node: it needs 1 CPU; a node that group rented could add, in about 60 s; "
        "on a an attempt failed before: `mlopx accept r fit --node a`."
    )
    free = Stage(a_live_run(Attempt(1, TaskState.READY)), a_node("a"), grown, planned_on="rented")
    assert "; a is free: `mlopx accept" in (await free.explainer.task("r", KEY)).sentence


async def test_who_keeps_a_node_busy_is_named_and_what_can_be_done_is_told_of_the_run_too() -> None:
    half, memory = Resources(cpu_millicores=600), Resources(memory_bytes=1)
    held = [Occupancy("a", half, "b-run", "x"), Occupancy("a", half), Occupancy("a", half, "r", "y")]
    stage = Stage(a_live_run(Attempt(1, TaskState.READY)), a_node("a", cpus=2), planned_on="a", held=held)
    told = await stage.explainer.run("r")
    who = "b-run, other tasks of its run and what is not placed here"
    assert f"1 of 1 node can run it, and a is busy with {who}" in told.sentence
    assert [one.command for one in told.actions] == ["mlopx plan --add-node a", "mlopx plan --priority r=10"]
    others = [
        *held[:1],
        Occupancy("a", Resources(cpu_millicores=900), "c-run", "x"),
        Occupancy("a", memory, "d-run", "x"),
    ]
    both = Stage(a_live_run(Attempt(1, TaskState.READY)), a_node("a", cpus=2), a_node("b"), planned_on="a", held=others)
    assert "; a is busy with b-run and c-run; b is free" in (await both.explainer.run("r")).sentence


async def test_of_several_options_the_one_that_is_planned_is_said_to_be_needed() -> None:
    small = AskedResources(cpu_millicores=1000, memory_bytes=2**29)
    ways = [
        Option(name="gpu", resources=AskedResources(accelerator=Accelerator(accelerator="gpu"))),
        Option(name="cpu", resources=small),
    ]
    run = a_live_run(Attempt(1, TaskState.READY), options=ways)
    held = [Occupancy("a", Resources(cpu_millicores=600), "b-run", "x")]
    told = await Stage(run, a_node("a", cpus=1), planned_on="a", option="cpu", held=held).explainer.task("r", KEY)
    assert told.sentence == (
        "fit waits for room on a: it needs 1 CPU and 512 MiB with option cpu; 1 of 1 node can run it, and a is busy "
        "with b-run."
    )
    none = await Stage(run, a_node("a", cpus=0.5)).explainer.task("r", KEY)
    assert "it needs 1 CPU and 1 gpu, or 1 CPU and 512 MiB, and no node can run it" in none.sentence


async def test_how_the_attempt_before_ended_is_told_while_the_next_waits() -> None:
    ran_out = TaskError("oom", "it used more than 64 MiB\nand more")
    failed = Attempt(1, TaskState.FAILED, node="only", actual_node="only", started_at=NOW, error=ran_out)
    stage = Stage(a_live_run(failed, Attempt(2, TaskState.READY, not_before=later(5))))
    told = await stage.explainer.run("r")
    assert "fit failed before (it used more than 64 MiB), and waits 5.0 s more until it is tried again" in told.sentence
    assert [one.command for one in told.actions] == ["mlopx logs r fit"]
    stage = Stage(a_live_run(failed, Attempt(2, TaskState.READY)), a_node("a", cpus=0.5), planned_on="a")
    needs = "it needs 1 CPU, more memory than before, since it ran out of that, and no node can run it"
    assert needs in (await stage.explainer.run("r")).sentence


async def test_what_can_be_done_about_a_failed_run_is_told() -> None:
    failed = Attempt(
        1, TaskState.FAILED, node="only", actual_node="only", started_at=NOW, error=TaskError("user", "no")
    )
    stage = Stage(replace(a_live_run(failed), state=RunState.FAILED, error="fit failed"))
    commands = [one.command for one in (await stage.explainer.run("r")).actions]
    assert commands == ["mlopx logs r fit", "mlopx retry r --from fit"]


def stuck(node: str | None) -> Run:
    """Handed over, and not started for a reason that Kubernetes gives."""
    state = TaskState.QUEUED
    run = a_live_run(Attempt(1, state, node=node, placed_at=NOW, queued_at=NOW))
    task = replace(run.tasks[KEY], hold="unschedulable: 0/2 nodes are available.")
    return replace(run, tasks={KEY: task}, state=RunState.DISPATCHED, dispatched_at=NOW)


async def test_what_a_platform_does_not_start_is_told_with_what_the_nodes_say_and_what_can_be_done() -> None:
    cpu = Resources(cpu_millicores=1000)
    held = [Occupancy("a", cpu, "b-run", "x"), Occupancy("a", cpu, "r", str(KEY))]
    stage = Stage(stuck("a"), a_node("a", cpus=1), a_node("b"), held=held)
    told = await stage.explainer.run("r")
    said = "fit waits for the platform to start it on a, since 14:00:00 UTC: unschedulable: 0/2 nodes are available"
    assert told.tasks[0].sentence == f"{said}; a is busy with b-run; b has room."
    assert [one.command for one in told.actions] == ["mlopx nodes", "mlopx cancel r"]
    alone = Stage(stuck("a"), a_node("a", cpus=1), held=held[1:])
    assert (await alone.explainer.run("r")).tasks[0].sentence == f"{said}.", "it does not stand in its own way"


async def test_what_no_node_can_run_is_told_though_the_platform_has_it() -> None:
    stage = Stage(stuck(None), a_node("a", cpus=0.5))
    told = await stage.explainer.run("r")
    assert "; no node can run it (a: too little cpu (asks 1, the node has 0.5))." in told.tasks[0].sentence
    assert told.actions[0].text == "Ask for at most 0.5 CPUs, and a can run it."


async def test_an_offered_placement_is_what_can_be_done_first() -> None:
    offered = replace(stuck("a"), offer=Offer(NOW, {"fit": "b"}, "it waits in vain"))
    stage = Stage(offered, a_node("a", cpus=1), a_node("b"))
    (action,) = (await stage.explainer.run("r")).actions
    assert (action.text, action.command) == ("Place it anew: fit on b could start now.", "mlopx replace r")


WHOLE = RunOptions(binding=Binding.AT_SUBMISSION)
HELD = "held for room on node a, expected at 14:05 UTC; expected gain: 0 s; it goes at 14:10:00 UTC at the latest"


@pytest.mark.parametrize(
    ("hold", "not_before", "dispatched_at", "kind", "said"),
    [
        (HELD, None, None, "capacity", f"fit is {HELD}."),
        ("waits for the quota all", None, None, "cluster", "fit waits for the quota all."),
        ("it did not take it", 5, None, "backoff", "fit it did not take it; it is sent again in 5.0 s."),
        ("it may have it", 5, NOW, "backoff", "fit it may have it; it is looked for there again in 5.0 s."),
        ("", None, NOW, "platform", "fit is being handed over to the platform with its run."),
        ("", None, None, "decision", "fit is about to be placed: 1 of 1 node can run it."),
    ],
)
async def test_why_a_run_waits_that_is_handed_over_whole(
    hold: str, not_before: float | None, dispatched_at: datetime | None, kind: str, said: str
) -> None:
    first = Attempt(1, TaskState.PENDING, not_before=None if not_before is None else later(not_before))
    run = replace(a_live_run(first), options=WHOLE, dispatched_at=dispatched_at)
    stage = Stage(replace(run, tasks={KEY: replace(run.tasks[KEY], hold=hold)}), a_node("a"))
    told = (await stage.explainer.run("r")).tasks[0]
    assert told.waiting is not None
    assert (told.waiting.kind, told.sentence) == (kind, said)


async def test_a_run_that_is_left_out_is_told_to_be_with_who_holds_what_it_needs() -> None:
    run = replace(stuck(None), options=replace(WHOLE, is_holdout=True))
    held = [Occupancy("a", Resources(cpu_millicores=1000), "b-run", "x")]
    told = await Stage(run, a_node("a", cpus=1), held=held).explainer.run("r")
    said = "fit waits for the platform to find a node for it, to which its run is left (holdout), since 14:00:00 UTC"
    assert told.tasks[0].sentence == f"{said}: unschedulable: 0/2 nodes are available; a is busy with b-run."
