"""An hourly time series with expanding windows: how many bikes will be rented tomorrow?

Each month is forecast by a model that knows only what came before. Whatever happens, the exit task writes a report.

    python pipelines/bikes.py --wait
    DATASETS_NFS=files.example.org python pipelines/bikes.py   # data on an NFS server instead of a volume claim
"""

import os
from typing import NamedTuple

from mlopx import (
    Dataset,
    Input,
    Loop,
    Markdown,
    Metrics,
    Output,
    TaskInfo,
    Volume,
    collect,
    component,
    node_label,
    on_exit,
    pipeline,
    this_run,
)

if server := os.environ.get("DATASETS_NFS"):
    DATASETS = Volume.nfs(server, "/datasets", mount_path="/mnt/datasets", read_only=True)
else:
    DATASETS = Volume.pvc("datasets", mount_path="/mnt/datasets", read_only=True)


class Errors(NamedTuple):
    model_error: float
    weekly_error: float


@component(packages=["numpy"], cpu=0.25, memory="256Mi", kind="preprocessing")
def check(table: str) -> int:
    """Refuse a table with hours out of order or rentals below zero; returns the number of missing hours."""
    import csv
    import gzip

    with gzip.open(table, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    hours = [(int(row["day"]) - 1) * 24 + int(row["hour"]) for row in rows]
    if hours != sorted(set(hours)):
        raise ValueError("the hours are not in order, or one of them is there twice")
    if any(int(row["bikers"]) < 0 for row in rows):
        raise ValueError("an hour has less than no rentals")
    missing = hours[-1] + 1 - len(hours)
    print(f"{len(hours)} hours are in order, {missing} are missing")
    return missing


@component(packages=["numpy"], cpu=0.5, memory="256Mi", kind="preprocessing")
def add_lags(table: str, lags: list[int], features: Output[Dataset]) -> None:
    """Add the rentals of earlier hours, a day back or more, so that tomorrow can be forecast today."""
    import csv
    import gzip

    import numpy as np

    weather = {"clear": 0, "cloudy/misty": 1, "light rain/snow": 2, "heavy rain/snow": 3}
    names = ["hour", "weekday", "workingday", "holiday", "temp", "hum", "windspeed"]
    with gzip.open(table, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    hours = np.array([(int(row["day"]) - 1) * 24 + int(row["hour"]) for row in rows])
    rentals = np.array([float(row["bikers"]) for row in rows])
    known = np.full(hours[-1] + 1, np.nan)
    known[hours] = rentals
    given = [[float(row[name]) for name in names] + [weather[row["weathersit"]]] for row in rows]
    earlier = [np.where(hours >= lag, known[np.maximum(hours - lag, 0)], np.nan) for lag in lags]
    with open(features.path, "wb") as file:
        np.savez_compressed(
            file,
            features=np.column_stack([np.array(given), *earlier]),
            week_ago=np.where(hours >= 168, known[np.maximum(hours - 168, 0)], np.nan),
            month=np.minimum(hours // 24 * 12 // 365, 11) + 1,
            rentals=rentals,
        )
    features.metadata.update(columns=[*names, "weather", *(f"{lag} hours ago" for lag in lags)])
    print(f"{len(rows)} hours, {len(given[0])} columns and {len(lags)} earlier hours")


@component(packages=["scikit-learn"], cpu=1, memory="512Mi", kind="training")
def forecast(features: Input[Dataset], month: int, rounds: int, metrics: Output[Metrics]) -> Errors:
    """Train on all months before this one and forecast it; the rival repeats what was a week ago."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingRegressor

    data = np.load(features.path)
    past, now = data["month"] < month, data["month"] == month
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=rounds, learning_rate=0.08, random_state=0)
    model.fit(data["features"][past], data["rentals"][past])
    model_error = float(np.mean(np.abs(model.predict(data["features"][now]) - data["rentals"][now])))
    weekly_error = float(np.nanmean(np.abs(data["week_ago"][now] - data["rentals"][now])))
    metrics.log_metric("model_error", model_error)
    metrics.log_metric("weekly_error", weekly_error)
    print(
        f"month {month}: {past.sum()} hours known, mean error {model_error:.1f} bikes (a week ago: {weekly_error:.1f})"
    )
    return Errors(model_error=model_error, weekly_error=weekly_error)


@component(cpu=0.25, memory="128Mi", kind="evaluation")
def summarise(
    months: list[int], model_errors: list[float], weekly_errors: list[float], metrics: Output[Metrics]
) -> Errors:
    """Mean errors over all windows."""
    result = Errors(sum(model_errors) / len(months), sum(weekly_errors) / len(months))
    metrics.log_metric("model_error", result.model_error)
    metrics.log_metric("weekly_error", result.weekly_error)
    for month, model_error, weekly_error in zip(months, model_errors, weekly_errors, strict=True):
        print(f"month {month:2}: {model_error:5.1f} bikes, a week ago {weekly_error:5.1f}")
    print(f"mean error {result.model_error:.1f} bikes; repeating last week: {result.weekly_error:.1f}")
    return result


@component(cpu=0.25, memory="128Mi")
def report(
    run: str, name: str, state: str, failed: list[str], error: str, page: Output[Markdown], task: TaskInfo
) -> None:
    """Tell how the run went, for whoever reads the results in the morning."""
    import os

    lines = [f"# {os.environ['REPORT_TITLE']}", "", f"Run `{run}` of {name} has **{state}**."]
    lines += [f"- task `{path}` failed" for path in failed] + ([f"- {error}"] if error else [])
    lines += ["", f"Written on node {task.node}, attempt {task.attempt}."]
    with open(page.path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


@pipeline(name="bikes", project="mobility", priority=-1)
def bikes(rounds: int = 100) -> None:
    """Forecast six months one after the other, and report."""
    table, months = DATASETS.path("bikes.csv.gz"), [7, 8, 9, 10, 11, 12]
    checked = check(table=table).retry(2, backoff="2s").cache(False)
    lagged = add_lags(table=table, lags=[24, 48, 168, 336]).after(checked)

    with Loop(months, width=2) as month:
        forecasts = (
            forecast(features=lagged.outputs["features"], month=month, rounds=rounds)
            .env(OMP_NUM_THREADS="1")
            .prefer(node_label("worker_type").is_in("med", "high-cpu"))
            .timeout("10m")
        )
    summarise(
        months=months,
        model_errors=collect(forecasts.outputs["model_error"]),
        weekly_errors=collect(forecasts.outputs["weekly_error"]),
    )

    on_exit(
        report(
            run=this_run.id,
            name=this_run.name,
            state=this_run.state,
            failed=this_run.failed_tasks,
            error=this_run.error,
        ).env(REPORT_TITLE="Bike forecasts")
    )


if __name__ == "__main__":
    bikes.main()
