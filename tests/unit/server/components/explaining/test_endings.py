"""What is said of a task that is over: where it ran, who chose that, and of what no node was chosen for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlopx.spec import PipelineSpec
from server.components.explaining.explainer import _ended
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.run import Attempt, Run, RunOptions, TaskKey, TaskRun
from server.domain.states import Binding, TaskState
from server.platforms.kubeflow.adopting import adopt

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = AT + timedelta(seconds=7)
FILE = """
pipelineInfo: {name: two}
schemaVersion: 2.1.0
root:
  dag:
    tasks:
      load: {componentRef: {name: comp-load}}
      work: {componentRef: {name: comp-work}}
components:
  comp-load: {executorLabel: exec-load}
  comp-work: {executorLabel: exec-work}
deploymentSpec:
  executors:
    exec-load: {importer: {artifactUri: {constant: "s3://b/f"}}}
    exec-work: {container: {image: python, command: ["true"]}}
"""


@pytest.fixture(scope="module")
def spec() -> PipelineSpec:
    return adopt(FILE, "two.yaml")


def said(spec: PipelineSpec, task: str, attempt: Attempt, **more: object) -> str:
    options = RunOptions(binding=Binding.AT_SUBMISSION)
    run: Run = start_run("r", compile_graph(spec), parameters={}, options=options, at=AT).run
    one = replace(TaskRun(TaskKey(task), (attempt,)), **more)  # type: ignore[arg-type]
    return _ended(task, run, one, one.node, None, None)


def succeeded(**more: object) -> Attempt:
    attempt = Attempt(1, TaskState.SUCCEEDED, started_at=AT, finished_at=LATER)
    return replace(attempt, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "attempt", "sentence"),
    [
        ("load", succeeded(), "load succeeded: the platform does this itself, and no node is chosen for it."),
        ("work", succeeded(), "work ran for 7.0 s; on which node is not known."),
        ("work", succeeded(actual_node="b"), "work ran on b for 7.0 s, which the platform's own scheduler chose."),
        ("work", succeeded(node="a", actual_node="a"), "work ran on a for 7.0 s."),
    ],
)
def test_who_chose_the_node_is_said_where_it_is_known(
    spec: PipelineSpec, task: str, attempt: Attempt, sentence: str
) -> None:
    assert said(spec, task, attempt) == sentence


def test_what_came_from_a_cache_ran_on_no_node(spec: PipelineSpec) -> None:
    text = said(spec, "work", Attempt(1, TaskState.SUCCEEDED, node="a"), from_cache=True)
    assert text == "work did not run: the same work had been done before, and its result was reused."


def test_what_ended_before_it_began_has_no_node() -> None:
    for state in (TaskState.CANCELLED, TaskState.FAILED):
        waited = TaskRun(TaskKey("a"), (Attempt(1, state, node="one"),))
        ran = TaskRun(TaskKey("a"), (Attempt(1, state, node="one", actual_node="two"),))
        assert (waited.node, ran.node) == (None, "two")
