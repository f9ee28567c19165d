"""From hints alone: is the order of the original experiment's ten pipelines right?

Sizes and models are those that the pipelines of the paper state (Rodrigues et al., Electronics 2025, 14(13), 2555); the
times are those it reports for the scheduler of the cluster, which places without looking at efforts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measure import Measure
from server.domain.node import Node
from server.domain.resources import Resources
from server.estimators.chain import ChainEstimator
from server.estimators.interface import Profile

DATA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adult": ({"n_samples": 48_842, "n_features": 14}, {"n_samples": 74_218, "n_features": 12}),
    "credit": ({"n_samples": 30_000, "n_features": 24}, {"n_samples": 30_000, "n_features": 23}),
    "kdd": ({"n_samples": 494_021, "n_features": 41}, {"n_samples": 494_021, "n_features": 41}),
    "unsw": ({"n_samples": 257_673, "n_features": 43}, {"n_samples": 257_673, "n_features": 41}),
    "mnist": ({"n_samples": 70_000, "input_shape": [28, 28, 1]}, {"n_samples": 70_000, "input_shape": [28, 28, 1]}),
    "cifar": ({"n_samples": 60_000, "input_shape": [32, 32, 3]}, {"n_samples": 60_000, "input_shape": [32, 32, 3]}),
}
DENSE = [
    {"type": "dense", "input_shape": [784], "output_shape": [128]},
    {"type": "dense", "input_shape": [128], "output_shape": [10]},
]
CONVOLUTIONS = [
    {"type": "conv2d", "input_shape": [32, 32, 3], "output_shape": [30, 30, 32], "kernel_size": 3},
    {"type": "conv2d", "input_shape": [15, 15, 32], "output_shape": [13, 13, 64], "kernel_size": 3},
    {"type": "conv2d", "input_shape": [6, 6, 64], "output_shape": [4, 4, 128], "kernel_size": 3},
    {"type": "dense", "input_shape": [512], "output_shape": [128]},
    {"type": "dense", "input_shape": [128], "output_shape": [10]},
]
MODELS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"n_iter": 100},
    "decision_tree": {"max_depth": 10},
    "random_forest": {"n_estimators": 100, "max_depth": 20},
    "svm": {"kernel": "linear", "n_iter": 1000},
    "nn": {"n_epochs": 10, "layers": DENSE},
    "cnn": {"n_epochs": 5, "layers": CONVOLUTIONS},
}
SECONDS = {
    ("unsw", "random_forest"): 151.2,
    ("credit", "logistic_regression"): 116.2,
    ("cifar", "cnn"): 401.4,
    ("adult", "logistic_regression"): 126.0,
    ("adult", "decision_tree"): 122.6,
    ("kdd", "random_forest"): 142.2,
    ("unsw", "svm"): 143.4,
    ("credit", "decision_tree"): 116.8,
    ("kdd", "svm"): 131.6,
    ("mnist", "nn"): 204.6,
}


def cold_start() -> Iterator[Measure]:
    """Rank correlation of the estimated and the reported times of whole pipelines."""
    estimated = [_pipeline(*which) for which in SECONDS]
    found = rank_correlation(estimated, list(SECONDS.values()))
    yield Measure("order of the original's ten pipelines from hints alone", found, "", least=0.9)


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float:
    """Spearman's, without ties."""
    ranks = [[sorted(values).index(value) for value in values] for values in (left, right)]
    apart = sum((one - other) ** 2 for one, other in zip(*ranks, strict=True))
    count = len(left)
    return 1 - 6 * apart / (count * (count**2 - 1))


def _pipeline(data: str, model: str) -> float:
    """Seconds of its three tasks, one after another, on one node."""
    original, preprocessed = DATA[data]
    dataset = {"type": "tabular", "original": original, "preprocessed": preprocessed}
    hints = {"dataset": dataset, "model": {"type": model, "params": MODELS[model]}}
    kinds = ("preprocessing", "training", "evaluation")
    profiles = [Profile(kind, kind, "default", 1000, workload={"task_kind": kind, **hints}) for kind in kinds]
    rows = ChainEstimator().estimate(profiles, [Node("n", Resources(cpu_millicores=4000))])
    return sum(estimate.p50 for (estimate,) in rows if estimate is not None)
