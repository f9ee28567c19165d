"""Pipelines of our own library that use all of it that Kubeflow can express; compiled, loaded and run in tests."""

from typing import NamedTuple

from mlopx import (
    ClassificationMetrics,
    Dataset,
    Elif,
    Else,
    If,
    Input,
    Loop,
    Model,
    Output,
    TaskInfo,
    Volume,
    collect,
    component,
    container_component,
    input_path,
    input_value,
    node_label,
    on_exit,
    one_of,
    option,
    output_path,
    pipeline,
    this_run,
)

DATA = Volume.pvc("claim", mount_path="/mnt/data", sub_path="tables", read_only=True)


class Made(NamedTuple):
    count: int
    name: str


@component
def make(rows: int, data: Output[Dataset], flag: bool = True, extra: dict = {"a": 1}) -> Made:  # noqa: B006
    with open(data.path, "w") as file:
        file.write("x" * rows)
    data.metadata["rows"] = rows
    assert flag is True
    assert extra == {"a": 1}
    return Made(count=rows, name=f"n{rows}")


@component
def fit(data: Input[Dataset], rate: float, model: Output[Model], metrics: Output[ClassificationMetrics]) -> float:
    with open(data.path) as file:
        score = len(file.read()) * rate
    with open(model.path, "w") as file:
        file.write(str(score))
    metrics.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])
    metrics.log_roc_curve([0, 1], [0, 1], [1, 0])
    assert data.metadata["rows"] > 0
    return score


@component
def judge_matrix(metrics: Input[ClassificationMetrics]) -> list:
    assert metrics.metadata["rocCurve"][1] == {"fpr": 1.0, "tpr": 1.0, "threshold": 0.0}
    return metrics.metadata["confusionMatrix"]["matrix"]


@component
def best(scores: list, models: Input[list[Model]]) -> float:
    assert [float(open(one.path).read()) for one in models] == scores  # noqa: SIM115
    return max(scores)


@component
def say(text: str, number: float = 1.0) -> str:
    print(text, number)
    return f"{text} {number}"


@component
def who(task: TaskInfo) -> str:
    return f"{task.task} {task.option} {bool(task.run_id)}"


@component
def bye(state: str, run: str, failed: list) -> str:
    assert run
    return f"{state} {failed}"


@pipeline
def inner(rows: int, rate: float):
    made = make(rows=rows)
    fitted = fit(data=made.outputs["data"], rate=rate)
    judge_matrix(metrics=fitted.outputs["metrics"])
    return {"score": fitted.outputs["output"]}


@pipeline
def whole(rows: int = 4, wanted: float = 1.0, choice: str = "it's {a}", is_loud: bool = False):
    """Everything that runs without a cluster."""
    made = make(rows=rows)
    with Loop([0.5, 1.5], width=2) as rate:
        fitted = fit(data=made.outputs["data"], rate=rate)
        with If(rate > 1.0):
            say(text="large", number=rate).named("large")
    top = best(scores=collect(fitted.outputs["output"]), models=collect(fitted.outputs["model"]))
    with If(top.output >= 100.0):
        great = say(text="great").named("great")
    with Elif(made.outputs["name"] == "n4", top.output > wanted):
        good = say(text="good").named("good")
    with Else():
        bad = say(text="bad").named("bad")
    say(text=one_of(great.output, good.output, bad.output)).named("joined")
    inner(rows=2, rate=0.5)
    high = inner(rows=3, rate=2.0)
    say(text="sum", number=high.outputs["score"]).named("sum").after(made)
    with If(made.outputs["name"].is_in(["n4", "n5"]), is_loud == False):  # noqa: E712, SIM117
        with Loop([{"x": 1.0}, {"x": 2.0}]) as item:
            say(text=choice, number=item["x"]).named("object")
    who()
    on_exit(bye(state=this_run.state, run=this_run.id, failed=this_run.failed_tasks))


convert = container_component(
    "convert",
    image="tools:1",
    command=["convert", input_value("quality"), input_path("table")],
    args=["--to", output_path("page"), output_path("size")],
    inputs={"table": Dataset, "quality": int},
    outputs={"page": Dataset, "size": int},
)


@component
def read(path: str) -> list:
    return [path]


@pipeline
def demanding(items: list = [1, 2]):  # noqa: B006
    """Everything that a cluster is asked for."""
    found = read(path=DATA.path("a/b.csv"))
    with Loop(found.output) as item:
        say(text=item).named("each")
    with Loop(items):
        made = make(rows=2)
        convert(table=made.outputs["data"], quality=3)
    (
        say(text=this_run.name)
        .named("gpu-or-cpu")
        .any_of(
            option("gpu", accelerator="nvidia.com/gpu", image="gpu:1", memory="2Gi"),
            option("cpu", cpu=4, image="cpu:1", env={"OMP_NUM_THREADS": "4"}),
        )
        .on(node_label("zone").is_in("a", "b"), node_label("flags").is_above(20))
        .prefer(node_label("disk").is_in("ssd"), weight=80)
        .tolerate("nvidia.com/gpu", effect="NoSchedule")
        .retry(3, backoff="10s", factor=2, at_most="5m")
        .timeout("90s")
        .env(LOG="debug")
        .secret("KEY", secret="registry", key="token")
        .cache(False)
    )
    say(text="pinned").named("pinned").on_node("big").request(cpu="500m", memory="1Gi").even_if_failed().after(found)


@component
def choose(count: int) -> list:
    return [float(number) for number in range(count)]


@component
def square(number: float) -> float:
    return number * number


@component
def summed(numbers: list) -> float:
    return sum(numbers)


@pipeline
def search(count: int = 3):
    """A loop over what a task made, and what came of it."""
    with Loop(choose(count=count).output, width=2) as number:
        squared = square(number=number)
    total = summed(numbers=collect(squared.output))
    with If(total.output == 5.0):
        say(text="five", number=total.output)
