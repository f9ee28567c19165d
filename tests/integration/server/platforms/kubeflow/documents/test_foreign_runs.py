"""Pipelines that Kubeflow's own SDK compiled, submitted as they are: placed, created, executed, followed to the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl, kubernetes

from server.components.pipeline_manager import Submission
from server.domain.errors import InvalidSubmissionError
from server.domain.run import TaskKey
from server.domain.states import TaskState
from server.platforms.interface import ForeignFile
from server.testing.kfp import VirtualNode

SCRIPT = """import json, os, sys
os.makedirs(os.path.dirname(sys.argv[3]), exist_ok=True)
print("adding", sys.argv[1], sys.argv[2])
open(sys.argv[3], "w").write(str(int(float(sys.argv[1]) + float(sys.argv[2]))))
"""


@dsl.container_component
def add(left: int, right: int, out: dsl.OutputPath(int)):  # type: ignore[valid-type]  # as the SDK wants it
    return dsl.ContainerSpec(image="python:3.11", command=["python3", "-c", SCRIPT], args=[left, right, out])


@dsl.container_component
def broken(left: int):
    return dsl.ContainerSpec(image="python:3.11", command=["python3", "-c", "raise SystemExit(3)"], args=[left])


@dsl.pipeline
def inner(value: int = 1) -> int:
    return add(left=value, right=100).set_display_name("inside").outputs["out"]


def everything(start: int = 1, words: list = [1, 2]) -> None:  # noqa: B006 - as users of the SDK write it
    first = add(left=start, right=1)
    kubernetes.add_node_selector(first, "disk", "ssd")
    nested = inner(value=first.outputs["out"])
    with dsl.ParallelFor(words) as item:
        add(left=item, right=nested.output)
    with dsl.If(first.outputs["out"] > 1000):
        add(left=0, right=0)
    fetched = dsl.importer(artifact_uri="gs://bucket/data.csv", artifact_class=dsl.Dataset)
    add(left=5, right=5).after(fetched)


def claiming(cpu: str = "500m", tolerated: list = [{"key": "any", "operator": "Exists"}]) -> None:  # noqa: B006 - likewise
    claim = kubernetes.CreatePVC(pvc_name_suffix="-data", access_modes=["ReadWriteOnce"], size="1Gi")
    worker = add(left=1, right=2).set_cpu_request(cpu)
    kubernetes.mount_pvc(worker, claim.outputs["name"], "/data")
    kubernetes.add_toleration_json(worker, tolerated)
    kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(worker)


@dsl.container_component
def show(data: dsl.Input[dsl.Dataset]):
    return dsl.ContainerSpec(image="python:3.11", command=["cat"], args=[data.path])


def reading(table: dsl.Input[dsl.Dataset]) -> None:
    show(data=table)


def failing() -> None:
    add(left=1, right=2).after(broken(left=1).after(add(left=1, right=1)))


def finishing() -> None:
    with dsl.ExitHandler(add(left=9, right=9)):
        add(left=1, right=2).after(broken(left=1))


@pytest.fixture
def nodes() -> list[VirtualNode]:
    return [VirtualNode("one", labels={"disk": "ssd"}), VirtualNode("two")]


@pytest.fixture
def send(make: Any, judge: Any, tmp_path: Path) -> Callable[..., Any]:
    """Compile a body, submit it, and follow the run to its end."""

    async def one(body: Callable[..., Any], **parameters: Any) -> tuple[Any, Any, str, Any]:
        text = judge.compile(body, tmp_path)
        async with make() as ground:
            async with ground.house() as house:
                file = ForeignFile("flow.yaml", text.encode())
                asked = Submission(file, parameters=parameters, is_caching=True)
                run = await house.ended((await house.pipeline_manager.submit(asked)).id)
            [record] = ground.double.runs.values()
            return run, record, text, ground

    return one


async def test_a_pipeline_of_somebody_else_walks_to_its_end_task_by_task(send: Any) -> None:
    run, record, text, ground = await send(everything, start="41", words="[1, 2, 3]")
    assert str(run.state) == "succeeded"
    states = {str(key): str(task.state) for key, task in run.tasks.items()}
    assert states == {
        "add": "succeeded",
        "inner/add": "succeeded",
        "for-loop-1/add-2.0": "succeeded",
        "for-loop-1/add-2.1": "succeeded",
        "for-loop-1/add-2.2": "succeeded",
        "condition-2/add-3": "skipped",
        "importer": "succeeded",
        "add-4": "succeeded",
    }, states
    assert record.parameters == {"start": 41, "words": [1, 2, 3]}, "read as what the document declares"
    placed = {key.path: task.current for key, task in run.tasks.items() if task.current.node}
    assert set(placed) >= {"add", "inner/add", "add-4"}
    assert "importer" not in placed
    assert placed["add"].actual_node == "one", "its own selector holds there only"
    document = yaml.safe_load(text.split("\n---\n")[0])
    assert record.pipeline == document, "what we write is placement only"
    assert run.graph.spec.foreign.text == text
    marks = {
        pod["metadata"]["annotations"]["mlopx.dev/task"]
        for pod in ground.double.kube.objects.all("pods")
        if "mlopx.dev/run" in pod["metadata"]["labels"]
    }
    assert marks >= {"add", "inner/add", "for-loop-1/add-2", "add-4"}


async def test_claims_amounts_and_tolerations_that_only_the_run_knows_are_kubeflows_own_business(send: Any) -> None:
    run, _, _, ground = await send(claiming)
    assert {str(key): str(task.state) for key, task in run.tasks.items()} == {
        "createpvc": "succeeded",
        "add": "succeeded",
        "deletepvc": "succeeded",
    }
    assert not ground.double.world.pods.claims


async def test_an_artifact_that_the_pipeline_takes_is_given_by_its_address(send: Any, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("three rows")
    run, record, _, _ = await send(reading, table=str(tmp_path / "table"))
    assert {str(key): str(task.state) for key, task in run.tasks.items()} == {"show": "succeeded"}
    assert record.parameters == {"table": str(tmp_path / "table")}
    assert set(record.pipeline["root"]["dag"]["tasks"]) == {"import-table", "show"}
    with pytest.raises(InvalidSubmissionError) as caught:
        await send(reading)
    assert "parameter 'table' (str) is required and was not given" in caught.value.details[0]


async def test_a_failure_is_told_of_the_task_that_failed(send: Any) -> None:
    run, _, _, _ = await send(failing)
    assert str(run.state) == "failed"
    found = {key.path: task for key, task in run.tasks.items()}
    assert found["broken"].state is TaskState.FAILED
    assert found["broken"].current.error.exit_code == 3


@pytest.mark.parametrize("has_hooks", [True, False], ids=["since 2.5", "before"])
async def test_what_runs_at_the_end_is_seen_wherever_kubeflow_puts_it(
    make: Any, judge: Any, tmp_path: Path, has_hooks: bool
) -> None:
    """Since 2.5 it is a hook of what it waits for, and does not make a failed run succeed."""
    text = judge.compile(finishing, tmp_path)
    async with make() as ground:
        ground.double.world.has_exit_hooks = has_hooks
        async with ground.house() as house:
            asked = Submission(ForeignFile("flow.yaml", text.encode()))
            run = await house.ended((await house.pipeline_manager.submit(asked)).id)
        [record] = ground.double.runs.values()
        names = {node["name"].split(".", 1)[1] for node in ground.double.workflows[record.id].nodes.values()}
    assert ("root.exit-handler-1.onExit.add.executor" in names) is has_hooks
    assert {str(key): str(task.state) for key, task in run.tasks.items()} == {
        "add": "succeeded",
        "exit-handler-1/broken": "failed",
        "exit-handler-1/add-2": "skipped",
    }
    assert run.tasks[TaskKey("add")].current.actual_node in ("one", "two")
    assert record.state == ("FAILED" if has_hooks else "SUCCEEDED")
    assert str(run.state) == record.state.lower(), "as Kubeflow says it"


async def test_what_runs_at_the_end_also_runs_when_somebody_stops_the_run(
    make: Any, judge: Any, tmp_path: Path
) -> None:
    text = judge.compile(finishing, tmp_path)
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"broken"}
        asked = Submission(ForeignFile("flow.yaml", text.encode()))
        run = await house.pipeline_manager.submit(asked)
        broken_key = TaskKey("exit-handler-1/broken")
        run = await house.until(run.id, lambda found: found.tasks[broken_key].state is TaskState.RUNNING)
        ground.double.terminate(run.platform_run_id)
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert run.tasks[TaskKey("add")].state is TaskState.SUCCEEDED
    assert run.tasks[broken_key].current.error.message == "Step exceeded its deadline"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nobody": 1}, "parameter 'nobody' is not one of this pipeline's (start, words)"),
        ({"start": "one"}, "parameter 'start' expects int, but 'one' was given"),
        ({"words": 3}, "parameter 'words' expects list, but 3 was given"),
    ],
)
async def test_parameters_that_do_not_fit_the_document_are_refused(send: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidSubmissionError) as caught:
        await send(everything, **given)
    assert said in caught.value.details


async def test_without_caching_nothing_comes_from_the_cache(make: Any, judge: Any, tmp_path: Path) -> None:
    text = judge.compile(inner.pipeline_func, tmp_path)
    async with make() as ground, ground.house() as house:
        found = []
        for is_caching in (True, True, False):
            file = ForeignFile("flow.yaml", text.encode())
            run = await house.pipeline_manager.submit(Submission(file, is_caching=is_caching))
            run = await house.ended(run.id)
            found.append([task.from_cache for task in run.tasks.values()])
    assert found == [[False], [True], [False]]


async def test_a_run_that_was_accepted_before_the_server_ended_is_created_once_by_the_next(
    make: Any, judge: Any, tmp_path: Path
) -> None:
    text = judge.compile(inner.pipeline_func, tmp_path)
    async with make() as ground:
        async with ground.house() as house:
            ground.double.is_down = True
            run = await house.pipeline_manager.submit(Submission(ForeignFile("flow.yaml", text.encode())))
        ground.double.is_down = False
        async with ground.house() as house:
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert len(ground.double.runs) == 1
