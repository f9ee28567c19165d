"""Strategies that do not look ahead are spared tasks that are not ready, and decide the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.components.placer_registry import placers
from server.simulation.engine import Simulation
from server.simulation.rules import Rules
from server.simulation.world import Nature

SHORT_SIGHTED = sorted(name for name, placer in placers.items() if not placer.looks_ahead)


def test_those_that_plan_the_whole_queue_look_ahead() -> None:
    assert set(SHORT_SIGHTED) == {"fifo_greedy", "fifo_random", "fifo_round_robin", "kubernetes", "random_random"}


@pytest.mark.parametrize("placer", SHORT_SIGHTED)
def test_the_same_happens_whether_or_not_it_is_told_of_tasks_that_are_not_ready(ground: Any, placer: str) -> None:
    case = replace(ground.case(Rules(placer), runs=12, every=3.0), nature=Nature(noise_sigma=0.3))
    spared, told = Simulation(case), Simulation(case)
    told.decider.is_sparing = False
    assert spared.decider.is_sparing
    one, other = spared.run(), told.run()
    assert (one.runs, one.tasks, one.events, one.cycles) == (other.runs, other.tasks, other.events, other.cycles)
