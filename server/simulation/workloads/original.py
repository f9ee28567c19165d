"""Experiments A and B of the original MLOpX (Rodrigues, Corona, Antunes, Aguiar; Electronics 2025, 14(13), 2555).

Facts: the pipelines, their order and times of submission, three tasks in a chain, eleven nodes in four classes, and
the published execution times per pipeline. Fitted: how a pipeline's time splits over its tasks, and how much slower
training a network is on each class of node. Eight of ten pipelines took the same time everywhere, within a few per
cent (overhead dominates them), so their tasks are given the same seconds on all nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlopx.spec import ModelHints, WorkloadHints
from mlopx.spec.hints import TaskKind
from server.simulation.machines import Machine
from server.simulation.scenario import GeneratorTable
from server.simulation.work import Arrival, TaskWork, Way, Work, make_work

GPU = "nvidia.com/gpu"
CPUS, MEMORY_BYTES = 1000, 512 * 2**20
KINDS = ("low", "low-arm", "med", "med-arm", "high-cpu", "high-cpu-arm", "high-gpu")
NEURAL_KINDS = ("high-cpu", "high-gpu")

SUBMIT_EVERY_SECONDS = 0.4
SUBMISSIONS_B = (0.0, 245.0, 495.0)
"""Fitted to what is published: their windows were processed at 0, 249 and 499 s."""

SHARES = (0.36, 0.38, 0.26)
"""Fitted: how an overhead-bound pipeline's time splits (the first task bears the start of the run)."""

EXECUTION_SECONDS: Mapping[str, float] = {
    "unsw-rf": 146.9,
    "credit-lr": 120.3,
    "adult-lr": 124.4,
    "adult-dt": 121.4,
    "kdd-rf": 139.0,
    "unsw-svm": 147.5,
    "credit-dt": 118.7,
    "kdd-svm": 136.6,
    "credit-svm": 130.0,
    "wine-dt": 115.0,
    "wine-lr": 115.0,
    "credit-rf": 130.0,
}
"""Published: the mean over all five strategies. The last four are fitted: B's own pipelines have no published times."""

TRAINING: Mapping[str, tuple[float, Mapping[str, float]]] = {
    "mnist-nn": (56.0, {"low": 118.0, "low-arm": 128.0, "med": 108.0, "med-arm": 113.0, "high-cpu": 104.0}),
    "fashion-nn": (56.0, {"low": 118.0, "low-arm": 128.0, "med": 108.0, "med-arm": 113.0, "high-cpu": 104.0}),
    "unsw-nn": (60.0, {"low": 160.0, "low-arm": 185.0, "med": 145.0, "med-arm": 160.0, "high-cpu": 125.0}),
    "cifar-cnn": (54.0, {"low": 355.0, "low-arm": 413.0, "med": 315.0, "med-arm": 330.0, "high-cpu": 300.0}),
    "fashion-cnn": (54.0, {"low": 350.0, "low-arm": 375.0, "med": 310.0, "med-arm": 330.0, "high-cpu": 270.0}),
    "citrus-cnn": (54.0, {"low": 350.0, "low-arm": 375.0, "med": 310.0, "med-arm": 330.0, "high-cpu": 270.0}),
}
"""Seconds of training a network: with a GPU, and by kind of node without. Published are 156 s (GPU) and 401 s (CPU) in
all for CIFAR, 158 s and 205 s for MNIST, and 514 s and 219 s where round robin led; fitted is all between them."""

OPERATIONS: Mapping[str, float] = {
    "wine-dt": 7e5,
    "wine-lr": 4.3e6,
    "credit-dt": 8.8e6,
    "adult-dt": 1.2e7,
    "credit-lr": 5.6e7,
    "adult-lr": 7.2e7,
    "credit-svm": 5.6e8,
    "credit-rf": 8e8,
    "unsw-svm": 8.5e9,
    "unsw-rf": 1.4e10,
    "kdd-svm": 1.6e10,
    "kdd-rf": 2.9e10,
    "unsw-nn": 1e11,
    "mnist-nn": 3.4e11,
    "fashion-nn": 3.4e11,
    "citrus-cnn": 1e12,
    "fashion-cnn": 4e12,
    "cifar-cnn": 7.6e12,
}
"""Counted by the original's rules from its metadata; those of the networks of B are our guess at their order."""

NEURAL_OVERHEAD = (55.0, 46.0)
"""Fitted: preprocessing and evaluation of a network's pipeline."""

CNN_MEMORY_BYTES = 2_881_088 * 1024
"""Published: what the CIFAR pipeline requests for preprocessing and training."""

ORDER_A = (
    *("unsw-rf", "credit-lr", "cifar-cnn", "adult-lr", "adult-dt"),
    *("kdd-rf", "unsw-svm", "credit-dt", "kdd-svm", "mnist-nn"),
)
ORDER_B = (
    ("kdd-rf", "adult-dt", "credit-lr", "credit-svm", "mnist-nn", "cifar-cnn"),
    ("fashion-cnn", "wine-dt", "kdd-svm", "adult-lr", "unsw-rf", "unsw-nn"),
    ("fashion-nn", "unsw-svm", "wine-lr", "credit-dt", "citrus-cnn", "credit-rf"),
)
MODELS = {
    "lr": "logistic_regression",
    "dt": "decision_tree",
    "rf": "random_forest",
    "svm": "svm",
    "nn": "nn",
    "cnn": "cnn",
}


def experiment_a(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Ten pipelines, one every 0.4 s."""
    return _submitted(ORDER_A, 0.0)


def experiment_b(table: GeneratorTable, machines: Sequence[Machine], seed: int) -> list[Arrival]:
    """Three submissions of six pipelines, four minutes apart."""
    found: list[Arrival] = []
    for at, names in zip(SUBMISSIONS_B, ORDER_B, strict=True):
        found.extend(_submitted(names, at))
    return found


def _submitted(names: Sequence[str], at: float) -> list[Arrival]:
    return [
        Arrival(round(at + index * SUBMIT_EVERY_SECONDS, 3), name, _pipeline(name)) for index, name in enumerate(names)
    ]


def _pipeline(name: str) -> Work:
    model = MODELS[name.rpartition("-")[2]]
    if name in TRAINING:
        with_gpu, by_kind = TRAINING[name]
        first, last = (dict.fromkeys(KINDS, seconds) for seconds in NEURAL_OVERHEAD)
        training = _neural(with_gpu, by_kind)
        memory = CNN_MEMORY_BYTES if model == "cnn" else MEMORY_BYTES
    else:
        first, train, last = (dict.fromkeys(KINDS, EXECUTION_SECONDS[name] * share) for share in SHARES)
        training, memory = (Way(train, CPUS, MEMORY_BYTES),), MEMORY_BYTES
    training = tuple(Way(way.seconds, way.cpu_millicores, memory, way.accelerator, 1, way.name) for way in training)
    tasks = [
        TaskWork("preprocessing", (Way(first, CPUS, memory),), hints=WorkloadHints(task_kind="preprocessing")),
        TaskWork("training", training, (0,), hints=_hints("training", model, OPERATIONS[name])),
        TaskWork("evaluation", (Way(last, CPUS, MEMORY_BYTES),), (0, 1), hints=_hints("evaluation", model)),
    ]
    return make_work(name, tasks, kinds=KINDS)


def _neural(with_gpu: float, by_kind: Mapping[str, float]) -> tuple[Way, ...]:
    seconds = {**by_kind, "high-cpu-arm": by_kind["med-arm"], "high-gpu": by_kind["high-cpu"]}
    return (
        Way({"high-gpu": with_gpu}, CPUS, MEMORY_BYTES, GPU, name="gpu"),
        Way(seconds, CPUS, MEMORY_BYTES, name="cpu"),
    )


def _hints(kind: TaskKind, model: str, operations: float | None = None) -> WorkloadHints:
    return WorkloadHints(task_kind=kind, model=ModelHints(type=model), operations=operations)


__all__ = ["experiment_a", "experiment_b"]
