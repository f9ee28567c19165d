"""Predicts from the author's hints: counted operations over the node's speed, plus a fixed overhead."""

from __future__ import annotations

from collections.abc import Sequence

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.bands import SLOWEST, banded
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.estimators.operations import family, operations

OPERATIONS_PER_SECOND = 2e9
"""What one CPU of speed 1 does of the counted operations: numpy and compiled learners on one current core."""

ACCELERATOR_SPEEDUP = 10.0
"""How much sooner a task with an accelerator is done than on one CPU, where nothing else is known."""

SPREAD = 0.9
"""Counted operations are right within a factor of about three, eight times of ten."""

COSTS = {"decisiontree": 5.0, "randomforest": 5.0}
"""What an operation of these families costs beside one of dense arithmetic: a comparison with a jump and a look-up in
memory, which no vector instruction does many of at once."""

PARALLEL = frozenset({"randomforest", "nn", "cnn"})
"""Families that use several processors; with a loss, hence the exponent."""

PARALLEL_EXPONENT = 0.8


class DeclaredEstimator(EstimatorInterface):
    """Operations from the hints, over node speed. Learns nothing.

    `overhead_seconds` is what every task costs besides its work: starting a process or a container.
    """

    name = "declared"

    def __init__(self, *, overhead_seconds: float = 1.0, operations_per_second: float = OPERATIONS_PER_SECOND) -> None:
        self.overhead_seconds = overhead_seconds
        self.operations_per_second = operations_per_second

    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile; all None where the operations cannot be counted."""
        speeds = [node.speed for node in nodes]
        counts = [self.counted(profile) for profile in profiles]
        return [[None] * len(speeds) if counted is None else self.row(counted, speeds) for counted in counts]

    def observe(self, observations: Sequence[Observation]) -> None:
        """Nothing to learn from: hints do not change."""

    def counted(self, profile: Profile) -> tuple[float, float] | None:
        """Operations of a task, and how many times the work of one CPU it does; None where they cannot be counted."""
        found = operations(profile.workload)
        if found is None:
            return None
        is_counted = "operations" not in profile.workload
        return found * (COSTS.get(family(profile.workload), 1.0) if is_counted else 1.0), parallelism(profile)

    def row(self, counted: tuple[float, float], speeds: Sequence[float]) -> list[Estimate | None]:
        """Estimates for nodes of these speeds."""
        rate = self.operations_per_second * counted[1]
        known = {
            speed: banded(
                counted[0] / (rate * max(speed, SLOWEST)), SPREAD, "from the hints", fixed_seconds=self.overhead_seconds
            )
            for speed in set(speeds)
        }
        return [known[speed] for speed in speeds]


def parallelism(profile: Profile) -> float:
    """How many times the work of one CPU the task's requests do."""
    if profile.accelerators:
        return ACCELERATOR_SPEEDUP
    cpus = profile.cpu_millicores / 1000 or 1.0
    if cpus <= 1:
        return cpus
    return cpus**PARALLEL_EXPONENT if family(profile.workload) in PARALLEL else 1.0


__all__ = ["DeclaredEstimator", "parallelism"]
