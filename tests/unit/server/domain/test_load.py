"""Tasks that a measured load does not show yet are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.load import with_placements
from server.domain.node import Load
from server.testing.contracts.placement_requests import a_node

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODES = [a_node("a", cpus=4)]


def expected(cpu: float | None, *bound: tuple[float, float]) -> float | None:
    """Of a node of four CPUs; `bound` are CPUs and the seconds that a task had run when the load was measured."""
    tasks = [("a", round(cpus * 1000), AT - timedelta(seconds=seconds)) for cpus, seconds in bound]
    found = with_placements({"a": Load(AT, cpu)}, NODES, tasks)["a"]
    assert found.cpu_fraction == cpu
    return found.figures.get("cpu_fraction_expected")


def test_without_tasks_the_measured_load_is_expected() -> None:
    assert expected(0.3) == 0.3


def test_a_task_bound_after_the_measurement_counts_in_full() -> None:
    assert expected(0.25, (1, -5)) == 0.5


def test_a_task_that_ran_all_the_while_is_in_the_measurement_already() -> None:
    assert expected(0.25, (1, 300)) == 0.25


def test_a_task_that_began_in_between_counts_in_part() -> None:
    assert expected(0.0, (2, 30)) == pytest.approx(0.25)


def test_a_node_cannot_be_more_than_busy() -> None:
    assert expected(0.9, (4, -1), (4, -1)) == 1.0


def test_an_unknown_load_stays_unknown() -> None:
    assert expected(None, (1, -5)) is None
