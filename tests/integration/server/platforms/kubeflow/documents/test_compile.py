"""Our pipelines, compiled: the SDK loads them, the protocol accepts them, `kfp.local` runs them to the same result."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlopx.spec import PipelineSpec, parse_spec
from server.components.clock import SteadyClock
from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.compile import compile_spec, refusals
from server.platforms.kubeflow.compile.carried import unpacked
from server.platforms.kubeflow.placing import PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_node
from server.testing.kfp import KubeflowDouble, VirtualNode

EXAMPLES = ("bikes", "diamonds", "digits", "languages", "segments")


@pytest.fixture(scope="module")
def specs(project_root: Path, own: Any) -> dict[str, PipelineSpec]:
    found = {
        name: parse_spec((project_root / "pipelines" / "golden" / f"{name}.json").read_bytes()) for name in EXAMPLES
    }
    return {**found, "whole": own.whole.build(), "demanding": own.demanding.build()}


@pytest.mark.parametrize("name", [*EXAMPLES, "whole", "demanding"])
def test_what_we_compile_parses_strictly_loads_in_the_sdk_and_has_the_tasks_it_should(
    judge: Any, specs: Mapping[str, PipelineSpec], name: str
) -> None:
    made = compile_spec(specs[name])
    judge.parse(made.pipeline, made.platform)
    judge.load(made.text)
    pipeline = read_pipeline(made.text)
    assert pipeline.documents.pipeline == made.pipeline
    assert set(made.paths) == set(specs[name].tasks)
    assert set(made.paths.values()) == set(pipeline.tasks)
    assert compile_spec(specs[name]).text == made.text


def outputs_of(folder: Path) -> dict[str, list[Any]]:
    """Component -> the values that its tasks handed over, sorted."""
    found: dict[str, list[Any]] = {}
    for path in folder.rglob("executor_output.json"):
        values = json.loads(path.read_text())["parameterValues"]
        found.setdefault(path.parent.name.removeprefix("exit-handler-1-"), []).append(list(values.values()))
    return {name: sorted(values, key=str) for name, values in found.items()}


@pytest.mark.parametrize("is_placed", [False, True])
def test_kfp_local_runs_it_to_the_result_that_it_has_everywhere(
    judge: Any, specs: Mapping[str, PipelineSpec], tmp_path: Path, is_placed: bool
) -> None:
    text = compile_spec(specs["whole"]).text
    if is_placed:
        pipeline = read_pipeline(text)
        placements = {task.path: TaskPlacement((a_node("one"), a_node("two"))) for task in pipeline.placeable()}
        text = place_pipeline(pipeline, placements, mode=PlacementMode.DEFAULT).text
    judge.run(text, tmp_path)
    found = outputs_of(tmp_path)
    (((told,),),) = (found.pop("who"),)
    assert told.endswith("who default True")
    assert found == {
        "make": [[4, "n4"]],
        "loop-1-fit": [[2.0], [6.0]],
        "loop-1-if-1-large": [["large 1.5"]],
        "best": [[6.0]],
        "if-2-branches-if-3-good": [["good 1.0"]],
        "joined": [["good 1.0 1.0"]],
        "inner-make": [[2, "n2"]],
        "inner-fit": [[1.0]],
        "inner-judge-matrix": [[[[1, 2], [3, 4]]]],
        "inner-2-make": [[3, "n3"]],
        "inner-2-fit": [[6.0]],
        "inner-2-judge-matrix": [[[[1, 2], [3, 4]]]],
        "sum": [["sum 6.0"]],
        "if-5-loop-2-object": [["it's {a} 1.0"], ["it's {a} 2.0"]],
        "bye": [["succeeded []"]],
    }


async def test_a_loop_over_what_a_task_made_runs_in_kubeflows_double(own: Any, tmp_path: Path) -> None:
    made = compile_spec(own.search.build())
    clock = SteadyClock(time.time, time.monotonic)  # noqa: TID251 - a test with the machine's clock
    double = KubeflowDouble(tmp_path, [VirtualNode("one", cpu="8")], now=clock.now)
    async with double.serve():
        body = {"pipeline_spec": made.pipeline, "platform_spec": made.platform}
        run = await double.ended(double.create({"pipeline_spec": body}).id, seconds=120)
    assert run.state == "SUCCEEDED"
    values = [
        json.loads(path.read_text())["parameterValues"]["output"] for path in tmp_path.rglob("executor_output.json")
    ]
    # In lists, Kubeflow's drivers write whole numbers without a point: their sum is 5, and 5.0 where a port says float.
    assert sorted(map(str, values)) == ["0.0", "1.0", "4.0", "5", "[0.0, 1.0, 2.0]", "five 5.0"]


def test_the_chosen_option_gives_image_requests_and_variables(specs: Mapping[str, PipelineSpec]) -> None:
    for choice, image, asked in (("gpu", "gpu:1", "2Gi"), ("cpu", "cpu:1", "4000m")):
        made = compile_spec(specs["demanding"], {"gpu-or-cpu": choice})
        container = made.pipeline["deploymentSpec"]["executors"]["exec-gpu-or-cpu"]["container"]
        assert container["image"] == image
        assert asked in container["resources"].values()
        assert container["resources"].get("resourceMemoryLimit") == container["resources"].get("resourceMemoryRequest")
        assert ("accelerator" in container["resources"]) == (choice == "gpu")
        assert {"name": "MLOPX_OPTION", "value": choice} in container["env"]


def test_needs_become_the_platforms_configuration(specs: Mapping[str, PipelineSpec]) -> None:
    made = compile_spec(specs["demanding"])
    configs = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert configs["exec-gpu-or-cpu"] == {
        "fieldPathAsEnv": [{"name": "MLOPX_NODE", "fieldPath": "spec.nodeName"}],
        "activeDeadlineSeconds": "90",
        "nodeAffinity": [
            {
                "matchExpressions": [
                    {"key": "zone", "operator": "In", "values": ["a", "b"]},
                    {"key": "flags", "operator": "Gt", "values": ["20"]},
                ]
            },
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}], "weight": 80},
        ],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "secretAsEnv": [
            {
                "keyToEnv": [{"envVar": "KEY", "secretKey": "token"}],
                "optional": False,
                "secretName": "registry",
                "secretNameParameter": {"runtimeValue": {"constant": "registry"}},
            }
        ],
    }
    assert configs["exec-pinned"]["nodeSelector"] == {"labels": {"kubernetes.io/hostname": "big"}}
    assert configs["exec-read"]["pvcMount"] == [
        {
            "constant": "claim",
            "mountPath": "/mnt/data",
            "pvcNameParameter": {"runtimeValue": {"constant": "claim"}},
            "subPath": "tables",
        }
    ]
    tasks = made.pipeline["root"]["dag"]["tasks"]
    assert tasks["read"]["inputs"]["parameters"]["path"] == {"runtimeValue": {"constant": "/mnt/data/a/b.csv"}}
    assert tasks["gpu-or-cpu"]["cachingOptions"] == {}
    assert tasks["gpu-or-cpu"]["retryPolicy"] == {
        "maxRetryCount": 3,
        "backoffDuration": "10s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "300s",
    }
    assert not any(
        "Limit" in str(executor)
        for label, executor in made.pipeline["deploymentSpec"]["executors"].items()
        if label != "exec-gpu-or-cpu"
    ), "without alternatives nothing is limited"
    assert tasks["pinned"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert tasks["pinned"]["dependentTasks"] == ["read"]
    assert any("read-only" in note for note in made.notes)


def test_a_container_keeps_its_command_with_kubeflows_placeholders(specs: Mapping[str, PipelineSpec]) -> None:
    made = compile_spec(specs["demanding"])
    container = made.pipeline["deploymentSpec"]["executors"]["exec-loop-2-convert"]["container"]
    assert container["command"] == [
        "convert",
        "{{$.inputs.parameters['quality']}}",
        "{{$.inputs.artifacts['table'].path}}",
    ]
    assert container["args"] == [
        "--to",
        "{{$.outputs.artifacts['page'].path}}",
        "{{$.outputs.parameters['size'].output_file}}",
    ]


def test_nothing_is_installed_at_a_pods_start_unless_the_component_asks(specs: Mapping[str, PipelineSpec]) -> None:
    for spec in specs.values():
        made = compile_spec(spec)
        for path, task in spec.tasks.items():
            component = spec.components[task.component]
            label = read_pipeline(made.text).tasks[made.paths[path]].executor
            container = made.pipeline["deploymentSpec"]["executors"][label]["container"]
            if component.code.kind == "function":
                assert container["command"][:2] == ["python3", "-c"]
                assert json.loads(unpacked(container["args"][0])).get("packages", []) == list(component.packages)


@pytest.mark.parametrize(
    "refused", ["nfs", "nested_collect", "collect_of_a_condition", "membership", "one_of", "after", "ends"]
)
def test_what_kubeflow_cannot_express_is_refused_by_name(own: Any, refused: str) -> None:
    build, said = INEXPRESSIBLE[refused]
    spec = build(own)
    with pytest.raises(InvalidSubmissionError, match="cannot run on Kubeflow") as caught:
        compile_spec(spec)
    assert said in str(caught.value)
    assert refusals(spec) == list(caught.value.details)


def _nfs(own: Any) -> PipelineSpec:
    from mlopx import Volume, pipeline

    volume = Volume.nfs("files.example", "/exports", name="exports", mount_path="/mnt")

    @pipeline
    def refused() -> None:
        own.read(path=volume.path("x"))

    return refused.build()


def _nested_collect(own: Any) -> PipelineSpec:
    from mlopx import Loop, collect, pipeline

    @pipeline
    def refused() -> None:
        data = own.make(rows=1).outputs["data"]
        with Loop([1.0]), Loop([2.0]) as rate:
            fitted = own.fit(data=data, rate=rate)
        own.best(scores=collect(fitted.outputs["output"]), models=collect(fitted.outputs["model"]))

    return refused.build()


def _collect_of_a_condition(own: Any) -> PipelineSpec:
    from mlopx import If, Loop, collect, pipeline

    @pipeline
    def refused() -> None:
        data = own.make(rows=1).outputs["data"]
        with Loop([1.0]) as rate, If(rate > 0.0):
            fitted = own.fit(data=data, rate=rate)
        own.best(scores=collect(fitted.outputs["output"]), models=collect(fitted.outputs["model"]))

    return refused.build()


def _membership(own: Any) -> PipelineSpec:
    from mlopx import If, pipeline

    @pipeline
    def refused(names: list = ["a"]) -> None:  # noqa: B006
        with If(own.make(rows=1).outputs["name"].is_in(names)):
            own.say(text="x")

    return refused.build()


def _one_of(own: Any) -> PipelineSpec:
    from mlopx import Elif, If, one_of, pipeline

    @pipeline
    def refused(x: float = 1.0) -> None:
        with If(x > 1.0):
            one = own.say(text="1").named("one")
        with Elif(x > 0.0):
            two = own.say(text="2").named("two")
        own.say(text=one_of(one.output, two.output))

    return refused.build()


def _after(own: Any) -> PipelineSpec:
    from mlopx import If, pipeline

    @pipeline
    def refused(x: float = 1.0) -> None:
        with If(x > 1.0):
            one = own.say(text="1").named("one")
        own.say(text="2").named("two").after(one)

    return refused.build()


def _ends(own: Any) -> PipelineSpec:
    from mlopx import pipeline

    @pipeline
    def refused() -> None:
        one, two = own.say(text="1").named("one"), own.say(text="2").named("two")
        own.say(text="3").named("three").after(own.say(text="4").named("four").after(one, two).even_if_failed())

    return refused.build()


INEXPRESSIBLE: dict[str, Any] = {
    "nfs": (_nfs, "the NFS volume 'exports'"),
    "nested_collect": (_nested_collect, "over nested loops"),
    "collect_of_a_condition": (_collect_of_a_condition, "which a condition in the loop may skip"),
    "membership": (_membership, "a condition with 'in' on anything but a written list"),
    "one_of": (_one_of, "there must be an Else"),
    "after": (_after, "after(one), which a condition may skip"),
    "ends": (_ends, "task four: even_if_failed() after one, two: Kubeflow would run it once after each"),
}


def test_the_limits_of_size_are_told_with_what_to_do(own: Any) -> None:
    spec = own.whole.build()
    component = spec.components["say"]
    noise = "".join(f"{number * 7919 % 10007:04x}" for number in range(60_000))
    large = component.model_copy(update={"code": component.code.model_copy(update={"source": f"# {noise}\n"})})
    with pytest.raises(InvalidSubmissionError, match="more than 16384; move code into a package or the image"):
        compile_spec(spec.model_copy(update={"components": {**spec.components, "say": large}}))


def test_five_hundred_tasks_of_few_components_fit_into_one_workflow(own: Any) -> None:
    from mlopx import pipeline
    from server.platforms.kubeflow.compile.sizes import WORKFLOW_LIMIT_BYTES, workflow_bytes

    @pipeline
    def many() -> None:
        previous = own.say(text="0").named("t0")
        for number in range(1, 500):
            previous = own.say(text=previous.output, number=float(number)).named(f"t{number}")

    made = compile_spec(many.build())
    assert workflow_bytes(made.pipeline, made.platform) < WORKFLOW_LIMIT_BYTES
