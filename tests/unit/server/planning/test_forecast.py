"""Bands of ends from bands of run times: in order, reproducible, and as wide as what they stand on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.placement import TaskRef
from server.domain.run import TaskKey
from server.planning.forecast import forecast, predecessors
from server.planning.steps import Step


def key(name: str) -> TaskRef:
    return ("run", TaskKey(name))


def step(name: str, start: float, seconds: float, *, node: str = "one", spread: float = 2.0, **more: Any) -> Step:
    waits = tuple(key(other) for other in more.pop("waits_for", ()))
    return Step(
        key(name), node, start, start + seconds, seconds / spread, seconds, seconds * spread, waits_for=waits, **more
    )


def test_a_task_that_starts_now_ends_within_its_own_band() -> None:
    found = forecast([step("a", 0, 100)], {}).ends[key("a")]
    assert found.p10 == pytest.approx(50, rel=0.25)
    assert found.p50 == pytest.approx(100, rel=0.25)
    assert found.p90 == pytest.approx(200, rel=0.25)


def test_what_follows_on_the_same_node_starts_when_the_one_before_ends() -> None:
    steps = [step("a", 0, 10), step("b", 10, 10), step("c", 0, 10, node="two")]
    assert predecessors(steps) == {key("a"): (), key("b"): (key("a"),), key("c"): ()}
    found = forecast(steps, {"run": [key("a"), key("b")]})
    assert found.starts[key("b")] == found.ends[key("a")]
    assert found.group_ends["run"] == found.ends[key("b")]


def test_a_task_waits_for_the_last_of_its_upstreams() -> None:
    steps = [step("a", 0, 10), step("b", 0, 50, node="two"), step("c", 50, 1, node="three", waits_for=("a", "b"))]
    found = forecast(steps, {})
    assert found.starts[key("c")].p50 >= found.ends[key("b")].p50


def test_a_running_task_ends_later_than_now_however_long_it_has_run() -> None:
    found = forecast([step("late", -1000, 10, is_running=True)], {}).ends[key("late")]
    assert 0 <= found.p10 <= found.p50 <= found.p90 <= 1000


def test_a_running_task_that_is_half_done_has_about_its_rest_to_go() -> None:
    found = forecast([step("half", -50, 100, spread=1.05, is_running=True)], {}).ends[key("half")]
    assert found.p50 == pytest.approx(50, rel=0.1)


def test_a_node_pulls_an_image_once_and_who_has_its_node_already_brings_it_for_who_is_planned() -> None:
    more = {"begins_p50": 40.0, "begins_spread": 0.01, "pulls": "image", "brought_p50": 1.0, "spread": 1.01}
    steps = [step("a", 0, 10, **more), step("b", 0, 10, **more), step("c", 50, 10, **more)]
    steps.append(step("d", 0, 10, node="two", **more))
    found = forecast(steps, {}).starts
    seconds = [found[key(name)].p50 for name in "abcd"]
    assert seconds == pytest.approx([40, 40, 51, 40], abs=1)
    bound = step("e", 0, 90, fetches_since=-30.0, **more)
    found = forecast([*steps, bound], {}).starts
    assert [found[key(name)].p50 for name in "eabd"] == pytest.approx([10, 10, 10, 40], abs=1)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0.1, 500), st.sampled_from("ab")), max_size=12), st.integers())
def test_percentiles_are_in_order_and_the_same_seed_gives_the_same(
    rows: list[tuple[float, float, str]], seed: int
) -> None:
    steps = [step(f"t{index}", start, seconds, node=node) for index, (start, seconds, node) in enumerate(rows)]
    groups = {"run": [one.key for one in steps]}
    found = forecast(steps, groups, seed)
    assert found == forecast(steps, groups, seed)
    for one in [*found.starts.values(), *found.ends.values(), *found.group_ends.values()]:
        assert 0 <= one.p10 <= one.p50 <= one.p90
    for one in steps:
        assert found.ends[one.key].p50 <= found.group_ends["run"].p90


def test_a_task_starts_once_it_could_and_its_image_is_there() -> None:
    steps = [step("a", 0, 10), step("b", 10, 10, begins_p50=40.0, begins_spread=0.3)]
    found = forecast(steps, {})
    assert found.starts[key("b")].p50 == pytest.approx(found.ends[key("a")].p50 + 40, rel=0.15)
    assert found.ends[key("b")].p50 > found.starts[key("b")].p50


def test_a_start_that_is_under_way_takes_longer_than_it_has_taken() -> None:
    found = forecast([step("a", 0, 10, begins_p50=40.0, begins_spread=0.3, fetches_since=-35.0)], {})
    assert 0 < found.starts[key("a")].p50 < 20
    assert found.starts[key("a")].p10 >= 0
