"""Tasks: their arguments, outputs, order and settings, and what is said of those that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx import (
    Dataset,
    Input,
    Model,
    Output,
    Volume,
    component,
    container_component,
    node_label,
    on_exit,
    option,
    pipeline,
    this_run,
)
from mlopx.errors import DefinitionError
from mlopx.spec import (
    Accelerator,
    Const,
    Option,
    OutputRef,
    Param,
    PipelineSpec,
    Preference,
    Requirement,
    Resources,
    Retry,
    RunFact,
    SecretEnv,
    Toleration,
    VolumePath,
)

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]


@component
def load(rows: int = 10, *, data: Output[Dataset]) -> int:
    return rows


@component
def train(data: Input[Dataset], rate: float, title: str = "", *, model: Output[Model]) -> float:
    return rate


@component
def merge(models: list[Input[Model]], limit: float | None = None) -> float:
    return 0.0


@component
def score(x: int = 1) -> float:
    return float(x)


@component
def rest() -> None: ...


@component(cpu=1, memory="1Gi", timeout="1h", retries=1, cache=False)
def heavy() -> None: ...


@pipeline
def inner() -> Any:
    return {"score": score().output}


@pipeline
def silent() -> None:
    score()


def changed_after_use() -> None:
    first = score()
    rest().after(first)
    first.named("begin")  # here


def named_as_another() -> None:
    score()
    rest().named("score")  # here


def named_as_a_nested_pipeline() -> None:
    inner()
    rest().named("inner")  # here


def reading_one_output_of_two() -> None:
    train(load(), 0.1, title=train(load(), 0.1).output)  # here


def reading_an_output_that_there_is_not() -> None:
    score(x=load().outputs["dta"])  # here


def giving_a_model_for_data() -> None:
    first = train(load(), 0.1)
    train(data=first, rate=0.1)  # here


def giving_one_for_a_list() -> None:
    first = train(load(), 0.1)
    merge(models=first)  # here


def giving_a_float_for_a_whole_number() -> None:
    first = score()
    score(x=first.output)  # here


def giving_data_for_a_value() -> None:
    first = load()
    score(x=first.outputs.data)  # here


def waiting_in_a_circle() -> None:
    first = score()
    second = score().after(first)
    first.after(second)


def one_volume_in_two_ways() -> None:
    rest().mount(Volume.pvc("a", mount_path="/a"), Volume.pvc("a", mount_path="/b"))  # here


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (lambda: score(1, 2), "score takes 1 arguments, but 2 are given", None),
        (lambda: score(1, x=2), "score gets argument 'x' twice", None),
        (lambda: train(load()), "train needs rate", None),
        (lambda: train(), "train needs data, rate", None),
        (
            lambda: train(load(), rates=0.1),
            "train has no input 'rates' (it has: data, rate, title)",
            "did you mean 'rate'?",
        ),
        (
            lambda: train(load(), 0.1, model="m"),
            "train has no input 'model' (it has: data, rate, title)",
            "'model' is an output: read it from .outputs['model']",
        ),
        (lambda: rest(x=1), "rest has no input 'x' (it has: none)", None),
        (lambda: score("one"), "input 'x' of score expects int, but 'one' is given", None),
        (lambda: score(True), "input 'x' of score expects int, but True is given", None),
        (
            lambda: train("data.csv", 0.1),
            "input 'data' of train expects an artifact (Dataset), but 'data.csv' is given",
            None,
        ),
        (
            lambda: score(float("nan")),
            "nan cannot be written as JSON",
            "write a number, or None where the input is optional",
        ),
        (
            lambda: score(x={1}),
            "{1} (set) is not JSON",
            "arguments are texts, numbers, booleans, lists, dicts, or outputs of other tasks",
        ),
        (
            lambda: score(x=[score()]),
            "a value that only the run will know lies inside a list or dict",
            "pass it as an argument of its own",
        ),
        (
            lambda: score(x={"a": score().output}),
            "a value that only the run will know lies inside a list or dict",
            "pass it as an argument of its own",
        ),
        (
            lambda: rest().output,
            "task 'rest' has 0 outputs (none), so .output is not clear",
            "annotate what the function returns",
        ),
        (
            reading_one_output_of_two,
            "task 'train' has 2 outputs (model, output), so .output is not clear",
            'name one: .outputs["…"]',
        ),
        (
            reading_an_output_that_there_is_not,
            "task 'load' has no output 'dta' (it has: data, output)",
            "did you mean 'data'?",
        ),
        (lambda: score(score), "a Component is not JSON", "call it first: score(...)"),
        (
            lambda: score(x=inner),
            "a Pipeline is not JSON",
            "arguments are texts, numbers, booleans, lists, dicts, or outputs of other tasks",
        ),
        (lambda: rest().after(inner), ".after takes tasks, not a Pipeline", "write .after(first, second)"),
        (lambda: list(score().outputs), "task 'score' has no output 0 (it has: output)", None),
        (lambda: rest().named(5), "5 cannot be the task's name: it is taken, or no name", None),
        (lambda: score().outputs.xyz, "task 'score' has no output 'xyz' (it has: output)", None),
        (
            giving_a_model_for_data,
            "tasks.train-2.arguments.data: expects a Dataset, but a Model is given",
            None,
        ),
        (giving_one_for_a_list, "tasks.merge.arguments.models: expects a list of artifacts", None),
        (giving_a_float_for_a_whole_number, "tasks.score-2.arguments.x: expects int, but float is given", None),
        (
            giving_data_for_a_value,
            "tasks.score.arguments.x: expects a int value, but an artifact (Dataset) is given",
            None,
        ),
        (
            changed_after_use,
            "task 'score' is used already; name it where it is made",
            "write score(...).named('begin')",
        ),
        (named_as_another, "'score' cannot be the task's name: it is taken, or no name", None),
        (named_as_a_nested_pipeline, "'inner' cannot be the task's name: it is taken, or no name", None),
        (lambda: rest().named("9"), "'9' cannot be the task's name: it is taken, or no name", None),
        (lambda: rest().after("score"), ".after takes tasks, not 'score'", "write .after(first, second)"),
        (lambda: rest().after([score()]), ".after takes tasks, not a list", "write .after(first, second)"),
        (
            lambda: inner().output,
            "nested pipeline 'inner' does not return one value",
            'return an output, or a dict of outputs read with .outputs["…"]',
        ),
        (
            lambda: inner().outputs["scor"],
            "nested pipeline 'inner' has no output 'scor' (it has: score)",
            "did you mean 'score'?",
        ),
        (lambda: silent().outputs["x"], "nested pipeline 'silent' has no output 'x' (it has: none)", None),
        (one_volume_in_two_ways, "tasks.rest.volumes: 'a' is there twice", None),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_task_that_cannot_be_is_refused_at_its_line(
    told: Told, definition: Callable[[], None], said: str, hint: str | None
) -> None:
    error = told(definition)
    assert (error.message.split("\n")[0], error.hint) == (said, hint)


TAINTS = "its key and value are texts, its effect NoSchedule, PreferNoSchedule, NoExecute, or left out for all of them"
LABELS = 'write {}(node_label("zone").is_in("a")), or .exists() for any value'


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (
            lambda: rest().on("zone"),
            ".on takes what a label must be, not 'zone'",
            LABELS.format(".on"),
        ),
        (
            lambda: rest().on(node_label("zone")),
            ".on takes what a label must be, not NodeLabel(name='zone')",
            LABELS.format(".on"),
        ),
        (
            lambda: rest().prefer(node_label("zone")),
            ".prefer takes what a label must be, not NodeLabel(name='zone')",
            LABELS.format(".prefer"),
        ),
        (
            lambda: rest().prefer(node_label("zone").exists(), weight=0),
            "a weight of 0 is not a number between 1 and 100",
            None,
        ),
        (
            lambda: rest().prefer(node_label("zone").exists(), weight="high"),
            "a weight of 'high' is not a number between 1 and 100",
            None,
        ),
        (
            lambda: rest().any_of("cpu", "gpu"),
            "any_of takes options, not 'cpu'",
            'write option("gpu", accelerator=...)',
        ),
        (
            lambda: rest().any_of(option("cpu")),
            "any_of takes two or more options of different names, not ['cpu']",
            None,
        ),
        (
            lambda: rest().any_of(option("cpu"), option("cpu")),
            "any_of takes two or more options of different names, not ['cpu', 'cpu']",
            None,
        ),
        (lambda: rest().mount("/data"), ".mount takes volumes, not '/data'", "write .mount(Volume.pvc(...))"),
        (
            lambda: rest().tolerate("gpu", effect="Never"),
            "the toleration is wrong: effect: Input should be '', 'NoSchedule', 'PreferNoSchedule' or 'NoExecute'",
            TAINTS,
        ),
        (
            lambda: rest().tolerate("gpu", value=5),
            "the toleration is wrong: value: Input should be a valid string",
            TAINTS,
        ),
        (
            lambda: rest().retry(-1),
            "the retry settings are wrong: max_retries: Input should be greater than or equal to 0",
            None,
        ),
        (
            lambda: rest().retry(1, factor=0.5),
            "the retry settings are wrong: backoff_factor: Input should be greater than or equal to 1",
            None,
        ),
        (
            lambda: rest().retry(1, backoff="soon"),
            '\'soon\' is not a time span such as 90, "200ms", "10m" or "2h"',
            None,
        ),
        (lambda: rest().timeout("0s"), "a time limit of '0s' lets nothing run", 'write "10m" or "2h"'),
        (
            lambda: rest().timeout("5 weeks"),
            '\'5 weeks\' is not a time span such as 90, "200ms", "10m" or "2h"',
            None,
        ),
        (
            lambda: rest().secret("MY-KEY", secret="keys", key="token"),
            "the secret is wrong: env: 'MY-KEY' does not match ^[A-Za-z_][A-Za-z0-9_]*$",
            None,
        ),
        (lambda: rest().image(5), "task 'rest' is wrong: image: Input should be a valid string", None),
        (lambda: rest().hints(sort="x"), ".hints has no setting 'sort'", "there are: kind, dataset, model, operations"),
        (
            lambda: rest().hints(operations=-1),
            "the workload hints are wrong: operations: Input should be greater than or equal to 0",
            None,
        ),
        (
            lambda: rest().request(cpu="1", cpu_limit="500m"),
            "the CPU limit '500m' is below the request '1'",
            "raise the limit, or request less",
        ),
    ],
)
def test_a_need_that_cannot_be_is_refused_at_its_line(
    told: Told, definition: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told(definition)
    assert (error.message, error.hint) == (said, hint)


def test_tasks_that_wait_in_a_circle_are_refused(build: Build) -> None:
    with pytest.raises(DefinitionError, match="wait for each other") as caught:
        build(waiting_in_a_circle)
    assert "score" in caught.value.message


def test_arguments_are_constants_parameters_and_outputs(build: Build) -> None:
    def flow(rate: float = 0.5) -> None:
        data = load(rows=20)
        train(data, rate, "a")
        train(data=data.outputs.data, rate=1, title=this_run.name)

    spec = build(flow)
    data = OutputRef(task="load", port="data")
    assert spec.tasks["load"].arguments == {"rows": Const(value=20)}
    assert spec.tasks["train"].arguments == {"data": data, "rate": Param(name="rate"), "title": Const(value="a")}
    assert spec.tasks["train-2"].arguments == {"data": data, "rate": Const(value=1), "title": RunFact(fact="name")}


def test_a_tuple_is_given_as_a_list_and_none_where_it_is_optional(build: Build) -> None:
    @component
    def step(pair: list, limit: float | None = 1.0) -> None: ...

    def flow() -> None:
        step((1, (2, 3)), limit=None)

    assert build(flow).tasks["step"].arguments == {"pair": Const(value=[1, [2, 3]]), "limit": Const(value=None)}


def test_tasks_of_one_component_are_numbered_and_can_be_named(build: Build) -> None:
    def flow() -> None:
        score()
        score()
        score().named("My last score")

    assert list(build(flow).tasks) == ["score", "score-2", "my-last-score"]


def test_components_of_one_name_but_different_code_are_kept_apart(build: Build) -> None:
    first = container_component("step", image="a:1")
    second = container_component("step", image="b:1")

    def flow() -> None:
        first()
        second()
        first()

    spec = build(flow)
    assert {name: one.image for name, one in spec.components.items()} == {"step": "a:1", "step-2": "b:1"}
    assert {path: one.component for path, one in spec.tasks.items()} == {
        "step": "step",
        "step-2": "step-2",
        "step-3": "step",
    }


def test_a_task_waits_for_tasks_and_for_all_of_a_nested_pipeline_each_once(build: Build) -> None:
    def flow() -> None:
        first, nested = score(), inner()
        rest().after(first, nested).after(first)

    assert build(flow).tasks["rest"].after == ("score", "inner/score")


def test_what_is_asked_for_completes_what_the_component_asks(build: Build) -> None:
    def flow() -> None:
        heavy()
        heavy().request(memory="4Gi").request(accelerator="nvidia.com/gpu", accelerators=2, accelerator_memory="16Gi")

    spec = build(flow)
    gib = 2**30
    assert spec.tasks["heavy"].resources == Resources(cpu_millicores=1000, memory_bytes=gib)
    assert spec.tasks["heavy-2"].resources == Resources(
        cpu_millicores=1000,
        memory_bytes=4 * gib,
        accelerator=Accelerator(accelerator="nvidia.com/gpu", count=2, memory_bytes=16 * gib),
    )
    assert (spec.tasks["heavy"].timeout_seconds, spec.tasks["heavy"].cache) == (3600, False)
    assert spec.tasks["heavy"].retry == Retry(max_retries=1)


def test_everything_that_is_said_of_a_task_is_in_the_spec(build: Build) -> None:
    zone = node_label("zone").is_in("a")

    def flow() -> None:
        task = rest().image("other:1").on(zone).on(node_label("gpu").exists()).prefer(zone).tolerate("spot")
        task.tolerate("team", value="ml", effect="NoSchedule").retry(3, backoff="10s", at_most="1m").timeout("5m")
        task.env(A=1).env(B="two").secret("TOKEN", secret="keys", key="token").cache(False).interruptible()
        task.on_node("worker-1").even_if_failed().hints(kind="training", operations=1e9)
        task.any_of(option("cpu", cpu=4), option("gpu", accelerator="nvidia.com/gpu", image="gpu:1", env={"N": "1"}))

    task = build(flow).tasks["rest"]
    assert (task.image, task.node, task.trigger) == ("other:1", "worker-1", "all-done")
    assert (task.cache, task.interruptible, task.timeout_seconds) == (False, True, 300)
    assert task.requirements == (
        Requirement(label="zone", operator="In", values=("a",)),
        Requirement(label="gpu", operator="Exists"),
    )
    assert task.preferences == (Preference(weight=50, requirement=zone),)
    assert task.tolerations == (
        Toleration(key="spot", operator="Exists"),
        Toleration(key="team", operator="Equal", value="ml", effect="NoSchedule"),
    )
    assert task.retry == Retry(max_retries=3, backoff_seconds=10, backoff_factor=2, max_backoff_seconds=60)
    assert task.environment == {"A": "1", "B": "two"}
    assert task.secrets == (SecretEnv(env="TOKEN", secret="keys", key="token"),)
    assert task.hints is not None
    assert (task.hints.task_kind, task.hints.operations) == ("training", 1e9)
    gpu = Resources(accelerator=Accelerator(accelerator="nvidia.com/gpu"))
    assert task.options == (
        Option(name="cpu", resources=Resources(cpu_millicores=4000)),
        Option(name="gpu", image="gpu:1", resources=gpu, environment={"N": "1"}),
    )


def test_a_path_in_a_volume_mounts_the_volume_once(build: Build) -> None:
    volume = Volume.pvc("datasets-pvc", mount_path="/mnt/data", read_only=True)

    @component
    def read(path: str, other: str = "") -> None: ...

    def flow() -> None:
        read(volume.path("a.csv"), other=volume.path()).mount(volume)

    task = build(flow).tasks["read"]
    assert task.volumes == (volume.spec,)
    assert task.arguments == {
        "path": VolumePath(volume="datasets-pvc", path="a.csv"),
        "other": VolumePath(volume="datasets-pvc"),
    }


def test_an_exit_task_can_be_named_only_before_it_is_one(told: Told) -> None:
    def flow() -> None:
        score()
        on_exit(rest()).named("end")  # here

    assert told(flow).message == "task 'rest' is used already; name it where it is made"
