"""What a definition asks for that there is not is answered with advice, at the line that asks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Model, Output, component, pipeline
from mlopx.errors import DefinitionError


@component
def train(depth: int, model: Output[Model]) -> float:
    return float(depth)


@pipeline
def inner() -> Any:
    return {"score": train(depth=1).outputs["output"]}


@pytest.mark.parametrize(
    ("asks", "said", "hint"),
    [
        (lambda task: task.retries(3), "task 'train' has no 'retries'", "did you mean .retry?"),
        (lambda task: task.model, "task 'train' has no 'model'", "an output is read from .outputs['model']"),
        (lambda task: task.xyz(), "task 'train' has no 'xyz'", "there are: after, any_of"),
        (lambda task: train.retry(3), "component 'train' has no 'retry'", "call it first: train(...).retry"),
        (lambda task: task.outputs["output"].mean(), "a value of the run has no 'mean'", "pass it to a task"),
        (lambda task: inner().score, "nested pipeline 'inner' has no 'score'", "read from .outputs['score']"),
        (lambda task: inner().retry(2), "nested pipeline 'inner' has no 'retry'", "inside the nested pipeline"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(asks: Callable[[Any], Any], said: str, hint: str) -> None:
    @pipeline
    def churn() -> None:
        asks(train(depth=3))

    with pytest.raises(DefinitionError) as caught:
        churn.build()
    assert caught.value.message == said
    assert hint in (caught.value.hint or "")
    assert "test_advice.py:" in (caught.value.where or "")


def test_python_still_sees_that_there_is_no_such_attribute() -> None:
    @pipeline
    def churn() -> None:
        task = train(depth=3)
        assert not hasattr(task, "retries")
        assert not hasattr(task.outputs["output"], "mean")
        assert not hasattr(train, "retry")
        assert copy.copy(task).path == task.path

    churn.build()
