"""A sweep over settings that a task proposes: what does a diamond cost?

The loop runs over a list that is only known at run time, three iterations at a time.

    python pipelines/diamonds.py --wait -p trials=12
    python pipelines/diamonds.py --params sweep.json     # {"rows": 20000, "trials": 9}
"""

from typing import Any, NamedTuple

from mlopx import (
    Dataset,
    Input,
    Loop,
    Markdown,
    Metrics,
    Model,
    Output,
    Volume,
    collect,
    component,
    node_label,
    pipeline,
)

DATASETS = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


class Errors(NamedTuple):
    log_error: float
    dollars: float


@component(packages=["numpy"], cpu=1, memory="512Mi", kind="preprocessing")
def prepare(table: str, rows: int, train: Output[Dataset], valid: Output[Dataset], test: Output[Dataset]) -> None:
    """Grades become numbers, prices become logarithms; 60 % to train, 20 % to choose, 20 % to test."""
    import csv
    import gzip

    import numpy as np

    grades = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": ["J", "I", "H", "G", "F", "E", "D"],
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    with gzip.open(table, "rt", newline="") as file:
        found = list(csv.DictReader(file))
    chosen = np.random.default_rng(seed=0).permutation(len(found))[:rows]
    names = [name for name in found[0] if name != "price"]
    features = np.array(
        [
            [grades[name].index(found[row][name]) if name in grades else float(found[row][name]) for name in names]
            for row in chosen
        ]
    )
    prices = np.log([float(found[row]["price"]) for row in chosen])
    first, second = int(len(chosen) * 0.6), int(len(chosen) * 0.8)
    for part, lines in ((train, slice(first)), (valid, slice(first, second)), (test, slice(second, None))):
        with open(part.path, "wb") as file:
            np.savez_compressed(file, features=features[lines], prices=prices[lines])
        part.metadata.update(rows=len(prices[lines]), columns=names)
    print(f"{len(chosen)} of {len(found)} diamonds, {len(names)} columns")


@component(cpu=0.25, memory="128Mi")
def propose(trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings to try, drawn at random: random search finds the settings that matter sooner than a grid."""
    import random

    draw = random.Random(seed)
    settings = [
        {
            "learning_rate": round(10 ** draw.uniform(-1.2, -0.5), 3),
            "max_leaf_nodes": draw.choice([15, 31, 47, 63]),
            "max_iter": draw.choice([60, 90, 120]),
        }
        for _ in range(trials)
    ]
    for setting in settings:
        print(setting)
    return settings


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def fit(train: Input[Dataset], valid: Input[Dataset], setting: dict[str, Any], model: Output[Model]) -> Errors:
    """Boosted trees with one setting, judged on diamonds they have not seen."""
    import joblib
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    data, unseen = np.load(train.path), np.load(valid.path)
    trees = HistGradientBoostingRegressor(**setting, early_stopping=False, random_state=0)
    trees.fit(data["features"], data["prices"])
    predicted = trees.predict(unseen["features"])
    log_error = float(np.sqrt(np.mean((predicted - unseen["prices"]) ** 2)))
    dollars = float(np.mean(np.abs(np.exp(predicted) - np.exp(unseen["prices"]))))
    joblib.dump(trees, model.path)
    model.metadata.update(setting, log_error=log_error)
    print(f"{setting}: RMSE of log price {log_error:.4f}, mean error {dollars:.0f} dollars")
    return Errors(log_error=log_error, dollars=dollars)


@component(cpu=0.25, memory="128Mi")
def choose(models: list[Input[Model]], errors: list[float], best: Output[Model], table: Output[Markdown]) -> int:
    """Keep the model with the smallest error, and write down how all of them did."""
    import shutil

    winner = min(range(len(errors)), key=lambda trial: errors[trial])
    shutil.copyfile(models[winner].path, best.path)
    best.metadata.update(models[winner].metadata)
    with open(table.path, "w", encoding="utf-8") as file:
        file.write("| learning rate | leaves | rounds | RMSE of log price |\n|---|---|---|---|\n")
        for trial in sorted(range(len(errors)), key=lambda trial: errors[trial]):
            said = models[trial].metadata
            file.write(f"| {said['learning_rate']} | {said['max_leaf_nodes']} | {said['max_iter']} ")
            file.write(f"| {errors[trial]:.4f} |\n")
    print(f"trial {winner} of {len(errors)} wins with {errors[winner]:.4f}")
    return winner


@component(packages=["scikit-learn"], cpu=0.5, memory="512Mi", kind="evaluation")
def evaluate(model: Input[Model], test: Input[Dataset], metrics: Output[Metrics]) -> Errors:
    """The chosen model on the last fifth, which neither training nor choosing has seen."""
    import joblib
    import numpy as np

    data = np.load(test.path)
    predicted = joblib.load(model.path).predict(data["features"])
    log_error = float(np.sqrt(np.mean((predicted - data["prices"]) ** 2)))
    dollars = float(np.mean(np.abs(np.exp(predicted) - np.exp(data["prices"]))))
    metrics.log_metric("rmse_log_price", log_error)
    metrics.log_metric("mean_error_dollars", dollars)
    metrics.log_metric("rmse_log_price_of_the_mean", float(data["prices"].std()))
    print(f"RMSE of log price {log_error:.4f} (always the mean: {data['prices'].std():.4f}), {dollars:.0f} dollars")
    return Errors(log_error=log_error, dollars=dollars)


@pipeline(name="diamonds", project="pricing", priority=1)
def diamonds(rows: int = 40_000, trials: int = 9, seed: int = 1) -> None:
    """Propose settings, train with each of them, test the best one."""
    data = prepare(table=DATASETS.path("diamonds.csv.gz"), rows=rows).retry(2, backoff="2s")
    settings = propose(trials=trials, seed=seed)

    with Loop(settings.output, width=3) as setting:
        fitted = (
            fit(train=data.outputs["train"], valid=data.outputs["valid"], setting=setting)
            .interruptible()
            .tolerate("spot", value="true", effect="NoSchedule")
            .prefer(node_label("spot").exists(), weight=20)
            .retry(3, backoff="1s", factor=2, at_most="1m")
            .timeout("10m")
            .hints(kind="training", operations=2e8)
        )
    best = choose(models=collect(fitted.outputs["model"]), errors=collect(fitted.outputs["log_error"]))
    evaluate(model=best.outputs["best"], test=data.outputs["test"])


if __name__ == "__main__":
    diamonds.main()
