"""One past decision, made again: the same question gets the same answer, or it is said how it differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.components.decision_unit import ask, load_placer
from server.components.placer_workers.process import TOLD_SHARE, PlacerFailure
from server.components.remembering.questions import KIND, MOST_KEPT, read_question
from server.domain.errors import NotFoundError
from server.domain.placement import Decision, Placement, PlacementRequest
from server.simulation.history.reading import HistoryError
from server.stores.interface import Note, RunStoreInterface


@dataclass(frozen=True, slots=True)
class DecisionReplay:
    """A decision and what its question leads to now.

    Attributes:
        placer: who answered now.
        waiting, nodes: how much the question was about: tasks that waited, and nodes.
        placement: where the task goes now; None where it gets no node.
        is_same: node and option are those of the decision (of a hold: the task is still not bound at once).
    """

    decision: Decision
    placer: str
    waiting: int
    nodes: int
    placement: Placement | None
    is_same: bool
    sentence: str


def replay_decision(store: RunStoreInterface, decision_id: str, placer: str | None = None) -> DecisionReplay:
    """Ask again, the strategy of that time or another one.

    Raises:
        NotFoundError: no question with this decision is kept.
        HistoryError: it cannot be read or answered any more.
    """
    note = _note_of(store, decision_id)
    request = read_question(note)
    if request is None:
        raise HistoryError(f"the question of decision {decision_id} was kept by another version of the server")
    decision = next((one for one in _decisions(store, request) if one.id == decision_id), None)
    if decision is None:
        raise NotFoundError(f"decision {decision_id} itself is not on record any more")
    name = placer or decision.strategy
    strategy = load_placer(name)()
    try:
        plan = ask(strategy, replace(request, time_limit_seconds=TOLD_SHARE * request.time_limit_seconds))
    except PlacerFailure as failure:
        raise HistoryError(f"{name} could not answer: {failure.message}") from failure
    found = next((one for one in plan.placements if (one.run_id, one.key) == (decision.run_id, decision.key)), None)
    is_same = _is_same(decision, found)
    return DecisionReplay(
        decision=decision,
        placer=name,
        waiting=len(request.tasks()),
        nodes=len(request.snapshot.nodes),
        placement=found,
        is_same=is_same,
        sentence=_sentence(decision, name, found, is_same),
    )


def _note_of(store: RunStoreInterface, decision_id: str) -> Note:
    for note in reversed(store.notes(KIND, limit=MOST_KEPT)):
        if decision_id in note.document["decisions"]:
            return note
    raise NotFoundError(
        f"no question with decision {decision_id!r} is kept",
        hint=f"the questions of the latest {MOST_KEPT} cycles are; `mlopx explain RUN TASK --json` shows decision ids",
    )


def _decisions(store: RunStoreInterface, request: PlacementRequest) -> Iterator[Decision]:
    for run in request.runs:
        yield from store.decisions(run.run_id)


def _is_same(decision: Decision, placement: Placement | None) -> bool:
    if decision.node is None:
        return placement is None or placement.planned_start_at == decision.planned_start_at
    return placement is not None and (placement.node, placement.option) == (decision.node, decision.option)


def _sentence(decision: Decision, name: str, placement: Placement | None, is_same: bool) -> str:
    task = f"task {decision.key} of {decision.run_id}"
    was = f"on {decision.node} ({decision.option})" if decision.node else "held"
    now = f"on {placement.node} ({placement.option})" if placement else "held"
    if is_same:
        return f"{name} decides the same again: {task} is {was}"
    return f"{name} decides otherwise: {task} was {was}, and is {now} now"


__all__ = ["DecisionReplay", "replay_decision"]
