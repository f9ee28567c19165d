"""Arithmetic operations of a task, counted from its workload hints alone.

The counts are those of the original (Rodrigues et al., Electronics 2025, 14(13), 2555) with their slips mended: the
number of features does not shrink with the split of the samples, an image has as many features as its shape says, trees
of unlimited depth are as deep as their samples allow, one-vs-rest training counts every class, a strided convolution
is not divided by its stride a second time, and a kernel machine takes about n^2 f operations whatever its iteration
limit. Anything that cannot be counted is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_TRAIN_FRACTION, DEFAULT_TEST_FRACTION = 0.8, 0.2
MOST_OPERATIONS = 1e24


@dataclass(frozen=True, slots=True)
class Work:
    """What a model is trained on or asked about: samples `n`, features `f`, classes, and the model's parameters."""

    n: float
    f: float
    classes: int
    params: Mapping[str, Any]

    def number(self, *names: str, default: float) -> float:
        """The first of the parameters that is a positive number."""
        for name in names:
            value = self.params.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
                return float(value)
        return default

    @property
    def log_n(self) -> float:
        """Levels of a balanced tree over the samples, at least one."""
        return max(1.0, math.log2(max(self.n, 2.0)))

    @property
    def depth(self) -> float:
        """Depth of a tree: its limit, or what the samples allow."""
        return min(self.number("max_depth", default=self.log_n), max(self.n, 1.0))

    @property
    def models(self) -> int:
        """One-vs-rest: one model per class where there are more than two."""
        return self.classes if self.classes > 2 else 1


def operations(workload: Mapping[str, Any]) -> float | None:
    """Operations of a task with these hints (`WorkloadHints` as plain values), or None if that cannot be said."""
    if not workload:
        return None
    stated = workload.get("operations")
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated >= 0:
        return min(float(stated), MOST_OPERATIONS)
    kind = str(workload.get("task_kind") or "").lower()
    counted: float | None = None
    if kind == "preprocessing":
        raw = _work(workload, "original", 1.0)
        counted = raw.n * raw.f if raw is not None else None
    elif kind in ("training", "evaluation", "inference"):
        counted = _model_operations(workload, kind)
    if counted is None or not math.isfinite(counted) or counted < 0:
        return None
    return min(counted, MOST_OPERATIONS)


def family(workload: Mapping[str, Any]) -> str:
    """The model family in lower-case letters only, empty where none is given."""
    model = workload.get("model")
    name = str(model.get("type") or "") if isinstance(model, Mapping) else ""
    return "".join(filter(str.isalnum, name.lower()))


def _model_operations(workload: Mapping[str, Any], kind: str) -> float | None:
    counters = TRAINING if kind == "training" else PREDICTION
    counter = counters.get(family(workload))
    work = _work(workload, "preprocessed", _fraction(workload, kind))
    return counter(work) if counter is not None and work is not None else None


def _fraction(workload: Mapping[str, Any], kind: str) -> float:
    """The share of the samples that the task sees. Percentages are 0 to 100; up to 1 they are taken as fractions."""
    if kind == "inference":
        return 1.0
    name, default = ("train", DEFAULT_TRAIN_FRACTION) if kind == "training" else ("test", DEFAULT_TEST_FRACTION)
    dataset = workload.get("dataset")
    percentage = dataset.get(f"{name}_percentage") if isinstance(dataset, Mapping) else None
    if not isinstance(percentage, int | float) or percentage <= 0:
        return default
    return min(percentage if percentage <= 1 else percentage / 100, 1.0)


def _work(workload: Mapping[str, Any], stage: str, fraction: float) -> Work | None:
    """Samples and features at a stage of the data set (or at the other one, where only that is given)."""
    dataset = workload.get("dataset")
    if not isinstance(dataset, Mapping):
        return None
    other = "original" if stage == "preprocessed" else "preprocessed"
    shapes = [shape for name in (stage, other) if isinstance(shape := dataset.get(name), Mapping)]
    samples = _first_number(shape.get("n_samples") for shape in shapes)
    features = _first_number(_features(shape) for shape in shapes)
    if samples is None or features is None:
        return None
    classes = _first_number(shape.get("n_classes") for shape in shapes) or 0
    model = workload.get("model")
    params = (model.get("params") or model.get("parameters")) if isinstance(model, Mapping) else None
    return Work(samples * fraction, features, int(classes), params if isinstance(params, Mapping) else {})


def _features(shape: Mapping[str, Any]) -> float | None:
    """Features of one sample: as given, or the product of an image's shape."""
    dimensions = _dimensions(shape.get("input_shape"))
    return float(math.prod(dimensions)) if dimensions else _first_number([shape.get("n_features")])


def _first_number(values: Any) -> float | None:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
    return None


def _linear_training(work: Work) -> float:
    if "n_iter" in work.params or str(work.params.get("solver", "")).lower() == "sgd":
        return work.number("n_iter", "max_iter", default=1000) * work.n * work.f
    return work.n * work.f**2 + work.f**3


def _logistic_training(work: Work) -> float:
    return work.n * work.f * work.number("n_iter", "max_iter", default=100) * work.models


def _tree_training(work: Work) -> float:
    return work.f * work.n * work.log_n


def _forest_training(work: Work) -> float:
    return work.number("n_estimators", default=100) * _tree_training(work)


def _forest_prediction(work: Work) -> float:
    return work.n * work.number("n_estimators", default=100) * work.depth


def _is_linear_kernel(work: Work) -> bool:
    return str(work.params.get("kernel", "linear")).lower() == "linear"


def _svm_training(work: Work) -> float:
    if _is_linear_kernel(work):
        return work.n * work.f * work.number("n_iter", "max_iter", default=1000) * work.models
    return work.n**2 * work.f


def _svm_prediction(work: Work) -> float:
    if _is_linear_kernel(work):
        return work.n * work.f * work.models
    vectors = work.number("n_support_vectors", "support_vectors", "n_sv", default=work.n)
    return work.n * vectors * work.f


def _network_training(work: Work) -> float | None:
    macs = _network_macs(work.params.get("layers"))
    return None if macs is None else 6 * macs * work.number("n_epochs", "epochs", default=1) * work.n


def _network_prediction(work: Work) -> float | None:
    macs = _network_macs(work.params.get("layers"))
    return None if macs is None else 2 * macs * work.n


def _network_macs(layers: Any) -> float | None:
    """Multiply-accumulates of one sample's way through the network; None where no layer can be counted."""
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        return None
    counted = [_layer_macs(layer) for layer in layers if isinstance(layer, Mapping)]
    total = sum(macs for macs in counted if macs is not None)
    return total or None


def _layer_macs(layer: Mapping[str, Any]) -> float | None:
    kind = "".join(filter(str.isalnum, str(layer.get("type", "")).lower()))
    given, made = _dimensions(layer.get("input_shape")), _dimensions(layer.get("output_shape"))
    if kind.startswith(("dense", "linear")) and given and made:
        return float(given[-1] * made[-1] + made[-1])
    if not kind.startswith(("conv", "maxpool", "averagepool", "avgpool")) or not given or not made:
        return None
    window = _dimensions(layer.get("kernel_size")) or _dimensions(layer.get("pool_size")) or [2, 2]
    area = window[0] ** 2 if len(window) == 1 else math.prod(window)
    places = math.prod(made[:-1]) if len(made) > 1 else 1
    return float(area * given[-1] * places * (made[-1] if kind.startswith("conv") else 1))


def _dimensions(shape: Any) -> list[int]:
    """Positive whole numbers of a shape; a batch dimension of None is left out."""
    values = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else [shape]
    return [int(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 1e12]


def _pca(work: Work) -> float:
    return work.n * work.f**2 + work.f**3


def _tsne(work: Work) -> float:
    return work.number("n_iter", "max_iter", default=1000) * work.n * work.log_n + work.n * work.f * work.log_n


Counter = Callable[[Work], float | None]

TRAINING: Mapping[str, Counter] = {
    "linearregression": _linear_training,
    "logisticregression": _logistic_training,
    "decisiontree": _tree_training,
    "randomforest": _forest_training,
    "svm": _svm_training,
    "nn": _network_training,
    "cnn": _network_training,
    "pca": _pca,
    "tsne": _tsne,
}
PREDICTION: Mapping[str, Counter] = {
    "linearregression": lambda work: work.n * work.f,
    "logisticregression": lambda work: work.n * work.f * work.models,
    "decisiontree": lambda work: work.n * work.depth,
    "randomforest": _forest_prediction,
    "svm": _svm_prediction,
    "nn": _network_prediction,
    "cnn": _network_prediction,
    "pca": lambda work: work.n * work.f,
}

__all__ = ["MOST_OPERATIONS", "Work", "family", "operations"]
