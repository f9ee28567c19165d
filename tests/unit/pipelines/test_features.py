"""Together, the examples show every feature of the library; a feature that is dropped from them fails here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mlopx import Pipeline
from mlopx.spec import (
    ArtifactInput,
    ArtifactOutput,
    Collect,
    ConditionScope,
    Const,
    LoopScope,
    NfsSource,
    OneOf,
    OutputRef,
    PipelineScope,
    PipelineSpec,
    PvcSource,
    RunFact,
    Task,
    VolumePath,
)

EXAMPLES = ("bikes", "diamonds", "digits", "languages", "segments")

Specs = list[PipelineSpec]


@pytest.fixture(scope="module")
def specs(load: Callable[[str], Pipeline]) -> Specs:
    return [load(name).build() for name in EXAMPLES]


def tasks(specs: Specs) -> Iterator[Task]:
    for spec in specs:
        yield from spec.tasks.values()


def conditions(specs: Specs) -> list[ConditionScope]:
    return [scope for spec in specs for scope in spec.scopes.values() if isinstance(scope, ConditionScope)]


FEATURES: dict[str, Callable[[Specs], object]] = {
    "parameters with defaults": lambda specs: any(one.optional for spec in specs for one in spec.parameters.values()),
    "several outputs of one task": lambda specs: any(
        len(one.outputs) > 2 for spec in specs for one in spec.components.values()
    ),
    "named outputs": lambda specs: any("accuracy" in one.outputs for spec in specs for one in spec.components.values()),
    "a list of artifacts": lambda specs: any(
        isinstance(port, ArtifactInput) and port.is_list
        for spec in specs
        for one in spec.components.values()
        for port in one.inputs.values()
    ),
    "a condition on an upstream value": lambda specs: any(
        isinstance(clause.left, OutputRef) for scope in conditions(specs) for clause in scope.when
    ),
    "elif": lambda specs: any(scope.when and scope.unless for scope in conditions(specs)),
    "else": lambda specs: any(not scope.when and scope.unless for scope in conditions(specs)),
    "joining branches": lambda specs: any(
        isinstance(value, OneOf) for task in tasks(specs) for value in task.arguments.values()
    ),
    "a loop over a static list, with a width": lambda specs: any(
        isinstance(scope, LoopScope) and isinstance(scope.items, Const) and scope.width
        for spec in specs
        for scope in spec.scopes.values()
    ),
    "a loop over an upstream list, with a width": lambda specs: any(
        isinstance(scope, LoopScope) and isinstance(scope.items, OutputRef) and scope.width
        for spec in specs
        for scope in spec.scopes.values()
    ),
    "fan-in": lambda specs: any(
        isinstance(value, Collect) for task in tasks(specs) for value in task.arguments.values()
    ),
    "one nested pipeline used twice": lambda specs: any(
        len([scope for scope in spec.scopes.values() if isinstance(scope, PipelineScope)]) == 2 for spec in specs
    ),
    "an exit task": lambda specs: any(spec.exit_task for spec in specs),
    "facts of the run": lambda specs: any(
        isinstance(value, RunFact) for task in tasks(specs) for value in task.arguments.values()
    ),
    "after": lambda specs: any(task.after for task in tasks(specs)),
    "packages": lambda specs: any(one.packages for spec in specs for one in spec.components.values()),
    "cpu and memory": lambda specs: any(
        task.resources.cpu_millicores and task.resources.memory_bytes for task in tasks(specs)
    ),
    "a gpu with memory or cpus instead, each with an image": lambda specs: any(
        [option.resources.accelerator is not None for option in task.options] == [True, False]
        and all(option.image for option in task.options)
        and (gpu := task.options[0].resources.accelerator) is not None
        and gpu.memory_bytes
        for task in tasks(specs)
    ),
    "environment of an option": lambda specs: any(one.environment for task in tasks(specs) for one in task.options),
    "node constraints": lambda specs: (
        {one.operator for task in tasks(specs) for one in task.requirements} >= {"In", "NotIn"}
    ),
    "weighted preferences": lambda specs: len({one.weight for task in tasks(specs) for one in task.preferences}) > 1,
    "tolerations": lambda specs: (
        {one.operator for task in tasks(specs) for one in task.tolerations} == {"Equal", "Exists"}
    ),
    "volumes": lambda specs: all(
        any(isinstance(value, VolumePath) for task in spec.tasks.values() for value in task.arguments.values())
        and any(isinstance(one.source, PvcSource) and one.read_only for t in spec.tasks.values() for one in t.volumes)
        for spec in specs
    ),
    "retries with backoff": lambda specs: any(task.retry and task.retry.backoff_seconds for task in tasks(specs)),
    "timeout": lambda specs: any(task.timeout_seconds for task in tasks(specs)),
    "cache off": lambda specs: any(not task.cache for task in tasks(specs)),
    "environment": lambda specs: any(task.environment for task in tasks(specs)),
    "secret": lambda specs: any(task.secrets for task in tasks(specs)),
    "interruptible": lambda specs: any(task.interruptible for task in tasks(specs)),
    "priority": lambda specs: {spec.run.priority > 0 for spec in specs} == {True, False},
    "project": lambda specs: len({spec.run.project for spec in specs}) > 2,
    "deadline": lambda specs: any(spec.run.deadline_seconds for spec in specs),
    "hints in code": lambda specs: any(task.hints and task.hints.model for task in tasks(specs)),
    "hints as a file": lambda specs: any(spec.hints and spec.hints.dataset for spec in specs),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_the_examples_show(specs: Specs, feature: str) -> None:
    assert FEATURES[feature](specs)


@pytest.mark.parametrize(
    "kind", ["Artifact", "Dataset", "Model", "Metrics", "ClassificationMetrics", "HTML", "Markdown"]
)
def test_the_examples_write_every_type_of_artifact(specs: Specs, kind: str) -> None:
    written = {
        port.type
        for spec in specs
        for component in spec.components.values()
        for port in component.outputs.values()
        if isinstance(port, ArtifactOutput)
    }
    assert kind in written


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_writes_metrics(load: Callable[[str], Pipeline], name: str) -> None:
    components = load(name).build().components.values()
    types = {port.type for one in components for port in one.outputs.values()}
    assert types & {"Metrics", "ClassificationMetrics"}


def test_a_node_can_be_named_from_the_environment(
    load: Callable[[str], Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load("digits").build().tasks["train-network"].node is None
    monkeypatch.setenv("DIGITS_NODE", "big-box")
    assert load("digits").build().tasks["train-network"].node == "big-box"


def test_the_data_can_lie_on_an_nfs_server(load: Callable[[str], Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASETS_NFS", "files.example.org")
    (volume,) = load("bikes").build().tasks["check"].volumes
    assert volume.source == NfsSource(server="files.example.org", path="/datasets")


def test_no_example_needs_more_than_one_cpu_so_that_small_nodes_can_run_it(specs: Specs) -> None:
    for task in tasks(specs):
        asked = [task.resources, *(option.resources for option in task.options)]
        assert all((one.cpu_millicores or 1000) <= 1000 for one in asked)
        assert all((one.memory_bytes or 0) <= 1024**3 for one in asked)
