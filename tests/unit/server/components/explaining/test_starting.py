"""What is said of the start of a task that has, or is planned for, a node."""

from __future__ import annotations

from dataclasses import replace

from server.components.explaining.scene import steps_of
from server.components.explaining.starting import start_expected
from server.domain.placement import Placement
from server.domain.starting import NO_STARTS, Starts, Wait
from server.testing.contracts.placement_requests import NOW, a_node, a_run, a_task, some_estimates

TASK = replace(a_task("a"), options=(replace(a_task("a").options[0], image="team/train:1"),))
QUEUE, HERE, PULL = (
    Wait(3, 1, 9, "from 14 tasks"),
    Wait(1, 1, 2, "from 8 starts"),
    Wait(41, 30, 55, "from 2 pulls of it"),
)
STARTS = Starts(QUEUE, {"team/train:1": {"one": HERE, "two": PULL}}, {"team/train:1": frozenset({"two"})})


def test_it_says_what_a_start_consists_of_and_from_where_that_is_known() -> None:
    found = start_expected(TASK, "two", "default", STARTS)
    assert found is not None
    assert found.text == (
        "it should start 44 s after its turn comes: 3.0 s until the platform has a node for it (from 14 tasks) and "
        "41 s on two, which has to pull team/train:1 (from 2 pulls of it)"
    )
    assert (found.is_pulled, found.queue, found.begins) == (True, QUEUE, PULL)


def test_a_node_that_has_the_image_is_said_to_have_it() -> None:
    found = start_expected(TASK, "one", "default", STARTS)
    assert found is not None
    assert found.text.endswith("1.0 s on one, which has team/train:1 (from 8 starts)")


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert start_expected(TASK, None, "default", STARTS) is None
    assert start_expected(TASK, "one", "default", NO_STARTS) is None


def test_plans_count_with_the_start() -> None:
    runs, nodes = [a_run("a", TASK)], [a_node("one"), a_node("two")]
    estimates = replace(some_estimates(nodes, runs, 60), starts=STARTS)
    plan = {TASK.ref: Placement("a", TASK.key, "two")}
    ((step, _),) = steps_of({}, runs, NOW, plan, estimates)
    assert (step.begins_p50, step.finish) == (44, 44 + step.p50)
    assert 0.2 < step.begins_spread < 0.4


def test_of_tasks_that_need_a_pull_each_may_be_the_one_that_is_brought_its_image() -> None:
    runs, nodes = [a_run("a", TASK)], [a_node("one"), a_node("two")]
    estimates = replace(some_estimates(nodes, runs, 60), starts=replace(STARTS, there={"one": HERE, "two": HERE}))
    for node, pulls, seconds in (("one", None, 0), ("two", "team/train:1", 4)):
        ((step, _),) = steps_of({}, runs, NOW, {TASK.ref: Placement("a", TASK.key, node)}, estimates)
        assert (step.pulls, step.brought_p50) == (pulls, seconds)


def test_who_comes_while_a_node_pulls_waits_for_the_rest_and_that_is_said() -> None:
    starts = replace(STARTS, there={"two": HERE}, passed={"team/train:1": {"two": 20.0}})
    assert [starts.seconds("team/train:1", "two", at) for at in (0, 10, 23, 60)] == [24, 14, 4, 4]
    found = start_expected(TASK, "two", "default", starts)
    assert found is not None
    assert found.text.startswith("it should start 24 s after its turn comes: ")
    assert found.text.endswith("41 s on two, which began 20 s ago to pull team/train:1 (from 2 pulls of it)")
    own = start_expected(TASK, "two", "default", starts, is_there=True)
    assert own == start_expected(TASK, "two", "default", STARTS)


def test_what_another_brings_later_than_a_task_could_pull_it_makes_nothing_later() -> None:
    starts = replace(STARTS, there={"two": HERE})
    assert [starts.seconds("team/train:1", "two", 10, at) for at in (11, 30, 90)] == [4, 20, 44]
    assert starts.seconds("team/train:1", "one", 10, 11) == 4
