"""What every estimator promises, as functions over a fresh instance; AssertionError where one is broken.

For your own estimator: call `check_promise(promise, MyEstimator)` for every name in `PROMISES`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators.classes import node_class
from server.estimators.interface import EstimatorInterface, Observation, Profile
from server.testing.contracts.placement_requests import a_node

Make = Callable[[], EstimatorInterface]
Promise = Callable[[Make], None]

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FOREST = {
    "task_kind": "training",
    "model": {"type": "random_forest", "params": {"n_estimators": 100, "max_depth": 20}},
    "dataset": {"type": "tabular", "original": {"n_samples": 200_000, "n_features": 41}},
}


def profiles() -> list[Profile]:
    """A hinted component, one without hints, the first with an accelerator and on half a processor, one with inputs."""
    return [
        Profile("train", "d1", "default", 1000, workload=FOREST),
        Profile("clean", "d2", "default", 2000),
        Profile("train", "d1", "gpu", 1000, (("gpu", 1),), workload=FOREST),
        Profile("train", "d3", "default", 500, workload=FOREST),
        Profile("load", "d4", "default", 1000, input_bytes=1e9),
    ]


def nodes() -> list[Node]:
    """Nodes of three classes and of speeds from a quarter to four."""
    return [
        a_node(f"node-{index}", speed=speed, labels={"worker_type": ("low", "med", "high-cpu")[index % 3]})
        for index, speed in enumerate((0.25, 0.5, 1.0, 1.0, 2.0, 4.0))
    ]


def some_runs(count: int = 60, seed: int = 1) -> list[Observation]:
    """Runs of all profiles on the first three nodes, a few of them failed, in order of time."""
    chance = random.Random(seed)
    seen = []
    for number in range(count):
        profile, node = chance.choice(profiles()), chance.choice(nodes()[:3])
        seen.append(
            an_observation(
                profile,
                node,
                chance.lognormvariate(3, 0.3) / node.speed,
                state=chance.choice(("succeeded", "succeeded", "succeeded", "failed", "oom", "timeout")),
                finished_at=BEGIN + timedelta(seconds=number),
            )
        )
    return seen


def an_observation(
    profile: Profile,
    node: Node,
    run_seconds: float,
    *,
    state: str = "succeeded",
    finished_at: datetime = BEGIN,
    peak_memory_bytes: float | None = None,
) -> Observation:
    """One finished attempt."""
    return Observation(
        profile,
        node.name,
        node_class(node),
        node.speed,
        run_seconds,
        state,
        finished_at,
        peak_memory_bytes,
        node.speeds,
        node.allocatable.cpu_millicores / 1000,
    )


def answers_one_row_per_profile_and_one_column_per_node(make: Make) -> None:
    """The shape is that of the question, also when one side is empty."""
    estimator = make()
    assert [len(row) for row in estimator.estimate(profiles(), nodes())] == [len(nodes())] * len(profiles())
    assert estimator.estimate([], nodes()) == []
    assert estimator.estimate(profiles(), []) == [[]] * len(profiles())


def gives_positive_seconds_with_an_ordered_band(make: Make) -> None:
    """0 < p10 <= p50 <= p90, all finite, with a source in words; before and after learning."""
    estimator = make()
    for _ in range(2):
        for estimate in _known(estimator):
            assert 0 < estimate.p10 <= estimate.p50 <= estimate.p90 < math.inf
            assert estimate.source
        estimator.observe(some_runs())


def is_not_slower_on_a_faster_node(make: Make) -> None:
    """Of two nodes of which nothing was seen, the faster one is predicted to be no slower."""
    estimator = make()
    estimator.observe(some_runs())
    unseen = [a_node(f"new-{speed}", speed=speed) for speed in (0.1, 0.5, 1.0, 3.0, 10.0)]
    for row in estimator.estimate(profiles(), unseen):
        medians = [estimate.p50 for estimate in row if estimate is not None]
        assert medians == sorted(medians, reverse=True)


def is_deterministic(make: Make) -> None:
    """The same runs lead to the same answers."""
    one, other = make(), make()
    one.observe(some_runs())
    other.observe(some_runs())
    assert one.estimate(profiles(), nodes()) == other.estimate(profiles(), nodes())
    assert one.estimate(profiles(), nodes()) == one.estimate(profiles(), nodes())


def learns_the_same_in_one_go_or_bit_by_bit(make: Make) -> None:
    """Learning online comes to the same as learning everything at start, within a few per cent."""
    at_once, online = make(), make()
    at_once.observe(some_runs())
    for seen in some_runs():
        online.observe([seen])
        online.estimate(profiles()[:1], nodes()[:1])
    for one, other in zip(_known(at_once), _known(online), strict=True):
        assert math.isclose(one.p50, other.p50, rel_tol=0.1)
        assert math.isclose(one.p90 / one.p10, other.p90 / other.p10, rel_tol=0.3)


def survives_strange_runs(make: Make) -> None:
    """Runs of no, negative, endless or unknown length, or on a node of no speed, break nothing."""
    estimator = make()
    for seconds in (0.0, -1.0, math.inf, math.nan, 1e30):
        estimator.observe([an_observation(profiles()[0], a_node("odd", speed=0.0), seconds)])
    for row in estimator.estimate(profiles(), [*nodes(), a_node("odd", speed=0.0)]):
        assert all(0 < one.p10 <= one.p50 <= one.p90 < math.inf for one in row if one is not None)


def _known(estimator: EstimatorInterface) -> Sequence[Estimate]:
    return [one for row in estimator.estimate(profiles(), nodes()) for one in row if one is not None]


PROMISES: dict[str, Promise] = {
    promise.__name__: promise
    for promise in (
        answers_one_row_per_profile_and_one_column_per_node,
        gives_positive_seconds_with_an_ordered_band,
        is_not_slower_on_a_faster_node,
        is_deterministic,
        learns_the_same_in_one_go_or_bit_by_bit,
        survives_strange_runs,
    )
}
"""Every promise by name."""


def check_promise(promise: str, make: Make) -> None:
    """Raise AssertionError if estimators made by `make` break the promise."""
    PROMISES[promise](make)


__all__ = ["PROMISES", "Promise", "an_observation", "check_promise", "nodes", "profiles", "some_runs"]
