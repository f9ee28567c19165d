"""Plans as JSON: bars of a Gantt chart with bands, and what follows from them. Seconds count from `at`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from server.api.explanation_views import band_view
from server.api.views import instant
from server.components.explaining.texts import names, span
from server.components.explaining.values import Band
from server.components.forecasting.planner import Forecasts
from server.components.forecasting.report import Bar, PlanReport

MOST_BARS = 3000
SMALLEST_GAIN_SHARE = 0.01


def forecasts_view(found: Forecasts) -> dict[str, Any]:
    """The plan that was asked for, and how it compares with how things are."""
    asked, subject = found.asked, found.subject
    return {
        "sentence": sentence(found),
        "at": instant(asked.at),
        "subject": subject,
        "assumptions": list(found.assumptions),
        "strategy": asked.strategy,
        "objective": asked.objective,
        **outcome_view(asked, subject),
        "unchanged": None
        if found.unchanged is None
        else {
            "strategy": found.unchanged.strategy,
            "objective": found.unchanged.objective,
            **outcome_view(found.unchanged, subject),
        },
        "bottleneck": asked.bottleneck,
        "critical_path": [
            {
                "run_id": step.run_id,
                "task": str(step.key),
                "node": step.node,
                "start_seconds": round(max(step.start_seconds, 0.0), 3),
                "finish_seconds": round(step.finish_seconds, 3),
                "why": step.why,
            }
            for step in asked.critical_path
        ],
        "bars": [bar_view(bar, found) for bar in _shown(asked, subject)],
        "bars_left_out": max(len(asked.bars) - MOST_BARS, 0),
        "unplaced": [
            {"run_id": hold.run_id, "task": str(hold.key), "reason": hold.reason} for hold in asked.holds[:MOST_BARS]
        ],
        "runs": runs_view(found),
    }


def outcome_view(report: PlanReport, subject: str | None) -> dict[str, Any]:
    """The figures of one plan: of the new run, or of everything that waits."""
    ends = report.ends.get(subject) if subject is not None else _last(report)
    starts = [bar.starts.p50 for bar in report.bars if not bar.is_running and subject in (None, bar.run_id)]
    is_whole = not any(subject in (None, hold.run_id) for hold in report.holds)
    return {
        "ends": band_view(ends) if is_whole else None,
        "waiting_seconds": _since(report.at, min(starts, default=None)),
        "turnaround_seconds": _since(report.at, ends.p50 if ends and is_whole else None),
        "turnaround_p10_seconds": _since(report.at, ends.p10 if ends and is_whole else None),
        "turnaround_p90_seconds": _since(report.at, ends.p90 if ends and is_whole else None),
        "makespan_seconds": round(report.makespan_seconds, 3),
        "bytes_moved": report.bytes_moved,
        "cost": None if report.cost is None else round(report.cost, 6),
    }


def bar_view(bar: Bar, found: Forecasts) -> dict[str, Any]:
    """One task on its node."""
    return {
        "run_id": bar.run_id,
        "name": found.names.get(bar.run_id, bar.run_id),
        "task": str(bar.key),
        "node": bar.node,
        "option": bar.option,
        "is_new": bar.run_id == found.subject,
        "is_running": bar.is_running,
        "is_from_history": bar.is_from_history,
        "starts": band_view(bar.starts),
        "ends": band_view(bar.ends),
    }


def runs_view(found: Forecasts) -> list[dict[str, Any]]:
    """What the plan does to the runs that are there already: their ends, and how much later (or sooner) they come."""
    before = found.without or found.unchanged
    rows = []
    for run_id, ends in found.asked.ends.items():
        if run_id == found.subject:
            continue
        other = before.ends.get(run_id) if before else None
        delay = (ends.p50 - found.asked.at) - (other.p50 - before.at) if other and before else None
        rows.append(
            {
                "run_id": run_id,
                "name": found.names.get(run_id, run_id),
                "ends": band_view(ends),
                "delay_seconds": None if delay is None else round(delay.total_seconds(), 3),
            }
        )
    return rows


def sentence(found: Forecasts) -> str:
    """The plan in a sentence: when it would be done, and against what."""
    asked, subject = found.asked, found.subject
    figures = outcome_view(asked, subject)
    held = [hold for hold in asked.holds if subject in (None, hold.run_id)]
    who = found.names.get(subject, "") if subject else "everything that waits and runs"
    if held:
        return f"{names(sorted({str(hold.key) for hold in held}))} cannot be placed: {held[0].reason}."
    if figures["turnaround_seconds"] is None:
        return "Nothing waits and nothing runs."
    low, high = figures["turnaround_p10_seconds"], figures["turnaround_p90_seconds"]
    text = f"{who} would be done in {span(figures['turnaround_seconds'])} ({span(low)} to {span(high)}) with "
    text += asked.strategy
    if found.unchanged is not None:
        before = outcome_view(found.unchanged, subject)["turnaround_seconds"]
        if before is not None:
            gain = before - figures["turnaround_seconds"]
            word = "sooner" if gain >= 0 else "later"
            is_same = abs(gain) < SMALLEST_GAIN_SHARE * max(before, 1.0)
            text += (
                ", about as without the change" if is_same else f", {span(abs(gain))} {word} than without the change"
            )
    return text + _late([one for one in runs_view(found) if subject and (one["delay_seconds"] or 0) > 1])


def _late(runs: list[dict[str, Any]]) -> str:
    if len(runs) == 1:
        return f"; {runs[0]['run_id']} would end {span(runs[0]['delay_seconds'])} later."
    return f"; {names(sorted(one['run_id'] for one in runs))} would end later." if runs else "."


def _shown(report: PlanReport, subject: str | None) -> list[Bar]:
    """Bars in order of start, the new run's and those on its way first where they are too many."""
    if len(report.bars) <= MOST_BARS:
        return sorted(report.bars, key=lambda bar: bar.starts.p50)
    own = sorted(report.bars, key=lambda bar: (bar.run_id != subject, not bar.is_running, bar.starts.p50))
    return sorted(own[:MOST_BARS], key=lambda bar: bar.starts.p50)


def _last(report: PlanReport) -> Band | None:
    return max(report.ends.values(), key=lambda band: band.p50, default=None)


def _since(at: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - at).total_seconds(), 3)


__all__ = ["forecasts_view"]
