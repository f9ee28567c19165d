"""Pictures of simulations: who ran where and when, how long runs took, how busy nodes were, and how the queue grew.

Needs matplotlib (the extra `figures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.domain.errors import ConfigurationError
from server.simulation.records import Finished
from server.simulation.report import busy_share

Named = Sequence[tuple[str, Finished]]
MOST_BARS = 4000
"""A Gantt chart of more attempts shows only the first so many."""


def draw(results: Named, folder: Path) -> list[Path]:
    """Write all figures as PNG files and return their paths. Raises ConfigurationError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigurationError(
            "figures need matplotlib, which is not installed",
            hint="install the extra: pip install 'mlopx-server[figures]'",
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from None
    made = []
    for name, drawer in (
        ("turnaround", _turnaround),
        ("queue", _queue),
        ("utilisation", _utilisation),
        ("gantt", _gantt),
    ):
        height = 3.0 * len(results) if name in ("queue", "gantt") else 4.0
        figure = Figure(figsize=(9, max(height, 4.0)), layout="constrained")
        drawer(figure, results)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        made.append(path)
    return made


def _turnaround(figure: Any, results: Named) -> None:
    axes = figure.subplots()
    for name, finished in results:
        seconds = sorted(run.turnaround_seconds for run in finished.runs)
        axes.step(seconds, [(index + 1) / len(seconds) for index in range(len(seconds))], where="post", label=name)
    axes.set(xlabel="turnaround time (s)", ylabel="share of runs", title="Runs that had ended after so many seconds")
    axes.legend(fontsize="small")


def _queue(figure: Any, results: Named) -> None:
    for axes, (name, finished) in zip(_rows(figure, len(results)), results, strict=True):
        starts = [(run.started_at, 1) for run in finished.runs if run.started_at is not None]
        running = _steps([*starts, *((run.finished_at, -1) for run in finished.runs if run.started_at is not None)])
        waiting = _steps([*((run.submitted_at, 1) for run in finished.runs), *((at, -1) for at, _ in starts)])
        axes.step(*waiting, where="post", label="waiting")
        axes.step(*running, where="post", label="running")
        axes.set(title=name, ylabel="runs")
        axes.legend(fontsize="small")


def _utilisation(figure: Any, results: Named) -> None:
    axes = figure.subplots()
    width = 0.8 / len(results)
    for number, (name, finished) in enumerate(results):
        share = busy_share(finished)
        axes.bar([index + number * width for index in range(len(share))], list(share.values()), width, label=name)
    nodes = list(busy_share(results[0][1]))
    axes.set_xticks(range(len(nodes)), nodes, rotation=90, fontsize="small")
    axes.set(ylabel="share of the makespan", title="Time in which a node ran something", ylim=(0, 1))
    axes.legend(fontsize="small")


def _gantt(figure: Any, results: Named) -> None:
    for axes, (name, finished) in zip(_rows(figure, len(results)), results, strict=True):
        rows = {node.name: index for index, node in enumerate(finished.nodes)}
        colour = {run_id: f"C{index % 10}" for index, run_id in enumerate(sorted(run.run_id for run in finished.runs))}
        for task in finished.tasks[:MOST_BARS]:
            if task.node in rows and task.started_at is not None and task.finished_at is not None:
                span = task.finished_at - task.started_at
                axes.barh(rows[task.node], span, left=task.started_at, height=0.8, color=colour[task.run_id], alpha=0.6)
        axes.set_yticks(range(len(rows)), list(rows), fontsize="x-small")
        axes.set(title=name, xlabel="seconds")


def _rows(figure: Any, count: int) -> list[Any]:
    made = figure.subplots(count, 1, sharex=True, squeeze=False)
    return [axes for row in made for axes in row]


def _steps(changes: Sequence[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Instants, and the running total after each."""
    at, total, totals = [0.0], 0, [0]
    for instant, step in sorted(changes):
        total += step
        at.append(instant)
        totals.append(total)
    return at, totals


__all__ = ["draw"]
