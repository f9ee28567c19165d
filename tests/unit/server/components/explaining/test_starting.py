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
