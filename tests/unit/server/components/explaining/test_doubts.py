"""Of which runs no end is foretold, because too little is known of what their tasks take."""

from __future__ import annotations

import pytest

from server.components.explaining.scene import doubtful
from server.domain.run import TaskKey
from server.planning.steps import Step

PAST, HINTS = "from 1 run on here", "from the hints"
GUESSED = "no end is predicted yet: task has never run here, so its run time is a guess"
VAGUE = "no end is predicted yet: past runs of task tell too little of how long it takes this time"


def step(run: str, p10: float, p90: float) -> Step:
    return Step((run, TaskKey("task")), "here", 0.0, p90, p10, (p10 * p90) ** 0.5, p90)


@pytest.mark.parametrize(
    ("p10", "p90", "source", "guessed", "vague"),
    [
        (16, 25, PAST, {}, {}),
        (40, 3270, PAST, {}, {"run": VAGUE}),
        (0.1, 4, PAST, {}, {}),
        (100, 1010, PAST, {}, {"run": VAGUE}),
        (100, 990, PAST, {}, {}),
        (16, 25, HINTS, {"run": GUESSED}, {}),
    ],
)
def test_an_end_is_foretold_once_past_runs_say_enough(
    p10: float, p90: float, source: str, guessed: dict[str, str], vague: dict[str, str]
) -> None:
    assert doubtful([(step("run", p10, p90), source)]) == (guessed, vague)


def test_one_task_in_doubt_is_enough() -> None:
    vague, guessed, sure = (step("run", 1, 1000), PAST), (step("run", 1, 2), HINTS), (step("run", 1, 2), PAST)
    assert doubtful([sure, vague]) == ({}, {"run": VAGUE})
    assert doubtful([guessed, vague]) == doubtful([vague, guessed]) == ({"run": GUESSED}, {"run": VAGUE})
    assert doubtful([(step("other", 1, 1000), PAST), sure]) == ({}, {"other": VAGUE})
