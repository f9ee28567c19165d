"""Operations are counted as the original counted them, without its slips."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.estimators.operations import operations


def workload(kind: str, model: str | None = None, params: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"task_kind": kind}
    if model is not None:
        found["model"] = {"type": model, "params": params or {}}
    if data:
        found["dataset"] = {"train_percentage": 80, "test_percentage": 20, **data}
    return found


CREDIT = {
    "original": {"n_samples": 30_000, "n_features": 24},
    "preprocessed": {"n_samples": 30_000, "n_features": 23},
}
KDD = {"original": {"n_samples": 494_021, "n_features": 41}}
MNIST = {"type": "image", "original": {"n_samples": 70_000, "input_shape": [28, 28, 1]}}
CIFAR = {"type": "image", "original": {"n_samples": 60_000, "input_shape": [32, 32, 3]}}
DENSE = [
    {"type": "Flatten", "input_shape": [28, 28, 1], "output_shape": [784]},
    {"type": "Dense", "input_shape": [784], "output_shape": [128]},
    {"type": "Dropout", "input_shape": [128], "output_shape": [128]},
    {"type": "Dense", "input_shape": [128], "output_shape": [10]},
]


def conv(given: int, made: int, before: int, after: int) -> dict[str, Any]:
    shapes = {"input_shape": [None, before, before, given], "output_shape": [None, after, after, made]}
    return {"type": "Conv2D", **shapes, "kernel_size": [3, 3], "strides": [1, 1]}


def pool(channels: int, before: int, after: int) -> dict[str, Any]:
    shapes = {"input_shape": [before, before, channels], "output_shape": [after, after, channels]}
    return {"type": "MaxPooling2D", **shapes, "pool_size": [2, 2]}


CONVOLUTIONS = [
    conv(3, 32, 32, 30),
    pool(32, 30, 15),
    conv(32, 64, 15, 13),
    pool(64, 13, 6),
    conv(64, 128, 6, 4),
    pool(128, 4, 2),
    {"type": "Dense", "input_shape": [512], "output_shape": [128]},
    {"type": "Dense", "input_shape": [128], "output_shape": [10]},
]


@pytest.mark.parametrize(
    ("model", "params", "data", "published"),
    [
        ("decision_tree", {"max_depth": 10}, CREDIT, 8.8e6),
        ("logistic_regression", {"n_iter": 100}, CREDIT, 5.6e7),
        ("svm", {"kernel": "linear", "n_iter": 1000}, KDD, 1.6e10),
        ("random_forest", {"n_estimators": 100, "max_depth": 20}, KDD, 2.9e10),
        ("nn", {"n_epochs": 10, "layers": DENSE}, MNIST, 3.4e11),
        ("cnn", {"n_epochs": 5, "layers": CONVOLUTIONS}, CIFAR, 7.6e12),
    ],
)
def test_the_efforts_of_the_original_experiment_come_out_again(
    model: str, params: dict[str, Any], data: dict[str, Any], published: float
) -> None:
    kinds = ("preprocessing", "training", "evaluation")
    counts = [operations(workload(kind, model, params, **data)) for kind in kinds]
    assert None not in counts
    assert sum(count for count in counts if count) == pytest.approx(published, rel=0.06)


def test_an_image_keeps_all_its_features_in_every_split() -> None:
    params = {"n_iter": 1}
    training = operations(workload("training", "logistic_regression", params, **MNIST))
    evaluation = operations(workload("evaluation", "logistic_regression", params, **MNIST))
    assert training == pytest.approx(56_000 * 784)
    assert evaluation == pytest.approx(14_000 * 784)


def test_a_tree_without_a_depth_limit_is_as_deep_as_its_samples_allow() -> None:
    data = {"original": {"n_samples": 10_240, "n_features": 5}}
    unlimited = operations(workload("evaluation", "decision_tree", {"max_depth": None}, **data))
    assert unlimited == pytest.approx(2_048 * 11)


def test_linear_regression_is_counted_by_its_solver() -> None:
    data = {"original": {"n_samples": 1_000, "n_features": 10}}
    assert operations(workload("training", "linear_regression", {}, **data)) == pytest.approx(800 * 100 + 1_000)
    assert operations(workload("training", "linear_regression", {"n_iter": 50}, **data)) == pytest.approx(50 * 800 * 10)


def test_more_classes_than_two_are_trained_one_against_the_rest() -> None:
    two = workload("training", "logistic_regression", {}, original={"n_samples": 100, "n_features": 4, "n_classes": 2})
    ten = workload("training", "logistic_regression", {}, original={"n_samples": 100, "n_features": 4, "n_classes": 10})
    assert operations(ten) == 10 * (operations(two) or math.nan)


@pytest.mark.parametrize("field", ["n_support_vectors", "support_vectors"])
def test_support_vectors_are_read_under_both_of_their_names(field: str) -> None:
    data = {"original": {"n_samples": 1_000, "n_features": 10}}
    found = operations(workload("evaluation", "svm", {"kernel": "rbf", field: 50}, **data))
    assert found == pytest.approx(200 * 50 * 10)


def test_parameters_are_read_under_the_documented_name_too() -> None:
    hints = workload("training", original={"n_samples": 100, "n_features": 4})
    hints["model"] = {"type": "logistic_regression", "parameters": {"n_iter": 7}}
    assert operations(hints) == pytest.approx(80 * 4 * 7)


def test_a_strided_convolution_is_not_divided_by_its_stride_twice() -> None:
    layer = {"type": "conv2d", "input_shape": [8, 8, 1], "output_shape": [4, 4, 2], "kernel_size": 3, "strides": 2}
    hints = workload("inference", "cnn", {"layers": [layer]}, original={"n_samples": 10, "input_shape": [8, 8, 1]})
    assert operations(hints) == 2 * (9 * 1 * 4 * 4 * 2) * 10


def test_stated_operations_override_what_would_be_counted() -> None:
    assert operations({**workload("training", "svm", {}, **KDD), "operations": 5}) == 5


@pytest.mark.parametrize(
    "hints",
    [
        {},
        {"task_kind": "other"},
        {"task_kind": "training"},
        workload("training", "transformer", {}, **CREDIT),
        workload("training", "svm", {}),
        workload("training", "nn", {"layers": "three"}, **MNIST),
        workload("training", "nn", {"layers": [{"type": "dense"}, 3, None]}, **MNIST),
        workload("training", "svm", {}, original={"n_samples": None, "n_features": 3}),
        {"task_kind": "training", "model": "svm", "dataset": 3},
    ],
)
def test_what_cannot_be_counted_is_none(hints: dict[str, Any]) -> None:
    assert operations(hints) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MODELS = ["linear_regression", "logistic-regression", "Decision Tree", "random_forest", "svm", "nn", "cnn", "pca", "x"]


@given(
    kind=st.sampled_from(["preprocessing", "training", "evaluation", "inference"]),
    model=st.sampled_from(MODELS),
    params=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("n_iter", "max_depth", "n_estimators", "kernel", "layers", "n_epochs"), ANYTHING),
    ),
    shape=st.fixed_dictionaries({}, optional=dict.fromkeys(("n_samples", "n_features", "input_shape"), ANYTHING)),
    share=ANYTHING,
)
def test_no_hints_however_strange_give_anything_but_a_count(
    kind: str, model: str, params: dict[str, Any], shape: dict[str, Any], share: Any
) -> None:
    found = operations(workload(kind, model, params, original=shape, train_percentage=share))
    assert found is None or 0 <= found < math.inf
