"""A nested pipeline, used twice: which of thirty languages is a sentence written in?

Do pairs of letters tell the language, or does it take longer pieces? Both recognisers are built side by side by the
same nested pipeline, which turns sentences into features, trains on them and scores the result.

    python pipelines/languages.py --wait
    python pipelines/languages.py -p longest=3
"""

from typing import Any, NamedTuple

from mlopx import (
    Artifact,
    Dataset,
    Else,
    If,
    Input,
    Metrics,
    Model,
    Output,
    Volume,
    component,
    pipeline,
)

DATASETS = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


class Score(NamedTuple):
    accuracy: float


@component(packages=["numpy"], cpu=0.25, memory="256Mi", kind="preprocessing")
def split(table: str, train: Output[Dataset], test: Output[Dataset]) -> None:
    """Every fourth message goes to the test, in all languages: no translation of it is seen in training."""
    import csv
    import gzip
    import json

    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for part, is_wanted in ((train, lambda number: number % 4 != 3), (test, lambda number: number % 4 == 3)):
        chosen = [(row["text"], row["language"]) for row in rows if is_wanted(int(row["message"]))]
        with open(part.path, "w", encoding="utf-8") as file:
            json.dump(chosen, file, ensure_ascii=False)
        part.metadata.update(sentences=len(chosen), languages=len({language for _, language in chosen}))
        print(f"{part.name}: {len(chosen)} sentences")


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="preprocessing")
def featurise(train: Input[Dataset], longest: int, features: Output[Dataset], vectoriser: Output[Artifact]) -> int:
    """Count the pieces of words, from single letters up to `longest` letters; returns how many there are."""
    import json

    import joblib
    import numpy as np
    from scipy.sparse import save_npz
    from sklearn.feature_extraction.text import TfidfVectorizer

    with open(train.path, encoding="utf-8") as file:
        texts = [text for text, _ in json.load(file)]
    counter = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, longest), min_df=2, sublinear_tf=True, dtype=np.float32
    )
    matrix = counter.fit_transform(texts)
    with open(features.path, "wb") as file:
        save_npz(file, matrix)
    joblib.dump(counter, vectoriser.path)
    print(f"{matrix.shape[0]} sentences, {matrix.shape[1]} different pieces of up to {longest} letters")
    return int(matrix.shape[1])


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def train_classifier(
    train: Input[Dataset], features: Input[Dataset], vectoriser: Input[Artifact], passes: int, model: Output[Model]
) -> None:
    """A linear classifier on the pieces; the model file holds it together with the vectoriser."""
    import json

    import joblib
    from scipy.sparse import load_npz
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    with open(train.path, encoding="utf-8") as file:
        languages = [language for _, language in json.load(file)]
    classifier = SGDClassifier(loss="modified_huber", max_iter=passes, tol=None, random_state=0)
    classifier.fit(load_npz(features.path), languages)
    joblib.dump(make_pipeline(joblib.load(vectoriser.path), classifier), model.path, compress=1)
    model.metadata["languages"] = len(classifier.classes_)


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="evaluation")
def evaluate(model: Input[Model], test: Input[Dataset], metrics: Output[Metrics]) -> Score:
    """Accuracy on unseen messages, and the pair of languages that is confused most often."""
    import json
    from collections import Counter

    import joblib

    with open(test.path, encoding="utf-8") as file:
        texts, languages = zip(*json.load(file), strict=True)
    predicted = joblib.load(model.path).predict(texts)
    pairs = Counter((right, str(said)) for right, said in zip(languages, predicted, strict=True) if right != said)
    accuracy = 1 - pairs.total() / len(texts)
    (right, said), times = pairs.most_common(1)[0]
    metrics.log_metric("accuracy", accuracy)
    metrics.log_metric("most_confused", f"{right} taken for {said}")
    print(f"accuracy {accuracy:.4f} on {len(texts)} sentences; {right} was taken for {said} {times} times")
    return Score(accuracy=accuracy)


@component(packages=["scikit-learn"], cpu=0.5, memory="512Mi", kind="inference")
def recognise(model: Input[Model], sentences: list[str]) -> list[str]:
    """Use the better model."""
    import joblib

    found = [str(language) for language in joblib.load(model.path).predict(sentences)]
    for language, sentence in zip(found, sentences, strict=True):
        print(f"{language}: {sentence}")
    return found


@pipeline
def recogniser(train: Input[Dataset], test: Input[Dataset], longest: int, passes: int = 4) -> dict[str, Any]:
    """Features, training and score: what is the same for every length of pieces."""
    counted = featurise(train=train, longest=longest).request(memory="768Mi")
    trained = train_classifier(
        train=train,
        features=counted.outputs["features"],
        vectoriser=counted.outputs["vectoriser"],
        passes=passes,
    ).timeout("5m")
    tested = evaluate(model=trained.outputs["model"], test=test)
    return {"model": trained.outputs["model"], "accuracy": tested.outputs["accuracy"]}


@pipeline(name="languages", project="text", deadline="20m")
def languages(longest: int = 4) -> None:
    """Build two recognisers, keep the better one, and use it."""
    data = split(table=DATASETS.path("languages.csv.gz")).retry(2, backoff="2s")
    train, test = data.outputs["train"], data.outputs["test"]

    pairs = recogniser(train=train, test=test, longest=2)
    pieces = recogniser(train=train, test=test, longest=longest)

    sentences = [
        "Wer nicht wagt, der nicht gewinnt.",
        "Den som venter på noe godt.",
        "No dejes para mañana lo que puedas hacer hoy.",
    ]
    with If(pieces.outputs["accuracy"] > pairs.outputs["accuracy"]):
        recognise(model=pieces.outputs["model"], sentences=sentences).named("recognise-by-pieces")
    with Else():
        recognise(model=pairs.outputs["model"], sentences=sentences).named("recognise-by-pairs")


if __name__ == "__main__":
    languages.main()
