"""One pipeline per feature that compiled Kubeflow pipelines have, written with Kubeflow's own SDK.

Each function registered with `feature` is the body of a pipeline; the test session compiles them all. Components do
almost nothing, so that those that need no cluster can also be run.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl, kubernetes
from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

IMAGE = "python:3.11-slim"
FEATURES: dict[str, Callable[..., Any]] = {}
RUNNABLE: dict[str, Callable[..., Any]] = {}
"""Those of them that `kfp.local` can run here: no containers, no cluster objects."""


def feature(function: Callable[..., Any]) -> Callable[..., Any]:
    FEATURES[function.__name__] = function
    return function


def runnable(function: Callable[..., Any]) -> Callable[..., Any]:
    RUNNABLE[function.__name__] = function
    return feature(function)


def named(**settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Settings of the pipeline itself, such as its configuration."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.settings = settings  # type: ignore[attr-defined]
        return function

    return mark


@dsl.component(base_image=IMAGE)
def number(value: float = 1.0) -> float:
    return value


@dsl.component(base_image=IMAGE)
def add(left: float, right: float = 1.0) -> float:
    return left + right


@dsl.component(base_image=IMAGE)
def numbers(count: int = 2) -> list:
    return [float(one) for one in range(count)]


@dsl.component(base_image=IMAGE)
def total(parts: list) -> float:
    return float(sum(parts))


@dsl.component(base_image=IMAGE)
def word(text: str = "a") -> str:
    return text


@dsl.component(base_image=IMAGE)
def labels(key: str = "zone", value: str = "a") -> dict:
    return {key: value}


@dsl.component(base_image=IMAGE)
def write(data: Output[Dataset], rows: int = 3) -> int:
    """Writes a few rows."""
    with open(data.path, "w") as file:
        file.write("x\n" * rows)
    data.metadata["rows"] = rows
    return rows


@dsl.component(base_image=IMAGE)
def fit(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics], rate: float = 0.5) -> float:
    with open(data.path) as file:
        score = len(file.read()) * rate
    with open(model.path, "w") as file:
        file.write(str(score))
    metrics.log_metric("score", score)
    return score


@dsl.component(base_image=IMAGE)
def read_model(model: Input[Model]) -> str:
    with open(model.path) as file:
        return file.read()


@dsl.component(base_image=IMAGE)
def several(data: Output[Dataset]) -> NamedTuple("Several", [("rows", int), ("name", str), ("extra", dict)]):
    from collections import namedtuple

    with open(data.path, "w") as file:
        file.write("x")
    return namedtuple("Several", ["rows", "name", "extra"])(3, "n", {"a": 1})


@dsl.component(base_image=IMAGE)
def merge(models: Input[list[Model]]) -> int:
    return len(models)


@dsl.component(base_image=IMAGE)
def report(status: dsl.PipelineTaskFinalStatus, text: str = "done"):
    print(status.state, text)


@dsl.component(base_image=IMAGE)
def fail(text: str = "no") -> str:
    raise RuntimeError(text)


@dsl.component(base_image=IMAGE, packages_to_install=["packaging"])
def with_packages(text: str = "1.0") -> str:
    return text


@dsl.component(base_image=IMAGE)
def draw(page: Output[HTML], notes: Output[Markdown], other: Output[Artifact]):
    for one in (page, notes, other):
        with open(one.path, "w") as file:
            file.write("text")


@dsl.container_component
def shell(text: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="alpine:3", command=["sh", "-c"], args=[f"echo {text} > {out}"])


@dsl.pipeline
def inner(value: float = 2.0) -> float:
    first = number(value=value)
    second = add(left=first.output, right=1.0)
    return second.output


@dsl.pipeline
def inner_two(value: float = 2.0) -> float:
    one = inner(value=value)
    return add(left=one.output, right=10.0).output


@dsl.pipeline
def inner_three(value: float = 2.0) -> float:
    return inner_two(value=inner_two(value=value).output).output


@runnable
def dependent_tasks(start: float = 1.0):
    one = number(value=start)
    two = add(left=one.output)
    add(left=one.output, right=two.output)


@runnable
def order_without_data():
    one = number()
    number(value=2.0).after(one)


@runnable
def caching_off():
    number().set_caching_options(False)


@feature
def cache_key():
    number().set_caching_options(True, cache_key="my-key")


@runnable
def artifact_inputs():
    made = write()
    read_model(model=fit(data=made.outputs["data"]).outputs["model"])


@runnable
def several_outputs():
    made = several()
    add(left=1.0, right=2.0).after(made)
    word(text=made.outputs["name"])


@runnable
def all_parameter_types(
    a: int = 1,
    b: float = 1.5,
    c: str = "x: {y}",
    d: bool = True,
    e: list = [1, "a"],  # noqa: B006
    f: dict = {"k": [1]},  # noqa: B006
):
    total(parts=[1.0, 2.0])
    word(text=f"{c} and {a}")
    labels(key=c, value="v")


@runnable
def nested_pipeline():
    add(left=inner(value=3.0).output)


@runnable
def nested_pipeline_twice():
    add(left=inner(value=1.0).output, right=inner(value=2.0).output)


@runnable
def nested_five_deep():
    inner_three(value=1.0)


@runnable
def condition():
    one = number(value=2.0)
    with dsl.If(one.output > 1.0):
        add(left=one.output)


@runnable
def else_branches(limit: float = 5.0):
    one = number(value=2.0)
    with dsl.If(one.output > limit, "large"):
        word(text="large")
    with dsl.Elif(one.output > 1.0):
        word(text="medium")
    with dsl.Else():
        word(text="small")


@feature
def one_of() -> float:
    one = number(value=2.0)
    with dsl.If(one.output > 1.0):
        yes = add(left=1.0)
    with dsl.Else():
        no = add(left=2.0)
    joined = dsl.OneOf(yes.output, no.output)
    add(left=joined)
    return joined


@runnable
def loop_over_constants():
    with dsl.ParallelFor([1.0, 2.0, 3.0]) as item:
        number(value=item)


@runnable
def loop_with_a_limit():
    with dsl.ParallelFor([1.0, 2.0], parallelism=1) as item:
        add(left=item)


@runnable
def loop_over_objects():
    with dsl.ParallelFor([{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]) as item:
        number(value=item.a)


@runnable
def loop_over_an_output():
    with dsl.ParallelFor(numbers(count=3).output) as item:
        number(value=item)


@feature
def loop_over_a_parameter(items: list = [1.0, 2.0]):  # noqa: B006
    with dsl.ParallelFor(items) as item:
        number(value=item)


@feature
def nested_loops():
    with dsl.ParallelFor([1.0, 2.0]) as outer, dsl.ParallelFor([3.0, 4.0]) as item:
        add(left=outer, right=item)


@runnable
def loop_in_a_condition():
    one = number(value=2.0)
    with dsl.If(one.output > 1.0), dsl.ParallelFor([1.0, 2.0]) as item:
        add(left=item)


@runnable
def condition_in_a_loop():
    with dsl.ParallelFor([1.0, 2.0]) as item:
        one = number(value=item)
        with dsl.If(one.output > 1.0):
            add(left=one.output)


@runnable
def collected_parameters():
    with dsl.ParallelFor([1.0, 2.0]) as item:
        one = number(value=item)
    total(parts=dsl.Collected(one.output))


@feature
def collected_artifacts():
    made = write()
    with dsl.ParallelFor([0.1, 0.2]) as rate:
        fitted = fit(data=made.outputs["data"], rate=rate)
    merge(models=dsl.Collected(fitted.outputs["model"]))


@feature
def nested_pipeline_in_a_loop():
    with dsl.ParallelFor([1.0, 2.0]) as item:
        inner(value=item)


@runnable
def exit_handler():
    with dsl.ExitHandler(report(text="bye")):
        add(left=number().output)


@feature
def exit_handler_around_everything():
    with dsl.ExitHandler(report(text="bye"), name="guarded"):
        one = number()
        with dsl.If(one.output > 0.0), dsl.ParallelFor([1.0, 2.0], parallelism=2) as item:
            inner(value=item)


@feature
def ignoring_upstream_failure():
    broken = fail(text="x")
    word(text="still").after(broken).ignore_upstream_failure()


@feature
def importer():
    found = dsl.importer(artifact_uri="gs://bucket/data", artifact_class=Dataset, reimport=False, metadata={"a": "b"})
    fit(data=found.output, rate=1.0)


@feature
def importer_with_a_selector():
    found = dsl.importer(artifact_uri="gs://bucket/data", artifact_class=Dataset)
    kubernetes.add_node_selector(found, "disk", "ssd")
    fit(data=found.output, rate=1.0)


@feature
def resources():
    number().set_cpu_request("500m").set_cpu_limit("2").set_memory_request("1Gi").set_memory_limit("2G")


@feature
def accelerator():
    number().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)


@feature
def dynamic_resources(cpu: str = "500m", memory: str = "1Gi", kind: str = "nvidia.com/gpu"):
    number().set_cpu_limit(cpu).set_memory_limit(memory).set_accelerator_type(kind).set_accelerator_limit("1")


@feature
def dynamic_image(image: str = "python:3.12"):
    number().set_container_image(image)


@feature
def pvc_mount():
    kubernetes.mount_pvc(write(), pvc_name="claim", mount_path="/data")


@feature
def pvc_operations():
    claim = kubernetes.CreatePVC(
        pvc_name_suffix="-scratch", access_modes=["ReadWriteOnce"], size="5Gi", storage_class_name="standard"
    )
    task = write()
    kubernetes.mount_pvc(task, pvc_name=claim.outputs["name"], mount_path="/data")
    kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(task)


@feature
def secrets():
    task = number()
    kubernetes.use_secret_as_env(task, secret_name="keys", secret_key_to_env={"password": "PASSWORD"})
    kubernetes.use_secret_as_volume(task, secret_name="keys", mount_path="/keys")


@feature
def config_maps():
    task = number()
    kubernetes.use_config_map_as_env(task, config_map_name="settings", config_map_key_to_env={"a": "A"})
    kubernetes.use_config_map_as_volume(task, config_map_name="settings", mount_path="/settings")


@feature
def tolerations():
    kubernetes.add_toleration(number(), key="gpu", operator="Equal", value="yes", effect="NoSchedule")


@feature
def dynamic_tolerations(wanted: list = [{"key": "gpu", "operator": "Exists"}]):  # noqa: B006
    kubernetes.add_toleration_json(number(), toleration_json=wanted)


@feature
def node_selector():
    kubernetes.add_node_selector(number(), "disk", "ssd")


@feature
def dynamic_node_selector(wanted: dict = {"disk": "ssd"}):  # noqa: B006
    kubernetes.add_node_selector_json(number(), node_selector_json=wanted)


@feature
def node_selector_by_the_loop_item():
    with dsl.ParallelFor([{"selector": {"zone": "a"}}, {"selector": {"zone": "b"}}]) as item:
        kubernetes.add_node_selector_json(number(value=1.0), node_selector_json=item.selector)


@feature
def node_affinity():
    task = number()
    for values in (["a"], ["b"]):
        kubernetes.add_node_affinity(task, match_expressions=[{"key": "zone", "operator": "In", "values": values}])
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "ssd", "operator": "Exists"}], weight=80)


@feature
def dynamic_selector_and_affinity(selector: dict = {"disk": "ssd"}, affinity: dict = {}):  # noqa: B006
    task = number()
    kubernetes.add_node_selector_json(task, node_selector_json=selector)
    kubernetes.add_node_affinity_json(task, node_affinity_json=affinity)


@feature
def pod_metadata():
    task = number()
    kubernetes.add_pod_label(task, "team", "ours")
    kubernetes.add_pod_annotation(task, "note", "a: b")


@feature
def image_pull():
    task = number()
    kubernetes.set_image_pull_policy(task, "Always")
    kubernetes.set_image_pull_secrets(task, ["registry"])


@feature
def timeout():
    kubernetes.set_timeout(number(), 3600)


@feature
def volumes_without_claims():
    task = number()
    kubernetes.add_ephemeral_volume(
        task, volume_name="scratch", mount_path="/scratch", access_modes=["ReadWriteOnce"], size="1Gi"
    )
    kubernetes.empty_dir_mount(task, volume_name="empty", mount_path="/empty")
    kubernetes.use_field_path_as_env(task, env_name="POD", field_path="metadata.name")


@feature
def security_context():
    kubernetes.set_security_context(number(), run_as_user=1000, run_as_group=0, run_as_non_root=True)


@feature
@named(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="5Gi")))
def workspace():
    word(text=dsl.WORKSPACE_PATH_PLACEHOLDER)


@runnable
def retries():
    number().set_retry(num_retries=2, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration="60s")


@feature
def environment():
    number().set_env_variable("NAME", "value: 'x'").set_env_variable("EMPTY", "")


@feature
def display_names():
    number().set_display_name("A number, with: signs")


@feature
def container_component():
    word(text=shell(text="it's").outputs["out"])


@feature
def packages():
    with_packages(text="2.0")


@feature
def other_artifacts():
    draw()


@feature
def run_placeholders():
    word(text=f"{dsl.PIPELINE_JOB_ID_PLACEHOLDER} {dsl.PIPELINE_JOB_NAME_PLACEHOLDER}")


@runnable
def a_pipeline_with_outputs(start: float = 2.0) -> NamedTuple("Made", [("low", float), ("high", float)]):
    made = NamedTuple("Made", [("low", float), ("high", float)])  # noqa: UP014
    return made(number(value=start).output, add(left=start).output)


@feature
def text_of_every_kind(note: str = "ünïcødé ☃ 😀\ttab 'quoted' \"twice\""):
    word(text="line one\n  line two\n\nend: yes #no")
    word(text=note)
