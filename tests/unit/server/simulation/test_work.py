"""Pipelines made of work: whatever a task was called, it gets a name that a pipeline may have."""

from __future__ import annotations

import re

import pytest

from server.simulation.work import TaskWork, _paths


@pytest.mark.parametrize(
    "name", ["a-component-with-a-rather-long-name-that-somebody-chose", "x" * 80, "-", "9-lives", "a b"]
)
def test_a_name_that_is_cut_is_still_a_name(name: str) -> None:
    for path in _paths([TaskWork(name, ()), TaskWork(name, ())]):
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", path)
