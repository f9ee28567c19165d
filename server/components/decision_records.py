"""Decision records: what was considered for a task, so that any past decision can be explained. At most 4 KB each."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

from server.components.dataset_words import told_of_data
from server.domain.feasibility import explain_unplaceable
from server.domain.placement import (
    Candidate,
    Decision,
    Estimate,
    Placement,
    PlacementRequest,
    TaskOption,
    TaskRef,
    WaitingTask,
)
from server.domain.spot import AVOIDED
from server.placers.halves import Cluster
from server.placers.halves.cluster import MOST_NODES_COMPARED, NEVER, UNKNOWN_SECONDS
from server.planning.needs import Needs, NeedsTable

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
    """Makes the records of one cycle; what tasks with equal needs and profiles find is worked out once."""

    def __init__(
        self,
        request: PlacementRequest,
        table: NeedsTable,
        *,
        strategy: str,
        fallback_from: str | None,
        new_id: Callable[[], str],
        version: str = "",
    ) -> None:
        self.request = request
        self.strategy, self.fallback_from, self.new_id = strategy, fallback_from, new_id
        self.version = version
        self.cluster = Cluster(request, table)
        self._ranked: dict[tuple[int, tuple[int | None, ...]], list[Candidate]] = {}
        self._filtered: dict[int, dict[str, tuple[str, ...]]] = {}
        self._free: dict[int, list[int]] = {}
        self._starts: dict[int, dict[int, list[tuple[TaskOption, float]]]] = {}
        self._looks = 0

    def placed(self, task: WaitingTask, placement: Placement) -> Decision:
        """The record of a task that gets a node, now or (with its whole run) as planned."""
        ranked = self._candidates(task)
        chosen = self._chosen(task, placement, ranked)
        others = [one for one in ranked if (one.node, one.option) != (placement.node, placement.option)]
        self._take(task, placement)
        reason = placement.reason or f"chosen by {self.strategy}"
        data = told_of_data(task, placement.node, (one.node for one in others), self.request.network)
        return self._record(
            task,
            f"{reason}; {data}" if data else reason,
            (chosen, *others[: MOST_CANDIDATES - 1]),
            placement,
            runner_up=others[0].node if others else None,
            is_held=False,
        )

    def held(self, task: WaitingTask, reason: str, placement: Placement | None) -> Decision:
        """The record of a ready task that waits; `placement` is what the plan has in mind for it."""
        ranked = self._candidates(task)
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
        option = _option(task, placement.option)
        if not self.cluster.nodes[node].is_virtual and self.cluster.timelines[node].has_room(option.requests, 0.0):
            seconds = self.cluster.seconds(task, option, node)
            self.cluster.timelines[node].take(option.requests, 0.0, seconds)
            self._ranked.clear()
            self._free.clear()
            self._starts.clear()

    def _named(self, task: WaitingTask) -> dict[str, tuple[str, ...]]:
        """Some nodes for each of the commonest reasons; none on a very large cluster."""
        if len(self.cluster.nodes) > MOST_NODES_EXPLAINED:
            return {}
        needs = self.cluster.needs(task)
        if id(needs) not in self._filtered:
            said = list(needs.rejected)[:MOST_REASONS]
            names = {**explain_unplaceable(task, self.cluster.nodes), AVOIDED: list(task.spot_nodes)}
            self._filtered[id(needs)] = {
                clipped(reason): tuple(names[reason][:MOST_NODES_NAMED]) for reason in said if reason in names
            }
        return self._filtered[id(needs)]

    def _candidates(self, task: WaitingTask) -> list[Candidate]:
        """Nodes that can run the task, by predicted finish if it were next; its best option on each."""
        needs = self.cluster.needs(task)
        profile_of = self.request.estimates.profile_of
        rows = tuple(profile_of.get((task.run_id, task.key, option.name)) for option in task.options)
        key = (id(needs), rows)
        if key not in self._ranked:
            row_of = {option.name: row for option, row in zip(task.options, rows, strict=True)}
            medians = {name: self.cluster.medians(row) for name, row in row_of.items()}
            nodes = self._promising(needs, medians)
            starts = self._starts_on(needs, nodes)
            offers = [
                (start + medians[option.name][node], node, option, start)
                for node in nodes
                for option, start in starts[node]
            ]
            best: dict[int, tuple[float, int, TaskOption, float]] = {}
            for offer in sorted(offers, key=itemgetter(0, 1)):
                best.setdefault(offer[1], offer)  # what ends later on the same node is left out
            kept = list(best.values())[: MOST_CANDIDATES + 1]
            self._ranked[key] = [self._candidate(row_of[offer[2].name], *offer) for offer in kept]
        return self._ranked[key]

    def _promising(self, needs: Needs, medians: Mapping[str, Sequence[float]]) -> Sequence[int]:
        """The nodes worth comparing: of many, the quickest, and the quickest of those with room now."""
        nodes = self.cluster.part_of(needs.nodes, MOST_NODES_COMPARED)
        if len(nodes) <= MOST_NODES_COMPARED:
            return nodes
        half = MOST_NODES_COMPARED // 2
        return sorted(
            {
                *_quickest(half, nodes, needs, medians),
                *_quickest(half, self._free_among(needs, nodes), needs, medians),
            }
        )

    def _free_among(self, needs: Needs, nodes: Sequence[int]) -> Sequence[int]:
        """Those of the nodes with room now; of all that can run a task they are found once for equal needs."""
        if nodes is not needs.nodes:
            return [node for node in nodes if self.cluster.has_room(needs, node, 0.0)]
        if id(needs) not in self._free:
            self._free[id(needs)] = [node for node in nodes if self.cluster.has_room(needs, node, 0.0)]
        return self._free[id(needs)]

    def _starts_on(self, needs: Needs, nodes: Sequence[int]) -> Mapping[int, Sequence[tuple[TaskOption, float]]]:
        """When each option could start on these nodes (and maybe others), infinite where its room never comes."""
        known = self._starts.setdefault(id(needs), {})
        for node in nodes:
            if node not in known:
                start = self.cluster.timelines[node].earliest_start
                known[node] = [(option, start(option.requests, 0.0)) for option in needs.options[node]]
        return known

    def _candidate(self, row: int | None, finish: float, node: int, option: TaskOption, start: float) -> Candidate:
        band = self.cluster.cell(row, node) or _unknown(UNKNOWN_SECONDS)
        is_offered = start < NEVER
        return Candidate(
            node=self.cluster.nodes[node].name,
            option=option.name,
            seconds_p10=round(band.p10, 3),
            seconds_p50=round(band.p50, 3),
            seconds_p90=round(band.p90, 3),
            score=round(finish, 3) if is_offered else None,
            is_free=start <= 0,
            start_seconds=round(start, 3) if is_offered else None,
            finish_seconds=round(finish, 3) if is_offered else None,
        )

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
        option = _option(task, placement.option)
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


class Memory:
    """What was recorded last for every waiting task, so that only changed decisions are recorded again."""

    def __init__(self) -> None:
        self._last: dict[TaskRef, tuple[object, ...]] = {}

    def is_new(self, ref: TaskRef, *answer: object) -> bool:
        """Whether this is not what was answered for the task last time; remembers it."""
        if self._last.get(ref) == answer:
            return False
        self._last[ref] = answer
        return True

    def keep_only(self, refs: Mapping[TaskRef, object]) -> None:
        """Forget tasks that wait no more."""
        for ref in [ref for ref in self._last if ref not in refs]:
            del self._last[ref]


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


def _option(task: WaitingTask, name: str) -> TaskOption:
    return next((choice for choice in task.options if choice.name == name), task.options[0])


def _commonest(reasons: Mapping[str, int], most: int = MOST_REASONS) -> dict[str, int]:
    return {clipped(reason): count for reason, count in list(reasons.items())[:most]}


def _quickest(most: int, nodes: Sequence[int], needs: Needs, medians: Mapping[str, Sequence[float]]) -> list[int]:
    """So many of the nodes that run a task soonest, each with the first option it can run."""
    if len(medians) == 1:
        (seconds,) = medians.values()
        return heapq.nsmallest(most, nodes, key=seconds.__getitem__)
    return heapq.nsmallest(most, nodes, key=lambda node: medians[needs.options[node][0].name][node])


def _unknown(seconds: float) -> Estimate:
    return Estimate(seconds, seconds, seconds, "unknown")


__all__ = ["LARGEST_RECORD_BYTES", "MOST_CANDIDATES", "Memory", "Recorder", "record_bytes"]
