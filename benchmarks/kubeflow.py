"""What it costs to read, place and write a Kubeflow pipeline of 500 tasks, and how large its Workflow becomes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import yaml

from benchmarks.measure import Measure
from mlopx import component, pipeline
from server.kube.own_runs import OURS_LABEL
from server.platforms.kubeflow.compile import compile_spec
from server.platforms.kubeflow.compile.sizes import size_problems, workflow_bytes
from server.platforms.kubeflow.placing import TaskPlacement, place_pipeline
from server.platforms.kubeflow.placing.merging import merged
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_container, a_node, a_pipeline, a_task

TASKS = 500
ROUNDS = 7
SOURCE_LINES = 25


@component
def step(x: float) -> float:
    return x + 1


@pipeline
def many() -> None:
    """A chain of tasks of one component."""
    previous = step(x=0.0).named("t0")
    for number in range(1, TASKS):
        previous = step(x=previous.output).named(f"t{number}")


def measure(_: Path) -> Iterator[Measure]:
    """Processor time, the best of several rounds; the file is as large as the SDK's are."""
    text = _pipeline()
    nodes = [a_node(f"node-{index}", zone="ab"[index % 2]) for index in range(8)]
    seconds, plain = [], []
    for _round in range(ROUNDS):
        started = time.process_time()
        list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        plain.append(time.process_time() - started)
        started = time.process_time()
        read = read_pipeline(text)
        placements = {
            task.path: TaskPlacement((nodes[index % 8], nodes[(index + 2) % 8], nodes[(index + 4) % 8]))
            for index, task in enumerate(read.placeable())
        }
        placed = place_pipeline(read, placements)
        assert not size_problems(placed.pipeline, placed.platform)
        seconds.append(time.process_time() - started)
    size = f"{len(text) / 1e6:.1f} MB"
    yield Measure(
        f"read, place, write and weigh {TASKS} tasks ({size})",
        1000 * min(seconds),
        "ms of CPU",
        most=150,
        baseline=1000 * min(plain),
        baseline_name="PyYAML alone reads it (libyaml)",
    )
    made = compile_spec(many.build())
    yield Measure(f"workflow of {TASKS} tasks", workflow_bytes(made.pipeline, made.platform) / 2**20, "MiB", most=1)
    own = read_pipeline(made.text)
    marked = {
        task.path: TaskPlacement((nodes[index % 8], nodes[(index + 2) % 8]), labels={OURS_LABEL: "many-a6use3jjke"})
        for index, task in enumerate(own.placeable())
    }
    both = place_pipeline(own, marked)
    small = workflow_bytes(*merged(both.pipeline, both.platform)) / 2**20
    yield Measure(f"workflow of {TASKS} placed tasks, as it is sent", small, "MiB", most=1)


def _pipeline() -> str:
    names = [f"t{number}" for number in range(TASKS)]
    source = "".join(f"    line_{line} = {line}  # one of the lines of a step\n" for line in range(SOURCE_LINES))
    ports = {"parameters": {"x": {"parameterType": "NUMBER_DOUBLE"}, "name": {"parameterType": "STRING"}}}
    return a_pipeline(
        {name: a_task(f"comp-{name}", *names[max(index - 1, 0) : index]) for index, name in enumerate(names)},
        {f"comp-{name}": {"executorLabel": f"exec-{name}", "inputDefinitions": deepcopy(ports)} for name in names},
        {f"exec-{name}": a_container(args=["--executor_input", "{{$}}", source]) for name in names},
        {f"exec-{name}": {"tolerations": [{"key": "any", "operator": "Exists"}]} for name in names[::4]},
    )  # no part of it occurs twice: the SDK writes no aliases, which are read more slowly
