"""What is learned of starts: the platform's queue, the container, and image pulls, each apart from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.estimators.interface import Observation
from server.estimators.waits import MOST_PULLS, Waits
from server.testing.contracts.estimator import some_runs

SEEN = some_runs(1)[0]
GIB = float(2**30)


def begun(
    seconds: float, *, on: str = "big", image: str = "train:1", had: bool | None = True, size: float | None = None
) -> Observation:
    return replace(SEEN, node_class=on, pull_seconds=seconds, image=image, image_bytes=size, had_image=had)


def taught(*seen: Observation) -> Waits:
    waits = Waits()
    for one in seen:
        waits.observe(one)
    return waits


def test_nothing_is_said_before_anything_was_told() -> None:
    waits = taught(SEEN)
    assert (waits.queue(), waits.here("big"), waits.pull("train:1", GIB, "big"), waits.version) == (None,) * 3 + (0,)


def test_the_queue_is_the_usual_one_and_says_from_how_many_tasks() -> None:
    waits = taught(*(replace(SEEN, queue_seconds=seconds) for seconds in (2, 3, 4, 3, 90)))
    found = waits.queue()
    assert found is not None
    assert (found.p10, found.p50, found.p90) == (2, 3, 90)
    assert found.source == "from 5 tasks"


def test_a_node_that_has_the_image_does_not_pay_for_pulls() -> None:
    waits = taught(begun(1), begun(2), begun(1), begun(60, had=False), begun(66, had=False))
    here, pulled = waits.here("big"), waits.pull("train:1", None, "big")
    assert here is not None
    assert pulled is not None
    assert here.p50 == 1
    assert 55 < pulled.p50 < 70
    assert pulled.source == "from 2 pulls of it"


def test_starts_of_which_nobody_knows_whether_they_pulled_count_only_without_others() -> None:
    waits = taught(begun(50, had=None), begun(40, had=None))
    here = waits.here("big")
    assert here is not None
    assert here.p50 == 50
    waits.observe(begun(2))
    here = waits.here("small")
    assert here is not None
    assert (here.p50, here.source) == (2, "from 1 start")


def test_an_image_that_was_never_pulled_goes_by_its_size_with_a_wide_band() -> None:
    known = [begun(20 * size, image=f"i{size}", had=False, size=size * GIB) for size in (1, 2, 4)]
    new, own = taught(*known).pull("new", 8 * GIB, "big"), taught(*known).pull("i2", 2 * GIB, "big")
    assert new is not None
    assert own is not None
    assert new.p50 == pytest.approx(160, rel=0.01)
    assert own.p50 == pytest.approx(40, rel=0.01)
    assert new.p90 / new.p10 > 2 * own.p90 / own.p10
    assert new.source == "from 3 pulls of other images"


def test_a_size_that_nobody_tells_any_more_is_that_of_the_last_pull() -> None:
    waits = taught(begun(20, image="a", had=False, size=GIB), begun(80, image="b", had=False, size=4 * GIB))
    found = waits.pull("b", None, "big")
    assert found is not None
    assert found.p50 == pytest.approx(80, rel=0.01)


def test_slow_classes_of_nodes_are_told_apart_once_they_were_seen() -> None:
    seen = [begun(20, image=f"i{n % 4}", had=False, on="quick") for n in range(12)]
    seen += [begun(60, image=f"i{n % 4}", had=False, on="slow") for n in range(8)]
    waits = taught(*seen)
    quick, slow = (waits.pull("i1", None, place) for place in ("quick", "slow"))
    assert quick is not None
    assert slow is not None
    assert slow.p50 > 2 * quick.p50


@given(st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from([None, True, False]), st.floats(1, 1e12)), max_size=40))
def test_bands_are_in_order_whatever_was_seen(seen: list[tuple[float, bool | None, float]]) -> None:
    waits = taught(
        *(begun(seconds, had=had, size=size, image=f"i{n % 3}") for n, (seconds, had, size) in enumerate(seen))
    )
    for found in (waits.here("big"), waits.pull("i0", 1e9, "big"), waits.pull("new", None, "other")):
        assert found is None or 0 <= found.p10 <= found.p50 <= found.p90


def test_what_is_kept_is_bounded() -> None:
    waits = taught(*(begun(10, image=f"i{n}", had=False) for n in range(2 * MOST_PULLS)))
    assert sum(count for _, count, _ in waits.pulled()) == MOST_PULLS


def test_nonsense_is_not_learned() -> None:
    strange = (replace(SEEN, queue_seconds=-1.0), begun(float("inf")), begun(float("nan")))
    assert taught(*strange).version == 0
