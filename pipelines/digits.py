"""A neural network on a GPU or on a CPU, whichever lets the queue finish first: which digit was written?

The training task offers two ways to run and is told which one it got: the GPU trains the wider network.

    python pipelines/digits.py --wait -p epochs=40
    DIGITS_NODE=big-box python pipelines/digits.py   # train on this node and no other
"""

import os
from typing import NamedTuple

from mlopx import (
    HTML,
    ClassificationMetrics,
    Dataset,
    Else,
    If,
    Input,
    Metrics,
    Model,
    Output,
    TaskInfo,
    Volume,
    component,
    node_label,
    option,
    pipeline,
)

DATASETS = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


class Score(NamedTuple):
    accuracy: float
    mistakes: int


@component(packages=["numpy"], cpu=0.5, memory="256Mi", kind="preprocessing")
def load(table: str, train: Output[Dataset], test: Output[Dataset]) -> None:
    """Read the images, scale the pixels to 0..1, keep every fifth image for the test."""
    import csv
    import gzip

    import numpy as np

    with gzip.open(table, "rt", newline="") as file:
        _, *rows = csv.reader(file)
    numbers = np.array(rows, dtype=np.float32)
    is_test = np.arange(len(numbers)) % 5 == 4
    for part, chosen in ((train, numbers[~is_test]), (test, numbers[is_test])):
        with open(part.path, "wb") as file:
            np.savez_compressed(file, pixels=chosen[:, :-1] / 16, digits=chosen[:, -1].astype(np.int64))
        part.metadata["images"] = len(chosen)
    print(f"{(~is_test).sum()} images to train, {is_test.sum()} to test")


@component(packages=["scikit-learn"])
def train_network(
    train: Input[Dataset], epochs: int, rate: float, model: Output[Model], metrics: Output[Metrics], task: TaskInfo
) -> None:
    """Train a multi-layer perceptron; how wide it is depends on what the task runs on."""
    import joblib
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    hidden, batch = ((256, 128), 256) if task.option == "gpu" else ((64,), 64)
    print(f"running as option {task.option!r} on node {task.node}: hidden layers {hidden}, batches of {batch}")
    data = np.load(train.path)
    network = MLPClassifier(hidden, batch_size=batch, learning_rate_init=rate, random_state=0)
    for epoch in range(1, epochs + 1):
        network.partial_fit(data["pixels"], data["digits"], classes=np.arange(10))
        if epoch % 5 == 0 or epoch == epochs:
            print(f"epoch {epoch}: loss {network.loss_:.4f}")
    joblib.dump(network, model.path)
    model.metadata.update(option=task.option, hidden=list(hidden))
    metrics.log_metric("loss", float(network.loss_))


@component(packages=["scikit-learn"], cpu=0.5, memory="512Mi", kind="evaluation")
def evaluate(
    model: Input[Model], test: Input[Dataset], metrics: Output[ClassificationMetrics], wrong: Output[Dataset]
) -> Score:
    """Accuracy and confusion matrix on the test images; keeps the images that were misread."""
    import joblib
    import numpy as np
    from sklearn.metrics import confusion_matrix

    data = np.load(test.path)
    predicted = joblib.load(model.path).predict(data["pixels"])
    is_wrong = predicted != data["digits"]
    accuracy = float(1 - is_wrong.mean())
    with open(wrong.path, "wb") as file:
        np.savez_compressed(
            file, pixels=data["pixels"][is_wrong], digits=data["digits"][is_wrong], predicted=predicted[is_wrong]
        )
    metrics.log_metric("accuracy", accuracy)
    metrics.log_confusion_matrix(
        [str(digit) for digit in range(10)], confusion_matrix(data["digits"], predicted).tolist()
    )
    print(f"accuracy {accuracy:.4f}: {is_wrong.sum()} of {len(predicted)} images were misread")
    return Score(accuracy=accuracy, mistakes=int(is_wrong.sum()))


@component(packages=["numpy"], cpu=0.25, memory="256Mi")
def draw_mistakes(wrong: Input[Dataset], page: Output[HTML]) -> None:
    """A page that shows the images that were misread, for people to judge."""
    import numpy as np

    data = np.load(wrong.path)
    figures = []
    for pixels, digit, predicted in zip(data["pixels"], data["digits"], data["predicted"], strict=True):
        squares = "".join(
            f'<rect x="{place % 8}" y="{place // 8}" width="1" height="1" fill-opacity="{ink:.2f}"/>'
            for place, ink in enumerate(pixels)
        )
        caption = f"<figcaption>a {digit}, read as {predicted}</figcaption>"
        figures.append(f'<figure><svg viewBox="0 0 8 8" width="96">{squares}</svg>{caption}</figure>')
    with open(page.path, "w", encoding="utf-8") as file:
        file.write("<!doctype html><title>Misread digits</title>" + "".join(figures))
    print(f"drew {len(figures)} misread digits")


@component(cpu=0.25, memory="128Mi")
def reject(accuracy: float, wanted: float) -> None:
    """Say why the network is not good enough."""
    print(f"an accuracy of {accuracy:.4f} is below the {wanted:.4f} that were wanted: train for more epochs")


@pipeline(name="digits", project="vision")
def digits(epochs: int = 30, rate: float = 0.002, wanted: float = 0.9) -> None:
    """Train a network on a GPU or a CPU, and look at its mistakes."""
    data = load(table=DATASETS.path("digits.csv.gz")).retry(2, backoff="2s")

    trained = (
        train_network(train=data.outputs["train"], epochs=epochs, rate=rate)
        .any_of(
            option(
                "gpu",
                image="pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime",
                cpu=0.5,
                memory="512Mi",
                accelerator="nvidia.com/gpu",
                accelerators=1,
                accelerator_memory="8Gi",
            ),
            option(
                "cpu",
                image="python:3.12-slim",
                cpu=1,
                memory="512Mi",
                env={"OMP_NUM_THREADS": "1"},
            ),
        )
        .on(node_label("kubernetes.io/os").is_in("linux"), node_label("worker_type").is_not_in("low"))
        .tolerate("nvidia.com/gpu", effect="NoSchedule")
        .timeout("10m")
        .hints(
            kind="training",
            dataset={"name": "digits", "type": "image", "preprocessed": {"n_samples": 1438, "input_shape": [8, 8]}},
            model={
                "type": "nn",
                "params": {
                    "n_epochs": 30,
                    "layers": [
                        {"type": "dense", "input_shape": [64], "output_shape": [64]},
                        {"type": "dense", "input_shape": [64], "output_shape": [10]},
                    ],
                },
            },
        )
    )
    if node := os.environ.get("DIGITS_NODE"):
        trained.on_node(node)

    tested = evaluate(model=trained.outputs["model"], test=data.outputs["test"])
    with If(tested.outputs["accuracy"] >= wanted):
        draw_mistakes(wrong=tested.outputs["wrong"])
    with Else():
        reject(accuracy=tested.outputs["accuracy"], wanted=wanted)


if __name__ == "__main__":
    digits.main()
