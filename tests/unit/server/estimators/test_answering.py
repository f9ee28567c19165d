"""Many profiles are answered at once as each alone would be, and together."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from server.domain.node import Node
from server.domain.placement import Estimate
from server.estimators import answering
from server.estimators.chain import ChainEstimator
from server.estimators.covariance import GRID_PRIOR
from server.estimators.fitted import Fit
from server.estimators.history import HistoryEstimator
from server.estimators.interface import Profile
from server.estimators.machines import Corrections
from server.estimators.points import Points, Terms
from server.estimators.predicting import Bands, predict, predict_all
from server.estimators.regression import fit
from server.estimators.sizes import PRIOR
from server.estimators.table import build_estimates
from server.testing.contracts.estimator import an_observation
from server.testing.contracts.placement_requests import a_node, a_run, a_task

NODES = [a_node(f"n{number}", speed=1 + number % 3, labels={"worker_type": f"c{number % 3}"}) for number in range(6)]


def a_profile(chance: random.Random, **others: object) -> Profile:
    """Of one of two components, one of them on accelerators; with words, numbers and a size, or without."""
    parameters = {
        "rounds": chance.randrange(1, 60),
        "kind": chance.choice("abc"),
        "rows": 1000 * chance.randrange(1, 3),
    }
    profile = Profile(
        component=(name := chance.choice(("plain", "fast"))),
        component_digest=chance.choice(("d1", "d2")),
        option="default",
        cpu_millicores=1000,
        accelerators=(("gpu", 1),) if name == "fast" else (),
        input_bytes=10 ** chance.uniform(5, 8) if chance.random() < 0.8 else 0.0,
        parameters=parameters if chance.random() < 0.8 else {},
        given={"rows": chance.randrange(1, 40)},
    )
    return replace(profile, **others)  # type: ignore[arg-type]  # a mapping of fields


def lived(seed: int) -> HistoryEstimator:
    """Sixty runs on two thirds of the nodes."""
    chance, history = random.Random(seed), HistoryEstimator()
    for _ in range(60):
        profile, node = a_profile(chance), chance.choice(NODES[:4])
        seconds = (2 + profile.input_bytes / 1e6) / node.speed * chance.lognormvariate(0, 0.2)
        history.observe([an_observation(profile, node, seconds, peak_memory_bytes=1e8 + profile.input_bytes)])
    return history


def figures(row: list[Estimate | None]) -> list[float]:
    found = [one for one in row if one is not None]
    assert len(found) == len(row)
    return [value for one in found for value in (one.p10, one.p50, one.p90, one.peak_memory_bytes or 0.0)]


def test_many_profiles_at_once_get_what_each_alone_gets() -> None:
    seed, chance = 1, random.Random(11)
    asked = [a_profile(chance) for _ in range(20)]
    asked += [a_profile(chance, is_input_known=False, input_bytes=0.0, parameters={}) for _ in range(10)]
    at_once, alone = lived(seed), lived(seed)
    for profile, row in zip(asked, at_once.estimate(asked, NODES), strict=True):
        (own,) = alone.estimate([profile], NODES)
        assert figures(row) == pytest.approx(figures(own), rel=1e-7)
        assert [one and one.source for one in row] == [one and one.source for one in own]


def test_profiles_and_machines_apart_give_what_each_pair_gives() -> None:
    rng = np.random.default_rng(3)

    def points(count: int, machines: int) -> Points:
        ids = rng.integers(0, machines, count)
        none, keys = np.zeros(count), rng.integers(-1, 4, count)
        sizes = np.where(rng.random(count) < 0.2, np.nan, rng.uniform(10, 16, count))
        numbers = rng.normal(0, 0.5, (count, 2))
        weight = rng.integers(1, 4, count).astype(float)
        excess = np.where(rng.random(count) < 0.2, 0.3, 0.0)
        times = rng.normal(3, 1, count)
        return Points(times, weight, sizes, ids, ids, ids % 2, keys, keys // 2, numbers, none > 0, none, none, excess)

    covariance = np.diag([0.02, 0.03, 0.05, 0.01])
    corrections = Corrections({(f"m{n}", False): n for n in range(4)}, np.array([0.1, -0.1, 0.3, 0.0]), covariance)

    def terms(machine: np.ndarray) -> Terms:
        return Terms(
            rng.normal(0, 0.3, 5)[machine], np.array([0.0, 0.0, 0.0, 0.0, 0.04])[machine], machine, corrections
        )

    known = points(20, 3)
    fitted = fit(known, terms(known.machine), GRID_PRIOR, PRIOR)
    profiles, there = points(30, 3), points(4, 4)
    there_terms = terms(there.machine)
    found = predict_all(fitted, profiles, there, there_terms)
    few = predict_all(fitted, profiles, there.chosen(np.arange(2)), there_terms.chosen(np.arange(2)))
    for many, some in zip(found, few, strict=True):
        np.testing.assert_allclose(many[:, :2], some, rtol=1e-7)
    for column in range(4):
        which = np.full(30, column)
        pairs = replace(profiles, machine=there.machine[which], node=there.node[which])
        for many, one in zip(found, predict(fitted, pairs, there_terms.chosen(which)), strict=True):
            np.testing.assert_allclose(many[:, column], one, rtol=1e-7)


def test_many_tasks_with_parameters_of_their_own_are_predicted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster: list[Node] = [
        a_node(f"n{number}", speed=1 + number % 20, labels={"worker_type": f"c{number % 20}"}) for number in range(100)
    ]
    chance, chain = random.Random(4), ChainEstimator()
    for number in range(100):
        profile = Profile(f"c{number % 5}", f"digest-c{number % 5}", "default", 1000, parameters={"rounds": number})
        chain.teach([an_observation(profile, chance.choice(cluster), 20 * chance.lognormvariate(0, 0.2))])
    chain.settle(most_fits=1)
    runs = [
        a_run(f"r{n}", *[a_task(f"r{n}", f"c{step}", parameters={"rounds": n + step / 20}) for step in range(5)])
        for n in range(100)
    ]
    asked: list[int] = []

    def counted(fitted: Fit, profiles: Points, machines: Points, terms: Terms) -> Bands:
        asked.append(len(profiles.log_seconds))
        return predict_all(fitted, profiles, machines, terms)

    monkeypatch.setattr(answering, "predict_all", counted)
    found = build_estimates(runs, cluster, chain)
    assert len(found.table) == 500
    assert len(asked) < 50
    assert sum(asked) >= 500
