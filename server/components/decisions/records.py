"""Decision records: what was considered for a task, so that any past decision can be explained. At most 4 KB each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from server.components.datasets.words import told_of_data
from server.components.decisions.candidates import Bands, Candidates
from server.domain.feasibility import explain_unplaceable
from server.domain.placement import (
    Candidate,
    Decision,
    Estimate,
    Placement,
    PlacementRequest,
    WaitingTask,
)
from server.placers.halves import Cluster
from server.planning.needs import NeedsTable

MOST_CANDIDATES = 8
MOST_REASONS = 8
LARGEST_RECORD_BYTES = 4096
LONGEST_TEXT = 300
MOST_NODES_NAMED = 5
MOST_NODES_EXPLAINED = 256
"""On larger clusters the nodes that cannot run a task are counted, not named."""

MOST_FRESH_LOOKS = 20_000
"""Pairs of tasks and nodes in one cycle up to which each task is compared after the tasks placed before it."""

_CANDIDATE_BYTES, _FRAME_BYTES = 260, 940
"""What a candidate and a record weigh as JSON besides their names and texts."""


class Recorder:
    """Makes the records of one cycle; what tasks with equal needs and profiles find is worked out once.

    `because`: why `strategy` answers instead of `fallback_from`, where that is no failure. `bands`: what is kept of the
    estimates from one cycle to the next.
    """

    def __init__(
        self,
        request: PlacementRequest,
        table: NeedsTable,
        *,
        strategy: str,
        fallback_from: str | None,
        new_id: Callable[[], str],
        version: str = "",
        because: str = "",
        bands: Bands | None = None,
    ) -> None:
        self.request = request
        self.strategy, self.fallback_from, self.new_id = strategy, fallback_from, new_id
        self.version, self._because = version, because
        self.cluster = Cluster(request, table)
        self.candidates = Candidates(self.cluster, bands or Bands(), MOST_CANDIDATES + 1)
        self._filtered: dict[int, dict[str, tuple[str, ...]]] = {}
        self._looks = 0

    def expect(self, tasks: Iterable[WaitingTask]) -> None:
        """These are about to be recorded as `held`, in this order: their candidates are found together."""
        self.candidates.find(tasks)

    def placed(self, task: WaitingTask, placement: Placement) -> Decision:
        """The record of a task that gets a node, now or (with its whole run) as planned."""
        ranked = self.candidates.of(task)
        chosen = self._chosen(task, placement, ranked)
        others = [one for one in ranked if (one.node, one.option) != (placement.node, placement.option)]
        self._take(task, placement)
        reason = placement.reason or f"chosen by {self.strategy}"
        data = told_of_data(task, placement.node, (one.node for one in others), self.request.network)
        return self._record(
            task,
            "; ".join(part for part in (reason, data, self._because) if part),
            (chosen, *others[: MOST_CANDIDATES - 1]),
            placement,
            runner_up=others[0].node if others else None,
            is_held=False,
        )

    def held(self, task: WaitingTask, reason: str, placement: Placement | None) -> Decision:
        """The record of a ready task that waits; `placement` is what the plan has in mind for it."""
        ranked = self.candidates.of(task)
        runner_up = ranked[0].node if ranked else None
        return self._record(task, reason, tuple(ranked[:MOST_CANDIDATES]), placement, runner_up=runner_up, is_held=True)

    def _record(
        self,
        task: WaitingTask,
        reason: str,
        candidates: tuple[Candidate, ...],
        placement: Placement | None,
        *,
        runner_up: str | None,
        is_held: bool,
    ) -> Decision:
        is_placed = placement is not None and not is_held
        return self._fit(
            Decision(
                id=self.new_id(),
                cycle=self.request.cycle,
                at=self.request.now,
                run_id=task.run_id,
                key=task.key,
                attempt=task.attempt,
                node=placement.node if placement is not None and is_placed else None,
                option=placement.option if placement is not None and is_placed else None,
                strategy=self.strategy,
                reason=clipped(reason),
                snapshot_at=self.request.snapshot.taken_at,
                candidates=candidates,
                runner_up=runner_up,
                rejected=_commonest(self.cluster.needs(task).rejected),
                estimate=self._estimate(task, placement) if placement is not None and is_placed else None,
                planned_start_at=placement.planned_start_at if placement else None,
                planned_finish_at=placement.planned_finish_at if placement else None,
                fallback_from=self.fallback_from,
                filtered=self._named(task),
                strategy_version=self.version,
            )
        )

    def _take(self, task: WaitingTask, placement: Placement) -> None:
        """Let the next records of this cycle see that the task has its room, while that is cheap enough."""
        self._looks += len(self.cluster.nodes)
        start = placement.planned_start_at
        if self._looks > MOST_FRESH_LOOKS or (start is not None and start > self.request.now):
            return
        node = self.cluster.table.index[placement.node]
        option = task.option(placement.option)
        if not self.cluster.nodes[node].is_virtual and self.cluster.timelines[node].has_room(option.requests, 0.0):
            seconds = self.cluster.seconds(task, option, node)
            self.cluster.timelines[node].take(option.requests, 0.0, seconds)
            self.candidates.changed(node)

    def _named(self, task: WaitingTask) -> dict[str, tuple[str, ...]]:
        """Some nodes for each of the commonest reasons; none on a very large cluster."""
        if len(self.cluster.nodes) > MOST_NODES_EXPLAINED:
            return {}
        needs = self.cluster.needs(task)
        if id(needs) not in self._filtered:
            said = list(needs.rejected)[:MOST_REASONS]
            names = explain_unplaceable(task, self.cluster.nodes)
            nodes = self.cluster.nodes
            names |= {reason: [nodes[index].name for index in found] for reason, found in needs.avoided.items()}
            self._filtered[id(needs)] = {
                clipped(reason): tuple(names[reason][:MOST_NODES_NAMED]) for reason in said if reason in names
            }
        return self._filtered[id(needs)]

    def _chosen(self, task: WaitingTask, placement: Placement, ranked: list[Candidate]) -> Candidate:
        """The chosen node among the candidates, with the strategy's own score where it gave one."""
        found = next((one for one in ranked if (one.node, one.option) == (placement.node, placement.option)), None)
        if found is None:
            band = self._estimate(task, placement) or _unknown(0.0)
            is_free = placement.planned_start_at is None or placement.planned_start_at <= self.request.now
            found = Candidate(
                placement.node, placement.option, band.p10, band.p50, band.p90, placement.score, is_free=is_free
            )
        return found if placement.score is None else replace(found, score=placement.score)

    def _estimate(self, task: WaitingTask, placement: Placement) -> Estimate | None:
        option = task.option(placement.option)
        found = self.cluster.estimate(task, option, self.cluster.table.index[placement.node])
        return None if found is None else replace(found, source=clipped(found.source))

    def _fit(self, decision: Decision) -> Decision:
        """The record without its last candidates and reasons, until it is small enough."""
        while record_bytes(decision) > LARGEST_RECORD_BYTES and (decision.candidates or decision.rejected):
            decision = replace(
                decision,
                candidates=decision.candidates[:-1],
                rejected=_commonest(decision.rejected, max(len(decision.rejected) - 1, 0)),
                filtered=dict(list(decision.filtered.items())[:-1]),
            )
        return decision


def record_bytes(decision: Decision) -> int:
    """An upper bound of the record's size as JSON (UTF-8, escapes included for ordinary text)."""
    texts = [decision.id, decision.run_id, str(decision.key), decision.reason, decision.strategy, *decision.rejected]
    texts += [decision.node or "", decision.option or "", decision.runner_up or "", decision.fallback_from or ""]
    texts += [part for one in decision.candidates for part in (one.node, one.option)]
    texts += [decision.estimate.source] if decision.estimate else []
    texts += [decision.strategy_version]
    texts += [f"{text}....." for reason, nodes in decision.filtered.items() for text in (reason, *nodes)]
    weight = _FRAME_BYTES + _CANDIDATE_BYTES * len(decision.candidates) + 16 * len(decision.rejected)
    return weight + len("".join(texts).encode())


def clipped(text: str) -> str:
    """A text short enough for a record."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _commonest(reasons: Mapping[str, int], most: int = MOST_REASONS) -> dict[str, int]:
    return {clipped(reason): count for reason, count in list(reasons.items())[:most]}


def _unknown(seconds: float) -> Estimate:
    return Estimate(seconds, seconds, seconds, "unknown")


__all__ = ["LARGEST_RECORD_BYTES", "MOST_CANDIDATES", "Recorder", "record_bytes"]
