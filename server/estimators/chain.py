"""Predicts with everything that is known: past runs and hints, blended by their past errors, else a guess."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Hashable, Sequence

from server.domain.node import Node
from server.domain.placement import Estimate
from server.domain.resources import Resources
from server.estimators.bands import SLOWEST, Z90, banded
from server.estimators.calibration import Calibration, Track, banded_sd
from server.estimators.classes import class_label
from server.estimators.declared import SPREAD, DeclaredEstimator
from server.estimators.history import LEARNT_FROM, MOST_COMPONENTS, ComponentKey, HistoryEstimator
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.estimators.starts import StartTimes
from server.estimators.waits import Waits

Hints = tuple[float, float]
GUESS_SPREAD = 1.2
KIND_SHARES = {"training": 1.0, "preprocessing": 0.4, "evaluation": 0.3, "inference": 0.3, "other": 0.15}
"""What a task of a kind takes beside one of which nothing is known, where its work cannot be counted."""
SMALLEST_SHARE = 0.05
"""Hints that would count for less than this beside past runs are left out."""

MOST_ROWS, MOST_FITS_AT_START = 2_000, 32
MUCH_OLDER, FEWER_FITS = 20, 8
"""Where the latest runs are so small a part of all, what components say of each other is worked out again of fewer."""

MOST_SAID, FEWEST_SAID = 16, 3
"""So many different hints are remembered of a component; after so many runs equal ones say nothing new."""

MOST_COMPARED, FEWEST_BEFORE = 64, 4
"""So many of the latest runs of one batch are compared with what would have been predicted; of past runs not more than
one for so many that came before."""


class ChainEstimator(EstimatorInterface):
    """Blends history with the hints; what neither knows gets a guess over the node's speed, so it is never None.

    `default_seconds` is the guess for a node of speed 1, `overhead_seconds` what every task costs besides its work.
    The hints are corrected by what past runs show of their errors.
    """

    name = "chain"

    def __init__(self, *, default_seconds: float = 30.0, overhead_seconds: float = 1.0) -> None:
        self._turn = threading.RLock()
        self.history = HistoryEstimator()
        self.declared = DeclaredEstimator(overhead_seconds=overhead_seconds)
        self.calibration = Calibration()
        self.starts = StartTimes()
        self.waits = Waits()
        self._declared_errors = Track(SPREAD)
        self._latest: deque[Observation] = deque()
        self._said: dict[ComponentKey, dict[Hints, int]] = {}
        self._speeds: tuple[float, ...] = ()
        self._rows: dict[Hashable, tuple[list[Estimate | None], list[Estimate | None]]] = {}
        self._default_seconds, self._overhead_seconds = default_seconds, overhead_seconds

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile, without gaps. Cycles, plans and explanations ask from threads of their own."""
        if not nodes:
            return [[] for _ in profiles]
        with self._turn:
            return self._estimate(profiles, nodes)

    def _estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        speeds = tuple(node.speed for node in nodes)
        if speeds != self._speeds:
            self._speeds = speeds
            self._rows.clear()
        found = []
        for profile, past in zip(profiles, self.history.estimate(profiles, nodes), strict=True):
            hints = self.declared.counted(profile)
            if past[0] is not None and self._is_said(profile, hints):
                found.append(past)
                continue
            has_past = past[0] is not None
            kind = str(profile.workload.get("task_kind") or "").lower() if hints is None else ""
            asked = (kind, id(past) if has_past else 0, hints, self._declared_errors.bias, self._declared_errors.spread)
            kept = self._rows.get(asked)
            if kept is None or (has_past and kept[0] is not past):
                if len(self._rows) >= MOST_ROWS:
                    self._rows.clear()
                kept = self._rows[asked] = (past, self._row(past, hints, nodes, kind))
            found.append(kept[1])
        return found

    def teach(self, observations: Sequence[Observation]) -> None:
        """Learn many past runs at once, oldest first, before `settle`: only the latest of all will be compared."""
        for seen in observations:
            if len(self._latest) == MOST_COMPARED:
                self._learn(self._latest.popleft())
            self._latest.append(seen)

    def settle(self, *, most_fits: int = MOST_FITS_AT_START) -> None:
        """Let everything follow what was learnt last; of the components at most `most_fits`, the latest."""
        while self._latest and len(self._latest) > self.history.learnt // FEWEST_BEFORE:
            self._learn(self._latest.popleft())
        self.history.settle(most_fits=most_fits)
        self.calibration.start_anew()
        self.history.widening = self.calibration.widening()
        if self._latest:
            latest = list(self._latest)
            self._latest.clear()
            self._observe(latest, is_patient=True)
            is_little_new = len(latest) * MUCH_OLDER < self.history.learnt
            self.history.settle(most_fits=most_fits // FEWER_FITS if is_little_new else most_fits)

    def observe(self, observations: Sequence[Observation]) -> None:
        """Compare with what would have been predicted, then learn.

        So that learning a run stays quick, one is not compared with whose component what is known is fitted anew.
        """
        self._observe(observations)

    def _observe(self, observations: Sequence[Observation], *, is_patient: bool = False) -> None:
        first_compared = len(observations) - MOST_COMPARED
        with self._turn:
            for index, seen in enumerate(observations):
                is_over = seen.state == "succeeded" and 0 <= seen.run_seconds < math.inf
                if index >= first_compared and is_over and (is_patient or not self.history.follow(seen.profile)):
                    self._compare(seen, is_patient)
                self._learn(seen)

    def _learn(self, seen: Observation) -> None:
        self.history.observe([seen])
        self.starts.observe(seen)
        self.waits.observe(seen)
        hints = self.declared.counted(seen.profile)
        if hints is not None and seen.state in LEARNT_FROM:
            said = self._said.setdefault((seen.profile.component, seen.profile.option), {})
            said[hints] = said.get(hints, 0) + 1
            if len(said) > MOST_SAID:
                del said[next(iter(said))]
            if len(self._said) > MOST_COMPONENTS:
                del self._said[next(iter(self._said))]

    def _is_said(self, profile: Profile, hints: Hints | None) -> bool:
        """Whether hints say nothing of a component that ran: there are none, or some runs with the very same are on
        record. Then what they say is known, and they cannot tell what is new from what was."""
        return hints is None or self._said.get((profile.component, profile.option), {}).get(hints, 0) >= FEWEST_SAID

    def _compare(self, seen: Observation, is_patient: bool) -> None:
        node = _node_of(seen)
        ((hinted,),) = self.declared.estimate([seen.profile], [node])
        past = self.history.estimate_one(seen, is_patient=is_patient)
        is_said = past is not None and self._is_said(seen.profile, self.declared.counted(seen.profile))
        blended = past if is_said else self._blended(past, hinted)
        if blended is not None:
            self.calibration.add(seen.profile.component, seen.node_class or seen.node, blended, seen.run_seconds)
            self.history.widening = self.calibration.widening()
        if hinted is not None:
            self._declared_errors.add(math.log(max(seen.run_seconds, 1e-3) / hinted.p50))

    def _row(
        self, past: list[Estimate | None], hints: tuple[float, float] | None, nodes: Sequence[Node], kind: str
    ) -> list[Estimate | None]:
        if hints is None:
            return self._guesses(nodes, kind)
        hinted = self.declared.row(hints, [node.speed for node in nodes])
        blended: dict[tuple[int, int], Estimate | None] = {}
        row = []
        for own, declared in zip(past, hinted, strict=True):
            pair = (id(own), id(declared))
            if pair not in blended:
                blended[pair] = self._blended(own, declared)
            row.append(blended[pair])
        return row

    def _blended(self, past: Estimate | None, hinted: Estimate | None) -> Estimate | None:
        """Both weighed by the inverse of their squared errors: those that the band says, and those of past hints."""
        track = self._declared_errors
        if hinted is None:
            return past
        spread = max(track.spread, 0.1)
        middle = math.log(hinted.p50) + track.bias
        if past is None:
            scale = math.exp(track.bias)
            widening = spread / SPREAD
            return Estimate(
                p50=hinted.p50 * scale,
                p10=hinted.p50 * scale * (hinted.p10 / hinted.p50) ** widening,
                p90=hinted.p50 * scale * (hinted.p90 / hinted.p50) ** widening,
                source=hinted.source,
            )
        own = banded_sd(past)
        share = own**2 / (own**2 + spread**2)
        if share < SMALLEST_SHARE:
            return past
        blend = math.exp((1 - share) * math.log(past.p50) + share * middle)
        factor = math.exp(Z90 * own * math.sqrt(1 - share))
        source = f"{past.source}, with the hints"
        return Estimate(
            blend, blend / factor, blend * factor, source, past.peak_memory_bytes, past.peak_memory_p90_bytes
        )

    def _guesses(self, nodes: Sequence[Node], kind: str) -> list[Estimate | None]:
        seconds = self._default_seconds * KIND_SHARES.get(kind, 1.0)
        speeds = [max(node.speed, SLOWEST) for node in nodes]
        known = {
            speed: banded(seconds / speed, GUESS_SPREAD, "a guess", fixed_seconds=self._overhead_seconds)
            for speed in set(speeds)
        }
        return [known[speed] for speed in speeds]


def _node_of(seen: Observation) -> Node:
    """The node of a finished run, as far as its record tells."""
    return Node(seen.node, Resources(), labels=class_label(seen.node_class), speed=seen.node_speed)


__all__ = ["ChainEstimator"]
