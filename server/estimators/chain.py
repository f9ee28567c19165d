"""Predicts with whatever knows best: past runs of this code, then of earlier versions, then the hints, then a guess."""

from __future__ import annotations

from collections.abc import Sequence

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.bands import SLOWEST, banded
from server.estimators.declared import DeclaredEstimator
from server.estimators.history import HistoryEstimator, by_name
from server.estimators.interface import EstimatorInterface, Observation, Profile

GUESS_SPREAD = 1.2
EARLIER_VERSION_SPREAD = 0.6


class ChainEstimator(EstimatorInterface):
    """Asks one estimator after the other; what none knows gets a guess over the node's speed, so it is never None.

    `default_seconds` is the guess for a node of speed 1, `overhead_seconds` what every task costs besides its work.
    """

    name = "chain"

    def __init__(
        self,
        links: Sequence[EstimatorInterface] | None = None,
        *,
        default_seconds: float = 30.0,
        overhead_seconds: float = 1.0,
    ) -> None:
        self._links = list(links) if links is not None else standard_links(overhead_seconds)
        self._default_seconds, self._overhead_seconds = default_seconds, overhead_seconds

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile, without gaps."""
        rows: list[list[Estimate | None]] = [[None] * len(nodes) for _ in profiles]
        missing = list(range(len(profiles))) if nodes else []
        for link in self._links:
            if not missing:
                break
            answers = link.estimate([profiles[index] for index in missing], nodes)
            for index, answer in zip(missing, answers, strict=True):
                rows[index] = _filled(rows[index], answer)
            missing = [index for index in missing if not all(rows[index])]
        guesses = self._guesses(nodes) if missing else []
        for index in missing:
            rows[index] = _filled(rows[index], guesses)
        return rows

    def observe(self, observations: Sequence[Observation]) -> None:
        """Let every link learn."""
        for link in self._links:
            link.observe(observations)

    def _guesses(self, nodes: Sequence[Node]) -> list[Estimate | None]:
        speeds = [max(node.speed, SLOWEST) for node in nodes]
        known = {
            speed: banded(self._default_seconds / speed, GUESS_SPREAD, "a guess", fixed_seconds=self._overhead_seconds)
            for speed in set(speeds)
        }
        return [known[speed] for speed in speeds]


def standard_links(overhead_seconds: float = 1.0) -> list[EstimatorInterface]:
    """History of this code, history of earlier versions of it, hints."""
    earlier = HistoryEstimator(key=by_name, extra_spread=EARLIER_VERSION_SPREAD, of_what=" of other versions")
    return [HistoryEstimator(), earlier, DeclaredEstimator(overhead_seconds=overhead_seconds)]


def _filled(row: list[Estimate | None], answer: list[Estimate | None]) -> list[Estimate | None]:
    if not any(row):  # an estimate is always true
        return answer
    return [own if own is not None else other for own, other in zip(row, answer, strict=True)]


__all__ = ["ChainEstimator", "standard_links"]
