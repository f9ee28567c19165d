"""Bands are as wide as runs that were held out say."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from server.domain.node import Node
from server.estimators.chain import ChainEstimator
from server.estimators.classes import node_class
from server.estimators.covariance import GRID_PRIOR
from server.estimators.history import HistoryEstimator
from server.estimators.holding_out import (
    ELSEWHERE,
    KINDS,
    KNOWN,
    LARGER,
    UNLIKE,
    UNSIZED,
    Block,
    accelerator_factors,
    factors,
    few_accelerators,
    kinds_of,
)
from server.estimators.interface import Observation, Profile
from server.estimators.machines import Evidence, MachineSpeeds, MachineTable
from server.estimators.points import Points, Terms
from server.estimators.regression import fit
from server.estimators.sizes import PRIOR
from server.platforms.local.cluster_file import node_of
from server.testing.contracts.estimator import an_observation
from server.testing.contracts.placement_requests import a_node

MACHINES = [a_node(f"m{number}", labels={"worker_type": f"class-{number}"}) for number in range(4)]
GPU_WORK = Profile("train", "1", "default", 1000, (("gpu", 1),))
Asked = list[tuple[Profile, Node, float]]


def points(machines: list[int], keys: list[int], sizes: list[float]) -> Points:
    zeros, ids = np.zeros(len(machines)), np.array(machines)
    return Points(
        zeros,
        zeros + 1,
        np.array(sizes),
        ids,
        ids,
        ids * 0,
        np.array(keys),
        np.array(keys),
        np.zeros((len(machines), 0)),
        zeros > 0,
        zeros,
        zeros,
        zeros,
    )


def lived(seed: int, noise: float, apart: float, held: int | None = None) -> tuple[list[Observation], Asked]:
    """Ten components on four machines; of the held-out one six runs are known in all. What comes next is asked."""
    chance = random.Random(seed)
    levels = [chance.lognormvariate(3, 1) for _ in range(10)]
    speeds = [chance.lognormvariate(0, 0.4) for _ in MACHINES]
    own = {(c, m): chance.lognormvariate(0, apart) for c in range(10) for m in range(4)}

    def seconds(component: int, machine: int) -> float:
        return levels[component] / speeds[machine] * own[component, machine] * chance.lognormvariate(0, noise)

    def profile(component: int) -> Profile:
        return Profile(f"c{component}", f"c{component}", "default", 1000)

    pairs = [(c, m) for c in range(10) for m in range(4) if m != held for _ in range(4)]
    pairs += [(c, held) for c in range(6) if held is not None]
    chance.shuffle(pairs)
    seen = [an_observation(profile(c), MACHINES[m], seconds(c, m)) for c, m in pairs]
    asked = [
        (profile(c), MACHINES[m], seconds(c, m))
        for c in range(10)
        for m in range(4)
        if held is None or (m == held and c > 5)
    ]
    return seen, asked


def coverage(seen: list[Observation], asked: Asked) -> list[bool]:
    chain = ChainEstimator()
    chain.observe(seen)
    chain.settle()
    rows = chain.estimate([profile for profile, _, _ in asked], MACHINES)
    inside = []
    for (_, node, seconds), row in zip(asked, rows, strict=True):
        found = row[MACHINES.index(node)]
        assert found is not None
        inside.append(found.p10 <= seconds <= found.p90)
    return inside


@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_eight_runs_of_ten_stay_in_the_band_on_known_machines(noise: float) -> None:
    inside = [hit for seed in range(3) for hit in coverage(*lived(seed, noise, noise / 2))]
    assert 0.7 <= sum(inside) / len(inside) <= 0.9


def test_bands_on_a_machine_with_six_runs_hold_without_being_endless() -> None:
    inside = [hit for seed in range(6) for hit in coverage(*lived(seed, 0.1, 0.15, held=3))]
    assert 0.62 <= sum(inside) / len(inside) <= 0.96


def test_a_factor_is_what_would_have_held_eight_of_ten_drawn_to_one_while_little_is_known() -> None:
    apart = tuple(float(value) for value in np.linspace(0.0, 2.5, 51))
    few, many = factors([Block(KNOWN, (2.5,))])[KNOWN], factors([Block(KNOWN, apart)] * 200)[KNOWN]
    assert many == pytest.approx(2.0 / 1.2816, rel=0.1)
    assert 1.0 < few < 1.2
    assert factors([Block(KNOWN, (0.2, 0.3))] * 200)[KNOWN] == 0.5
    assert factors([]) == {}


@pytest.mark.parametrize("kind", [LARGER, ELSEWHERE, UNLIKE])
def test_what_is_known_gets_narrower_bands_larger_inputs_half_as_much_and_nothing_else(kind: str) -> None:
    known = factors([Block(KNOWN, (0.8,))] * 50)[KNOWN]
    assert 0.5 < known < 1.0
    assert factors([Block(kind, (0.8,))] * 50)[kind] == pytest.approx(math.sqrt(known) if kind == LARGER else 1.0)
    assert factors([Block(kind, (3.0,))] * 50)[kind] > 1.0


def test_larger_inputs_elsewhere_have_bands_by_those_that_were_held_out_but_for_what_is_not_known_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, exact, unsure = (
        a_node(name, labels={"worker_type": name}, speeds=speeds)
        for name, speeds in (
            ("known", {"single": 1.0, "memory": 1.0, "disk": 1.0}),
            ("exact", {"single": 2.0, "memory": 2.0, "disk": 2.0}),
            ("unsure", {}),
        )
    )
    work = [Profile("sort", "1", "default", 1000, input_bytes=size) for size in (1e6, 2e6, 4e6, 8e6, 16e6, 6.4e8)]

    def widths(factor: float) -> list[list[float]]:
        monkeypatch.setattr("server.estimators.pooling.factors", lambda found: {LARGER: factor})
        chance, history = random.Random(3), HistoryEstimator()
        for profile in work[:5]:
            seconds = profile.input_bytes / 1e6 * chance.lognormvariate(0, 0.1)
            history.observe([an_observation(profile, known, seconds)])
        history.settle()
        rows = history.estimate(work[4:], [known, exact, unsure])
        return [[math.log(one.p90 / one.p10) for one in row if one is not None] for row in rows]

    (here, *within), larger = widths(1.0)
    (here_half, *within_half), larger_half = widths(0.5)
    assert [here_half, *within_half] == pytest.approx([here, *within])
    shares = [half / whole for half, whole in zip(larger_half, larger, strict=True)]
    assert shares[0] == pytest.approx(0.5)
    assert 0.5 < shares[1] < shares[2] < 1.0


def test_every_question_is_of_one_kind() -> None:
    known = points([0, 0, 1], [0, 1, 0], [10.0, 12.0, 10.0])
    asked = points([0, 1, 2, 1, 0], [0, 0, 0, 2, 0], [12.1, 12.1, 11.0, 10.0, float("nan")])
    fitted = fit(known, Terms.none(3), GRID_PRIOR, PRIOR)
    assert [KINDS[kind] for kind in kinds_of(fitted, asked, asked.machine)] == [
        KNOWN, LARGER, ELSEWHERE, UNLIKE, UNSIZED,
    ]  # fmt: skip
    everywhere = kinds_of(fitted, asked, np.array([[0, 1, 2]]))
    assert [KINDS[kind] for kind in everywhere[0]] == [KNOWN, LARGER, ELSEWHERE]
    assert [KINDS[kind] for kind in everywhere[:, 2]] == [ELSEWHERE, ELSEWHERE, ELSEWHERE, UNLIKE, UNSIZED]


def test_the_fewer_kinds_of_accelerators_ran_the_wider_the_bands_on_another() -> None:
    found = [few_accelerators(count) for count in range(1, 14)]
    assert found == sorted(found, reverse=True)
    assert found[2] == pytest.approx(1.47)
    assert found[-1] == 1.0


def test_bands_are_wider_where_work_never_ran_on_an_accelerator_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def bands() -> list[float]:
        history = HistoryEstimator()
        for name, seconds in (("old", 40.0), ("new", 10.0)):
            node = a_node(name, labels={"worker_type": name})
            history.observe([an_observation(GPU_WORK, node, seconds * noise) for noise in (0.95, 1.0, 1.05)])
        nodes = [a_node(name, labels={"worker_type": name}) for name in ("old", "newest")]
        return [math.log(one.p90 / one.p10) for one in history.estimate([GPU_WORK], nodes)[0] if one is not None]

    known, elsewhere = bands()
    monkeypatch.setattr("server.estimators.answering.few_accelerators", lambda count: 1.0)
    known_before, elsewhere_before = bands()
    assert known == pytest.approx(known_before)
    assert elsewhere == pytest.approx(1.47 * elsewhere_before)


def test_each_accelerator_has_bands_by_what_was_held_out_on_it_and_few_runs_say_little() -> None:
    plain, odd = ("plain", True), ("odd", True)
    few = [Block(ELSEWHERE, (0.4,), plain), Block(ELSEWHERE, (2.0,), odd)]
    found, many = accelerator_factors(few), accelerator_factors(few * 20)
    assert many[plain] < found[plain] < 1.0 < found[odd] < many[odd]
    assert many[plain] == pytest.approx(0.5)
    assert many[odd] == pytest.approx(2.0, rel=0.15)
    assert factors(few) == {}


def test_the_factor_of_an_accelerator_counts_where_work_never_ran_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [a_node(name, labels={"worker_type": name}) for name in ("old", "new", "odd")]
    works = [Profile(f"train-{number}", "1", "default", 1000, (("gpu", 1),)) for number in range(9)]

    def bands() -> list[float]:
        """Of work that ran on the first node only, on each of them."""
        rng, history = random.Random(11), HistoryEstimator()
        for work in works:
            for node, factor in zip(nodes, (1.0, 0.4, rng.lognormvariate(-1, 0.8)), strict=True):
                if node.name == "old" or work is not works[0]:
                    history.observe([an_observation(work, node, 40 * factor * noise) for noise in (0.97, 1.0, 1.03)])
        history.settle()
        return [math.log(one.p90 / one.p10) for one in history.estimate(works[:1], nodes)[0] if one is not None]

    learned = bands()
    monkeypatch.setattr("server.estimators.pooling.accelerator_factors", lambda found: {})
    without = bands()
    monkeypatch.setattr(
        "server.estimators.pooling.accelerator_factors", lambda found: {(node_class(nodes[2]), True): 1.5}
    )
    assert bands() == pytest.approx([without[0], without[1], 1.5 * without[2]])
    assert learned[0] == pytest.approx(without[0])
    assert learned[2] != pytest.approx(without[2], rel=0.01)


@pytest.mark.parametrize(
    ("off", "least", "most"),
    [(0.0, 0.0, 0.2), (0.06, 0.4, 3.0), (0.4, 10.0, 31.0)],
    ids=["right", "as expected", "wrong"],
)
def test_profiles_that_were_right_are_trusted_more_and_wrong_ones_less(off: float, least: float, most: float) -> None:
    table = MachineTable()
    speeds = MachineSpeeds.from_figures(dict.fromkeys(("single", "gemm", "memory", "disk"), 1.0), 1.0, 4.0, False)
    machines = [(f"m{number}", False) for number in range(6)]
    for machine in machines:
        table.see(machine, speeds)
    rng = np.random.default_rng(5)
    told = off * rng.permutation([-1.2, -0.7, -0.2, 0.2, 0.7, 1.2])
    precision = np.eye(6) * 5_000 - 5_000 / 6  # differences are known to a hundredth or two, the level is not
    found = table.corrections([Evidence(tuple(machines), precision, precision @ told)])
    assert least <= found.scale <= most
    assert table.corrections([Evidence(tuple(machines[:1]), np.zeros((1, 1)), np.zeros(1))]).scale == 1.0
    ((_, variance, _),) = [found.of([(("new", False), speeds)])]
    assert variance[0] == pytest.approx(found.scale * speeds.spread**2)
    np.testing.assert_allclose(found.means - found.means.mean(), told, atol=0.02)


def test_the_speed_that_nodes_have_by_themselves_says_less_than_one_that_somebody_gave() -> None:
    def spread_of_last(*speeds: float) -> float:
        table = MachineTable()
        for number, speed in enumerate(speeds):
            table.see((f"m{number}", False), MachineSpeeds.from_figures({}, speed, 0.0, False))
        return math.sqrt(table.corrections([]).covariance[-1, -1])

    assert spread_of_last(1.0, 1.0) == pytest.approx(2 * spread_of_last(1.0, 0.5))
    assert spread_of_last(0.5, 1.0) == pytest.approx(spread_of_last(1.0, 0.5))
    accelerated = MachineSpeeds.from_figures({}, 0.5, 0.0, True)
    assert accelerated.spread > MachineSpeeds.from_figures({}, 0.5, 0.0, False).spread


def test_the_share_of_a_core_that_a_node_is_held_to_says_more_than_its_speed_until_there_is_a_profile() -> None:
    held, said = node_of("held", 1000, 0.25, 1 << 30, {}), a_node("said", speed=0.25)
    one, other = MachineSpeeds.of(held, False), MachineSpeeds.of(said, False)
    assert one.log_seconds == pytest.approx(other.log_seconds) == pytest.approx(math.log(4))
    assert one.spread < other.spread / 2
    profiled = MachineSpeeds.of(replace(held, speeds={**held.speeds, "single": 0.5, "memory": 0.5}), False)
    assert [kind for kind, _ in profiled.speeds] == ["single", "memory"]


def test_a_new_machine_has_narrow_bands_where_profiles_proved_right_and_wide_ones_where_not() -> None:
    def width(off: float) -> float:
        chance = random.Random(7)
        nodes = []
        for number in range(6):
            true = chance.lognormvariate(0, 0.4)
            stated = true * math.exp(off * (-1) ** number)
            nodes.append(
                (true, a_node(f"m{number}", speeds=dict.fromkeys(("single", "gemm", "memory", "disk"), stated)))
            )
        history = HistoryEstimator()
        for component in range(6):
            for true, node in nodes[:5]:
                for _ in range(3):
                    seconds = 10 * (component + 1) / true * chance.lognormvariate(0, 0.03)
                    history.observe([an_observation(Profile(f"c{component}", "1", "default", 1000), node, seconds)])
        ((found,),) = history.estimate([Profile("c0", "1", "default", 1000)], [nodes[5][1]])
        assert found is not None
        return math.log(found.p90 / found.p10)

    right, wrong = width(0.0), width(0.25)
    assert right < 0.3
    assert wrong > 2 * right


def test_bands_hold_runs_of_two_kinds_whose_middle_is_one_of_them() -> None:
    inside = []
    for seed in range(4):
        chance, chain = random.Random(seed), ChainEstimator()
        works = [(Profile(f"c{c}", "1", "default", 1000), node) for c in range(8) for node in MACHINES[:2]]

        def seconds(chance: random.Random = chance) -> float:
            return chance.choice((10.0, 20.0)) * chance.lognormvariate(0, 0.05)

        for profile, node in works:
            chain.teach([an_observation(profile, node, seconds()) for _ in range(chance.randint(4, 10))])
        chain.settle()
        for profile, node in works:
            ((found,),) = chain.estimate([profile], [node])
            assert found is not None
            inside += [found.p10 <= seconds() <= found.p90 for _ in range(10)]
    assert 0.66 < sum(inside) / len(inside) < 0.92  # with medians held against each other only: 0.57
