"""Tasks that share an executor get one each; what runs nothing is left as it is."""

from __future__ import annotations

import copy
from typing import Any

from server.platforms.kubeflow.placing.splitting import split


def a_pipeline(component: dict[str, Any]) -> dict[str, Any]:
    """Two tasks of one component."""
    tasks = {name: {"componentRef": {"name": "comp-a"}} for name in ("first", "second")}
    return {
        "root": {"dag": {"tasks": tasks}},
        "components": {"comp-a": component},
        "deploymentSpec": {"executors": {"exec-a": {"container": {"image": "a"}}}},
    }


def test_two_tasks_of_one_component_get_an_executor_each() -> None:
    pipeline = a_pipeline({"executorLabel": "exec-a"})
    assert split(pipeline, None) == {"first": "exec-a", "second": "exec-a-2"}
    assert pipeline["deploymentSpec"]["executors"]["exec-a-2"] == {"container": {"image": "a"}}
    assert pipeline["root"]["dag"]["tasks"]["second"]["componentRef"]["name"] == "comp-a-2"


def test_a_component_that_the_sdk_left_without_dag_and_executor_is_left_alone() -> None:
    pipeline = a_pipeline({"inputDefinitions": {"parameters": {"x": {"parameterType": "NUMBER_DOUBLE"}}}})
    before = copy.deepcopy(pipeline)
    assert split(pipeline, None) == {"first": "", "second": ""}
    assert pipeline == before
