"""Tabular classification with a choice of models: what does a patch of an outdoor photo show?

Three model families are tried side by side; the best one is trained on all training data and tested once.

    python pipelines/segments.py                     # submit to MLOPX_URL, or http://127.0.0.1:8000
    python pipelines/segments.py --wait -p folds=6
    python pipelines/segments.py -p publish=true     # needs the secret `model-registry` with a key `signing`
"""

from typing import NamedTuple

from mlopx import (
    ClassificationMetrics,
    Dataset,
    Elif,
    Else,
    If,
    Input,
    Loop,
    Metrics,
    Model,
    Output,
    Volume,
    collect,
    component,
    node_label,
    one_of,
    pipeline,
)

DATASETS = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


class Split(NamedTuple):
    train_rows: int
    test_rows: int


class Choice(NamedTuple):
    family: str
    accuracy: float


class Score(NamedTuple):
    accuracy: float


@component(packages=["numpy"], cpu=0.5, memory="256Mi", kind="preprocessing")
def split(table: str, test_share: float, train: Output[Dataset], test: Output[Dataset]) -> Split:
    """Drop repeated patches, so that none is in both parts, and split the rest."""
    import csv
    import gzip

    import numpy as np

    with gzip.open(table, "rt", newline="") as file:
        header, *lines = csv.reader(file)
    rows = sorted({tuple(line) for line in lines})
    order = np.random.default_rng(seed=0).permutation(len(rows))
    cut = round(len(rows) * test_share)
    for part, chosen in ((train, order[cut:]), (test, order[:cut])):
        features = np.array([[float(value) for value in rows[row][:-1]] for row in chosen])
        labels = np.array([rows[row][-1] for row in chosen])
        with open(part.path, "wb") as file:
            np.savez_compressed(file, features=features, labels=labels)
        part.metadata.update(rows=len(chosen), columns=header[:-1])
    print(f"{len(rows)} different patches: {len(rows) - cut} to train, {cut} to test")
    return Split(train_rows=len(rows) - cut, test_rows=cut)


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def cross_validate(train: Input[Dataset], candidate: str, folds: int, metrics: Output[Metrics]) -> Choice:
    """Mean accuracy of one model family over the folds."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "forest": RandomForestClassifier(n_estimators=80, random_state=0),
        "boosting": HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, random_state=0),
    }
    data = np.load(train.path)
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    scores = cross_val_score(models[candidate], data["features"], data["labels"], cv=parts)
    print(f"{candidate}: accuracy {scores.mean():.4f} (+- {scores.std():.4f}) over {folds} folds")
    metrics.log_metric("accuracy", float(scores.mean()))
    metrics.log_metric("deviation", float(scores.std()))
    return Choice(family=candidate, accuracy=float(scores.mean()))


@component(cpu=0.5)
def choose(families: list[str], accuracies: list[float]) -> Choice:
    """The family with the best accuracy."""
    accuracy, family = max(zip(accuracies, families, strict=True))
    print(f"the winner is {family} with {accuracy:.4f}")
    return Choice(family=family, accuracy=accuracy)


@component(packages=["scikit-learn"], cpu=0.5, memory="512Mi", kind="training")
def fit_logistic(train: Input[Dataset], model: Output[Model]) -> None:
    """Train the linear model on all training data."""
    import joblib
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = np.load(train.path)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(data["features"], data["labels"])
    joblib.dump(fitted, model.path)
    model.metadata["family"] = "logistic"


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def fit_forest(train: Input[Dataset], model: Output[Model], trees: int = 150) -> None:
    """Train a larger forest than the one that was tried."""
    import joblib
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    data = np.load(train.path)
    fitted = RandomForestClassifier(n_estimators=trees, random_state=0).fit(data["features"], data["labels"])
    joblib.dump(fitted, model.path, compress=3)
    model.metadata.update(family="forest", trees=trees)


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def fit_boosting(train: Input[Dataset], model: Output[Model], rounds: int = 60) -> None:
    """Train for more rounds than were tried."""
    import joblib
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    data = np.load(train.path)
    fitted = HistGradientBoostingClassifier(max_iter=rounds, max_leaf_nodes=8, random_state=0)
    joblib.dump(fitted.fit(data["features"], data["labels"]), model.path)
    model.metadata.update(family="boosting", rounds=rounds)


@component(packages=["scikit-learn"], cpu=0.5, memory="512Mi", kind="evaluation")
def evaluate(model: Input[Model], test: Input[Dataset], metrics: Output[ClassificationMetrics]) -> Score:
    """Accuracy and confusion matrix on patches that no model has seen."""
    import joblib
    import numpy as np
    from sklearn.metrics import accuracy_score, confusion_matrix

    data = np.load(test.path)
    predicted = joblib.load(model.path).predict(data["features"])
    labels = sorted(set(data["labels"].tolist()))
    accuracy = float(accuracy_score(data["labels"], predicted))
    metrics.log_metric("accuracy", accuracy)
    metrics.log_confusion_matrix(labels, confusion_matrix(data["labels"], predicted, labels=labels).tolist())
    print(f"accuracy on {len(predicted)} unseen patches: {accuracy:.4f}")
    return Score(accuracy=accuracy)


@component(cpu=0.5)
def sign(model: Input[Model], signed: Output[Model]) -> str:
    """Copy the model and sign it with the registry's key; returns the signature."""
    import hashlib
    import hmac
    import os
    import shutil

    shutil.copyfile(model.path, signed.path)
    with open(signed.path, "rb") as file:
        signature = hmac.new(os.environ["SIGNING_KEY"].encode(), file.read(), hashlib.sha256).hexdigest()
    signed.metadata.update(model.metadata, signature=signature)
    print(f"signed: {signature[:16]}...")
    return signature


@pipeline(name="segments", project="vision", priority=5, deadline="15m", hints="segments.json")
def segments(test_share: float = 0.25, folds: int = 4, publish: bool = False) -> None:
    """Choose among three model families, train the best, test it once."""
    parts = split(table=DATASETS.path("segments.csv.gz"), test_share=test_share).retry(2, backoff="2s", at_most="30s")
    train, test = parts.outputs["train"], parts.outputs["test"]

    with Loop(["logistic", "forest", "boosting"]) as candidate:
        tried = cross_validate(train=train, candidate=candidate, folds=folds).timeout("5m")
    best = choose(families=collect(tried.outputs["family"]), accuracies=collect(tried.outputs["accuracy"]))

    with If(best.outputs["family"] == "logistic"):
        linear = fit_logistic(train=train)
    with Elif(best.outputs["family"] == "forest"):
        forest = fit_forest(train=train).prefer(node_label("worker_type").is_in("high-cpu"), weight=80)
    with Else():
        boosted = fit_boosting(train=train).prefer(node_label("worker_type").is_in("high-cpu"), weight=80)
    model = one_of(linear.outputs["model"], forest.outputs["model"], boosted.outputs["model"])

    tested = evaluate(model=model, test=test)
    with If(publish, tested.outputs["accuracy"] >= 0.95):
        sign(model=model).secret("SIGNING_KEY", secret="model-registry", key="signing").cache(False)


if __name__ == "__main__":
    segments.main()
