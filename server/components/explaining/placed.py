"""Why a task got the node it got, from the decision's record; and, once it is over, how well that turned out."""

from __future__ import annotations

from dataclasses import dataclass

from server.components.explaining.scene import estimate_of
from server.components.explaining.texts import names, span, spans
from server.components.explaining.values import Hindsight
from server.domain.placement import Candidate, Decision, Estimates, WaitingTask
from server.domain.run import Attempt, TaskRun

CLOSE_SECONDS = 0.05
USER = "user"
"""Who decided, in the record of an offer that a user accepted."""

SMALLEST_REGRET_SECONDS, SMALLEST_REGRET_SHARE = 0.5, 0.1
"""A smaller regret is kept as a figure, but not worth a sentence."""


@dataclass(frozen=True, slots=True)
class Margin:
    """The best of the other nodes, and how much later (or sooner, if negative) the task would have ended there."""

    other: Candidate
    seconds: float


def margin_of(decision: Decision) -> Margin | None:
    """The runner-up by predicted finish; None where no other node could run the task, or no figures were kept."""
    chosen = chosen_of(decision)
    others = [one for one in decision.candidates if one.node != decision.node and one.finish_seconds is not None]
    if chosen is None or chosen.finish_seconds is None or not others:
        return None
    best = min(others, key=lambda one: one.finish_seconds or 0.0)
    return Margin(best, (best.finish_seconds or 0.0) - chosen.finish_seconds)


def chosen_of(decision: Decision) -> Candidate | None:
    """The candidate that was taken."""
    return next(
        (one for one in decision.candidates if (one.node, one.option) == (decision.node, decision.option)), None
    )


def why_there(decision: Decision) -> str:
    """Half a sentence on why the task is on its node: what follows from the record's own figures, and no more."""
    margin, chosen = margin_of(decision), chosen_of(decision)
    if decision.strategy == USER:
        return "which a user accepted instead of waiting"
    if margin is None or chosen is None:
        if decision.candidates and len(decision.candidates) == 1 and decision.rejected:
            return f"the only node that can run it ({_rejected(decision)})"
        return f"chosen by {decision.strategy}"
    other = margin.other.node
    if margin.seconds > CLOSE_SECONDS:
        return f"where it was expected to finish first, {span(margin.seconds)} before {other}"
    if margin.seconds >= -CLOSE_SECONDS:
        reason = f" ({decision.reason})" if decision.reason else ""
        return f"where it was expected to finish as soon as on {other}; chosen by {decision.strategy}{reason}"
    return (
        f"chosen by {decision.strategy} ({decision.reason}); regardless of what else waits, {other} would have been "
        f"{span(-margin.seconds)} sooner"
    )


def why_handed_over(task: TaskRun, decision: Decision | None) -> str:
    """A sentence on where a task goes that is handed over with its whole run, and why there; empty if nothing says."""
    if task.current.node is None:
        return f"{task.key} is {task.hold}." if task.hold.startswith("left to") else ""
    if decision is None or decision.node != task.current.node:
        return f"{task.key} goes to {task.current.node}."
    return f"{task.key} goes to {task.current.node}, {why_there(decision)}."


def predicted(decision: Decision) -> str:
    """The prediction with its band and where it comes from, in words; empty without one."""
    found = decision.estimate
    if found is None:
        return ""
    return f"{span(found.p50)} ({spans(found.p10, found.p90)}, {found.source})"


def hindsight(
    decision: Decision, attempt: Attempt, view: WaitingTask | None, estimates: Estimates | None
) -> Hindsight | None:
    """Predicted against actual, and what the best of the candidates would have saved by what is known now."""
    actual, band = attempt.run_seconds, decision.estimate
    if actual is None or band is None or attempt.finished_at is None:
        return None
    best_node, regret = None, None
    if view is not None and estimates is not None:
        ended = (attempt.finished_at - decision.at).total_seconds()
        begins = _begin_seconds(attempt)
        others = [
            (one.start_seconds + begins + known.p50, one.node)
            for one in decision.candidates
            if one.node != decision.node and one.start_seconds is not None
            for known in [estimate_of(view, one.node, one.option, estimates)]
            if known is not None
        ]
        soonest, name = min(others, default=(ended, decision.node or ""))
        best_node, regret = (name, ended - soonest) if soonest < ended else (decision.node, 0.0)
    return Hindsight(
        predicted_p10=band.p10,
        predicted_p50=band.p50,
        predicted_p90=band.p90,
        actual_seconds=actual,
        is_inside_band=band.p10 <= actual <= band.p90,
        best_node=best_node,
        regret_seconds=regret,
    )


def _begin_seconds(attempt: Attempt) -> float:
    """How long it took from its placement until it ran, which no other node would have spared it."""
    if attempt.started_at is None or attempt.placed_at is None:
        return 0.0
    return max((attempt.started_at - attempt.placed_at).total_seconds(), 0.0)


def how_it_went(found: Hindsight, node: str) -> str:
    """A sentence on a finished task's prediction, and one on its regret where there is some worth naming."""
    verdict = "inside" if found.is_inside_band else "below" if found.actual_seconds < found.predicted_p10 else "above"
    band = spans(found.predicted_p10, found.predicted_p90)
    if band == span(found.predicted_p50):
        band = f"{found.predicted_p10:.1f} to {found.predicted_p90:.1f} s"
    text = f"It was predicted to take {span(found.predicted_p50)}; it ended {verdict} the band of {band}."
    if found.regret_seconds is None or found.best_node in (None, node):
        return text
    if found.regret_seconds < max(SMALLEST_REGRET_SECONDS, SMALLEST_REGRET_SHARE * found.actual_seconds):
        return text
    return f"{text} By what is known now, {found.best_node} would have been {span(found.regret_seconds)} sooner."


def _rejected(decision: Decision) -> str:
    said = []
    for reason, count in list(decision.rejected.items())[:2]:
        nodes = decision.filtered.get(reason, ())
        who = names(nodes) if len(nodes) == count else f"{count} node{'s' if count != 1 else ''}"
        said.append(f"{who}: {reason}")
    return "; ".join(said)


__all__ = [
    "USER",
    "Margin",
    "chosen_of",
    "hindsight",
    "how_it_went",
    "margin_of",
    "predicted",
    "why_handed_over",
    "why_there",
]
