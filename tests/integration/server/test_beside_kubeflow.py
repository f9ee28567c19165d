"""The server as its settings compose it, in this process, beside the Kubeflow double: what a setting says, happens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mlopx import component, pipeline
from server.api.services import Services
from server.bootstrap import running
from server.components.pipeline_manager import Submission
from server.domain.events import RunPlaced
from server.domain.run import Run
from server.domain.states import TaskState
from server.platforms.interface import ForeignFile
from server.platforms.kubeflow.observer import read_observed
from server.settings import Settings
from server.testing.compiled import a_container, a_pipeline, a_task
from server.testing.kfp import KubeflowDouble, VirtualNode

HOST = "kubernetes.io/hostname"
GROUP = """
[[node_group]]
name = "rented"
cpus = 1
memory = "8Gi"
accelerators = [{ kind = "nvidia.com/gpu", count = 1, memory = "16Gi" }]
"""


@component(cpu=2)
def heavy(a: int = 0) -> int:
    return a


@pipeline
def single():
    heavy(a=1).named("heavy")


@component(accelerator="nvidia.com/gpu")
def train(a: int = 0) -> int:
    return a


@pipeline
def learning():
    train(a=1).named("train")


def foreign_loop() -> bytes:
    """Somebody's pipeline: a loop over two items, whose task reads the item."""
    inside = a_task("comp-work", inputs={"parameters": {"item": {"componentInputParameter": "item"}}})
    number = {"inputDefinitions": {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}}}
    loop = a_task("comp-loop", parameterIterator={"itemInput": "item", "items": {"raw": "[1, 2]"}}, iteratorPolicy={})
    work = a_container(args=["{{$.inputs.parameters['item']}}"])
    return a_pipeline(
        {"loop": loop},
        {
            "comp-loop": {**number, "dag": {"tasks": {"work": inside}}},
            "comp-work": {**number, "executorLabel": "exec-work"},
        },
        {"exec-work": work},
    ).encode()


@asynccontextmanager
async def beside(
    folder: Path, nodes: Sequence[VirtualNode], *, denied: set[tuple[str, ...]] | None = None, **given: Any
) -> AsyncIterator[tuple[Services, KubeflowDouble]]:
    """A server with these settings, and what it stands beside."""

    def now() -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a test with the machine's clock

    double = KubeflowDouble(folder / "double", nodes, now=now)
    double.kube.denied = denied or set()
    async with double.serve() as (url, kube_url):
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            json.dumps(
                {
                    "current-context": "double",
                    "contexts": [{"name": "double", "context": {"cluster": "double"}}],
                    "clusters": [{"name": "double", "cluster": {"server": kube_url}}],
                }
            )
        )
        settings = {"kfp_mode": "place", "update_interval": 0.1, "placer": "fifo_greedy", "placer_time_limit": 60.0}
        more = {"image_registries": "", "cluster_file": None, "state_dir": folder / "state"}
        async with running(Settings(kfp_url=url, kubeconfig=kubeconfig, **{**settings, **more, **given})) as services:
            yield services, double


async def until(services: Services, run_id: str, holds: Callable[[Run], bool]) -> Run:
    async with asyncio.timeout(60):
        while not holds(run := await services.journal.run(run_id)):
            await asyncio.sleep(0.01)
    return run


def configs_of(double: KubeflowDouble, number: int = 0) -> list[Mapping[str, Any]]:
    """The Kubernetes configurations of the tasks of a run that the double was given."""
    record = list(double.runs.values())[number]
    return list(record.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values())


def is_running(run: Run) -> bool:
    return any(task.state is TaskState.RUNNING for task in run.tasks.values())


def has_hold(run: Run) -> bool:
    return any(task.hold for task in run.tasks.values())


async def test_pins_iterations_of_all_and_an_offer_after_a_moment(tmp_path: Path) -> None:
    nodes = [VirtualNode("one", cpu="2500m"), VirtualNode("two", cpu="2500m")]
    settings = {"kfp_placement": "require", "kfp_iterations": "all", "max_hold": 0.0}
    async with beside(tmp_path, nodes, replace_after=0.2, replace_automatically=False, **settings) as (
        services,
        double,
    ):
        double.world.holding = {"heavy", "work"}
        runs = [await services.pipeline_manager.submit(Submission(single.build())) for _ in range(3)]
        for run in runs:
            await until(services, run.id, lambda found: found.platform_run_id is not None)
        pins = {config["nodeSelector"]["labels"][HOST] for number in range(3) for config in configs_of(double, number)}
        assert pins == {"one", "two"}, "KFP_PLACEMENT=require pins"
        double.kube.objects.put("nodes", VirtualNode("three", cpu="2").object())
        offered = [
            await until(services, run.id, lambda found: found.offer is not None or is_running(found)) for run in runs
        ]
        [waiting] = [run for run in offered if run.offer is not None]
        assert waiting.offer is not None
        assert waiting.offer.nodes == {"heavy": "three"}, "MAX_HOLD=0 handed it over all the same; REPLACE_AFTER offers"
        assert not waiting.replaced_by, "nothing is done unasked"

        loop = Submission(ForeignFile("loop.yaml", foreign_loop()))
        run = await services.pipeline_manager.submit(loop)
        await until(services, run.id, lambda found: found.platform_run_id is not None)
        assert "nodeAffinityJson" in json.dumps(configs_of(double, 3)), "KFP_ITERATIONS=all reaches somebody's loop"


async def test_wishes_only_no_iterations_a_long_hold_no_offer_and_a_group_that_could_grow(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text(GROUP)
    settings: dict[str, Any] = {"kfp_placement": "prefer", "kfp_iterations": "none", "max_hold": 3600.0}
    settings |= {"replace_after": 0.0, "cluster_file": tmp_path / "cluster.toml"}
    async with beside(tmp_path, [VirtualNode("one", cpu="2500m")], **settings) as (services, double):
        loop = await services.pipeline_manager.submit(Submission(ForeignFile("loop.yaml", foreign_loop())))
        await until(services, loop.id, lambda found: found.platform_run_id is not None)
        assert "nodeAffinityJson" not in json.dumps(configs_of(double)), "KFP_ITERATIONS=none leaves loops alone"

        double.world.holding = {"heavy"}
        first, second = [await services.pipeline_manager.submit(Submission(single.build())) for _ in range(2)]
        await until(services, first.id, lambda found: found.platform_run_id is not None)
        [config] = configs_of(double, 1)
        assert "nodeSelector" not in config, "KFP_PLACEMENT=prefer requires nothing"
        assert [entry["weight"] for entry in config["nodeAffinity"]] == [100]
        held = await until(services, second.id, has_hold)
        assert "UTC at the latest" in next(iter(held.tasks.values())).hold, "MAX_HOLD keeps it here"
        assert held.platform_run_id is None
        assert len(double.runs) == 2

        growing = await services.pipeline_manager.submit(Submission(learning.build()))
        growing = await until(services, growing.id, lambda found: found.platform_run_id is not None)
        [config] = configs_of(double, 2)
        told = [one.event for one in services.store.events(run_id=growing.id)]
    [reason] = [task.reason for event in told if isinstance(event, RunPlaced) for task in event.tasks]
    assert reason == "left to the autoscaler: waits for a new node of group rented", "CLUSTER_FILE names the group"
    assert "train goes to rented" in config["podMetadata"]["annotations"]["mlopx.dev/why"]
    assert HOST not in json.dumps(config), "no node is asked for by its name"


async def test_an_observer_notes_what_would_have_been_done_also_where_it_sees_its_namespace_only(
    tmp_path: Path,
) -> None:
    nodes = [VirtualNode("one"), VirtualNode("two")]
    document = yaml.safe_load(a_pipeline({"load": a_task("comp-load")}, {"comp-load": {}}))
    no_pods = {("list", "pods", ""), ("watch", "pods", "")}
    async with beside(tmp_path, nodes, denied=no_pods, kfp_mode="observe") as (services, double):
        double.world.holding = {"load"}
        record, asked = double.create({"display_name": "theirs", "pipeline_spec": document}), len(double.calls)
        async with asyncio.timeout(60):
            while len(double.calls) < asked + 12:  # a look takes four calls at most: it was seen while it ran
                await asyncio.sleep(0.02)
        double.world.holding = set()
        await double.ended(record.id)
        async with asyncio.timeout(60):
            while not (lines := read_observed(tmp_path / "state" / "kubeflow" / "observed.jsonl")):
                await asyncio.sleep(0.02)
        written, problems = double.kube.written, services.node_manager.problems()
    assert "what other pods hold is unknown, since we may not see all pods" in problems["kubernetes"]
    assert [(line["task"], line["state"]) for line in lines] == [("load", "succeeded")]
    assert lines[0]["node"] in ("one", "two"), "where it ran is seen in the namespace"
    assert lines[0]["would_have_been"] in ("one", "two")
    assert written == []
    assert {call.method for call in double.calls} == {"GET"}
