"""Compositions of everything that compiled Kubeflow pipelines have, drawn by Hypothesis and built with Kubeflow's SDK.

A composition is a list of parts. A leaf is `("task", habits)`, an importer or a volume; control flow is a kind with the
list of the parts inside it. Tasks pass numbers on, so that what is inside reads what was made outside.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from kfp import dsl, kubernetes
from kfp.dsl import Dataset
from sdk_pipelines import (
    IMAGE,
    add,
    fail,
    inner,
    labels,
    merge,
    number,
    numbers,
    read_model,
    report,
    shell,
    total,
    word,
)
from sdk_pipelines import fit as fitted

Part = Any
Tree = list[Part]


@dsl.component(
    base_image=IMAGE,
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES,
        dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
        dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
        dsl.TaskConfigField.KUBERNETES_VOLUMES,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_AFFINITY, apply_to_task=True),
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    ],
)
def launch(task_config: dsl.TaskConfig, value: float = 1.0) -> float:
    """Begins a job elsewhere, which gets what is configured of the task."""
    return value


def _hard(task: Any) -> None:
    for values in (["a"], ["b"]):
        kubernetes.add_node_affinity(task, match_expressions=[{"key": "zone", "operator": "In", "values": values}])


def _soft(task: Any) -> None:
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "ssd", "operator": "Exists"}], weight=80)


def _field(task: Any) -> None:
    kubernetes.add_node_affinity(
        task, match_fields=[{"key": "metadata.name", "operator": "NotIn", "values": ["node-x"]}]
    )


HABITS: dict[str, Callable[[Any], Any]] = {
    "tolerant": lambda task: kubernetes.add_toleration(task, key="any", operator="Exists"),
    "tolerant by a constant": lambda task: kubernetes.add_toleration_json(task, [{"key": "gpu", "operator": "Exists"}]),
    "selecting": lambda task: kubernetes.add_node_selector(task, "disk", "ssd"),
    "selecting by a constant": lambda task: kubernetes.add_node_selector_json(task, {"disk": "ssd"}),
    "affine by a constant": lambda task: kubernetes.add_node_affinity_json(task, {}),
    "requiring": _hard,
    "wishing": _soft,
    "naming nodes": _field,
    "secret": lambda task: kubernetes.use_secret_as_env(task, "keys", {"password": "PASSWORD"}),
    "secret volume": lambda task: kubernetes.use_secret_as_volume(task, "keys", mount_path="/keys"),
    "settings": lambda task: kubernetes.use_config_map_as_env(task, "settings", {"a": "A"}),
    "claim": lambda task: kubernetes.mount_pvc(task, pvc_name="claim", mount_path="/claim"),
    "scratch": lambda task: kubernetes.add_ephemeral_volume(
        task, volume_name="scratch", mount_path="/scratch", access_modes=["ReadWriteOnce"], size="1Gi"
    ),
    "marked": lambda task: kubernetes.add_pod_label(task, "team", "ours"),
    "pulling": lambda task: kubernetes.set_image_pull_policy(task, "Always"),
    "timed": lambda task: kubernetes.set_timeout(task, 60),
    "large": lambda task: task.set_cpu_request("500m").set_memory_limit("2G"),
    "accelerated": lambda task: task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1),
    "retried": lambda task: task.set_retry(2, backoff_duration="5s"),
    "uncached": lambda task: task.set_caching_options(False),
    "keyed": lambda task: task.set_caching_options(True, cache_key="key"),
    "set up": lambda task: task.set_env_variable("NAME", "yes: 'no'"),
    "named": lambda task: task.set_display_name("A task: with a name"),
}
LEAVES = ("importer", "volume", "launcher", "container", "artifacts", "stubborn")
KINDS = ("if", "else", "elif", "one of", "loop", "limited", "loop over an output", "collected", "nested", "guarded")


def compositions(depth: int = 5) -> st.SearchStrategy[Tree]:
    """A tree of control flow at most `depth` deep."""
    habits = st.lists(st.sampled_from(sorted(HABITS)), max_size=3, unique=True)
    task = st.tuples(st.just("task"), habits)
    leaf = st.one_of(task, task, st.tuples(st.sampled_from(LEAVES), habits))
    if depth == 1:
        return st.lists(leaf, min_size=1, max_size=2)
    inside = st.tuples(st.sampled_from(KINDS), st.deferred(lambda: compositions(depth - 1)))
    return st.lists(st.one_of(leaf, inside, inside), min_size=1, max_size=2)


def prepared(tree: Tree, *, is_top: bool = True) -> Tree:
    """The tree with its nested pipelines made (the SDK makes none inside another), and no exit handler in anything:
    the SDK takes those only where a pipeline begins."""
    found: Tree = []
    for kind, inside in tree:
        if kind in HABITS or kind in LEAVES or kind == "task":
            found.append((kind, inside))
        elif kind == "nested":
            found.append((kind, _pipeline(prepared(inside))))
        elif kind == "guarded" and not is_top:
            found.append(("if", prepared(inside, is_top=False)))
        else:
            found.append((kind, prepared(inside, is_top=False)))
    return found


def _pipeline(tree: Tree) -> Any:
    def nested(value: float = 1.0) -> float:
        build(tree, value)
        return number(value=value).output

    return dsl.pipeline(nested)


def build(tree: Tree, value: Any = None) -> Any:
    """Call the SDK as a pipeline of this shape would; `value` is a number from outside. Returns the last one made."""
    for kind, inside in tree:
        if kind == "task" or kind in LEAVES:
            value = _leaf(kind, inside, value)
        else:
            value = _BUILDERS[kind](inside, 2.0 if value is None else value)
    return value


def _leaf(kind: str, habits: list[str], value: Any) -> Any:
    given = {} if value is None else {"value": value}
    if kind == "importer":
        found = dsl.importer(artifact_uri="gs://bucket/data", artifact_class=Dataset)
        task = fitted(data=found.output, rate=1.0)
        output = task.outputs["Output"]
    elif kind == "volume":
        claim = kubernetes.CreatePVC(pvc_name_suffix="-own", access_modes=["ReadWriteOnce"], size="1Gi")
        task = number(**given)
        kubernetes.mount_pvc(task, pvc_name=claim.outputs["name"], mount_path="/own")
        kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(task)
        output = task.output
    elif kind == "container":
        task = shell(text="it's")
        word(text=task.outputs["out"])
        output = value
    elif kind == "stubborn":
        task = word(text="still").after(fail(text="no")).ignore_upstream_failure()
        output = value
    elif kind == "artifacts":
        made = fitted(data=dsl.importer(artifact_uri="gs://b/d", artifact_class=Dataset).output, rate=2.0)
        task = read_model(model=made.outputs["model"])
        output = made.outputs["Output"]
    else:
        task = launch(**given) if kind == "launcher" else number(**given)
        output = task.output
    for habit in habits:
        HABITS[habit](task)
    return output


def _if(inside: Tree, value: Any) -> Any:
    one = number(value=value)
    with dsl.If(one.output > 2.0):
        build(inside, value)
    return one.output


def _else(inside: Tree, value: Any) -> Any:
    one = number(value=value)
    with dsl.If(one.output > 2.0):
        build(inside, one.output)
    with dsl.Else():
        word(text="no")
    return one.output


def _elif(inside: Tree, value: Any) -> Any:
    one = number(value=value)
    with dsl.If(one.output > 2.0, name="large"):
        word(text="no")
    with dsl.Elif(one.output > 1.0):
        build(inside, one.output)
    with dsl.Else():
        build(inside, value)
    return value


def _one_of(inside: Tree, value: Any) -> Any:
    one = number(value=value)
    with dsl.If(one.output == 2.0):
        build(inside, value)
        yes = add(left=value)
    with dsl.Else():
        no = number(value=4.0)
    return number(value=dsl.OneOf(yes.output, no.output)).output


def _loop(inside: Tree, value: Any) -> Any:
    with dsl.ParallelFor([1.0, 2.0]) as item:
        build(inside, item)
    return value


def _limited(inside: Tree, value: Any) -> Any:
    with dsl.ParallelFor([{"a": 1.0, "b": "x"}], parallelism=1) as item:
        labels(key="k", value="v")
        build(inside, number(value=item.a).output)
    return value


def _over_an_output(inside: Tree, value: Any) -> Any:
    with dsl.ParallelFor(numbers(count=2).output) as item:
        build(inside, item)
        build(inside, value)
    return value


def _collected(inside: Tree, value: Any) -> Any:
    with dsl.ParallelFor([1.0, 2.0]) as item:
        build(inside)
        one = number(value=item)
        model = fitted(data=dsl.importer(artifact_uri="gs://b/d", artifact_class=Dataset).output, rate=item)
    merge(models=dsl.Collected(model.outputs["model"]))
    return total(parts=dsl.Collected(one.output)).output


def _nested(pipeline: Any, value: Any) -> Any:
    pipeline(value=1.0)
    inner(value=pipeline(value=value).output)
    return value


def _guarded(inside: Tree, value: Any) -> Any:
    with dsl.ExitHandler(report(text="bye")):
        build(inside)
        number(value=2.0)
    return None


_BUILDERS: dict[str, Callable[[Any, Any], Any]] = {
    "if": _if,
    "else": _else,
    "elif": _elif,
    "one of": _one_of,
    "loop": _loop,
    "limited": _limited,
    "loop over an output": _over_an_output,
    "collected": _collected,
    "nested": _nested,
    "guarded": _guarded,
}
