"""Requests of memory that do not fit what runs used are warned about; those that fit, or are not known, are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from server.api.explanation_views import run_explanation
from server.components.explaining.memory_advice import MIB, memory_warnings, proposed
from server.components.explaining.values import RunExplanation, TaskExplanation
from server.domain.placement import Estimates, TaskOption, WaitingTask
from server.domain.run import TaskKey
from server.domain.states import RunState, TaskState
from server.testing.contracts.placement_requests import a_node, a_run, a_task, amounts, some_estimates

GIB = 2**30


def known(task: WaitingTask, usual: float | None, high: float | None) -> Estimates:
    found = some_estimates([a_node("n")], [a_run("r", task)], 60)
    rows = tuple(
        tuple(replace(one, peak_memory_bytes=usual, peak_memory_p90_bytes=high) for one in row) for row in found.table
    )
    return Estimates(found.profile_of, found.column_of, rows)


TEN = "nine of ten below"


@pytest.mark.parametrize(
    ("asked_gib", "usual", "high", "said"),
    [
        (8, 1.0, 1.5, "8.0 GiB of memory and keeps others from it: USE 1.0 GiB, TEN 1.5 GiB; 1.7 GiB would do"),
        (1, 1.2, 3.0, "1.0 GiB of memory and may run out of it: USE 1.2 GiB, TEN 3.0 GiB; ask for 3.3 GiB"),
        (1, 0.9, 1.2, "1.0 GiB of memory and may run out of it: USE 922 MiB, TEN 1.2 GiB; ask for 1.4 GiB"),
    ],
)
def test_a_request_that_does_not_fit_is_warned_about(asked_gib: float, usual: float, high: float, said: str) -> None:
    task = a_task("r", memory_gib=asked_gib)
    assert memory_warnings(task, known(task, usual * GIB, high * GIB)) == (
        "train asks for " + said.replace("USE", "its runs usually use").replace("TEN", TEN),
    )


@pytest.mark.parametrize(
    ("asked_gib", "usual", "high"),
    [(2, 1.0, 1.5), (0.2, 0.01, 0.02), (1, 0.5, 2.0), (0, 1.0, 1.5), (8, None, None)],
    ids=["fits", "small in all", "too little known", "asks for none", "nothing known"],
)
def test_what_fits_or_is_not_known_is_left_alone(asked_gib: float, usual: float | None, high: float | None) -> None:
    task = a_task("r", memory_gib=asked_gib)
    peaks = [None if one is None else one * GIB for one in (usual, high)]
    assert memory_warnings(task, known(task, *peaks)) == ()


def test_every_option_is_looked_at_until_one_is_chosen() -> None:
    options = (TaskOption("wide", amounts(memory_gib=16)), TaskOption("slim", amounts(memory_gib=2)))
    task = a_task("r", options=options)
    (said,) = memory_warnings(task, known(task, 1.0 * GIB, 1.5 * GIB))
    assert said.startswith("train with option wide asks for 16.0 GiB")
    assert memory_warnings(task, known(task, 1.0 * GIB, 1.5 * GIB), "slim") == ()


def test_proposals_have_headroom_and_are_round() -> None:
    assert proposed(100 * MIB) == 128 * MIB
    assert proposed(GIB) % (64 * MIB) == 0


def test_what_is_to_be_said_of_several_iterations_is_said_once() -> None:
    def told(key: str, *warnings: str) -> TaskExplanation:
        return TaskExplanation(TaskKey.parse(key), TaskState.SUCCEEDED, "", warnings=warnings)

    now = datetime(2026, 1, 31, tzinfo=UTC)
    tasks = (
        told("load", "load asks for much"),
        told("fit.0", "fit.0 asks for much"),
        told("fit.1", "fit.1 asks for much"),
        told("fit.2", "fit.2 asks for too little"),
        told("judge"),
    )
    found = RunExplanation("r", "churn", RunState.RUNNING, now, now, "online", "", tasks)
    assert run_explanation(found)["warnings"] == [
        "load asks for much",
        "fit (2 iterations) asks for much",
        "fit.2 asks for too little",
    ]
