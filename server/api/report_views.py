"""The report as JSON. Spans are seconds, shares and changes fractions; below 0 is less with the strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from server.api.views import instant
from server.components.reporting.comparing import Difference, Measured
from server.components.reporting.reporter import Report, saved, saving_of

MOST_PIPELINES = 50


def report_view(found: Report) -> dict[str, Any]:
    """A report."""
    return {
        "since": instant(found.stretch.since),
        "until": instant(found.stretch.until),
        "kind": found.kind,
        "status": found.status,
        "sentence": found.sentence,
        "strategy": found.strategy,
        "baseline": found.baseline,
        "holdout": found.holdout_share,
        "currency": found.currency,
        "totals": {**_rounded(asdict(found.totals)), "others": dict(found.stretch.others)},
        "measured": None if found.measured is None else _measured(found.measured),
        "simulated": None if found.simulated is None else _simulated(found.simulated),
        "problem": found.problem,
    }


def _measured(found: Measured) -> dict[str, Any]:
    runs = found.placed_runs
    return {
        "placed_runs": runs,
        "left_out_runs": found.left_out_runs,
        "unmatched_runs": found.unmatched_runs,
        "turnaround_seconds": _difference(found.turnaround),
        "node_hours": _difference(found.node_hours),
        "gpu_hours": _difference(found.gpu_hours),
        "money": None if found.money is None else _difference(found.money),
        "saved": _rounded(
            {
                "turnaround_seconds": saved(found.turnaround, runs),
                "node_hours": saved(found.node_hours, runs),
                "gpu_hours": saved(found.gpu_hours, runs),
                "money": saved(found.money, runs),
            }
        ),
        "pipelines": [
            {
                "pipeline": one.pipeline,
                "placed_runs": one.placed_runs,
                "left_out_runs": one.left_out_runs,
                "turnaround_seconds": _difference(one.turnaround),
            }
            for one in found.pipelines[:MOST_PIPELINES]
        ],
        "slower_runs": found.slower_runs,
        "slower": [{"run_id": run, "pipeline": name, "factor": round(factor, 3)} for run, name, factor in found.slower],
    }


def _simulated(document: Mapping[str, Any]) -> dict[str, Any]:
    """The replay, turned round: the strategy against the platform's own rule."""
    (other,) = document["replays"]
    ours, theirs = document["simulated"], other["figures"]
    runs = document["runs"]
    money = None if ours["money"] is None or theirs["money"] is None else theirs["money"] - ours["money"]
    return {
        "runs": runs,
        "strategy": document["strategy"],
        "change": round(saving_of(document), 4),
        "simulator_error": round(document["error"]["mean"], 4),
        "simulator_error_of_runs": round(document["error"]["of_runs"], 4),
        "turnaround_mean_seconds": round(ours["turnaround_mean"], 3),
        "baseline_turnaround_mean_seconds": round(theirs["turnaround_mean"], 3),
        "saved": _rounded(
            {
                "turnaround_seconds": runs * (theirs["turnaround_mean"] - ours["turnaround_mean"]),
                "node_hours": theirs["node_hours"] - ours["node_hours"],
                "gpu_hours": theirs["gpu_hours"] - ours["gpu_hours"],
                "money": money,
            }
        ),
        "slower_runs": other["quicker"],
        "slower": [{"run_id": run, "factor": round(1 / factor, 3)} for run, factor in other["best"]],
        "warnings": list(document["warnings"]),
        "assumptions": list(document["assumptions"]),
    }


def _difference(found: Difference) -> dict[str, Any]:
    return _rounded(asdict(found))


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


__all__ = ["report_view"]
