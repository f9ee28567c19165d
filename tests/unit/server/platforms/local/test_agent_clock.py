"""The agent's clock is its server's: both follow the machine's, and neither goes back with it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.platforms.local.agent import Agent


def test_what_a_task_did_is_told_by_the_machines_clock_as_the_server_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, up = 1000.0, 50.0
    clocks = SimpleNamespace(**{**vars(time), "time": lambda: wall, "monotonic": lambda: up})
    monkeypatch.setattr("server.platforms.local.agent.time", clocks)
    agent = Agent({"folder": str(tmp_path), "node": "alpha", "throttle": "governor"})
    wall, up = 1010.0, 60.0
    assert (agent._clock.now(), agent._clock.at(58.0)) == (1010.0, 1008.0)
    wall, up = 8000.0, 70.0  # the machine slept, or was set
    assert (agent._clock.now(), agent._clock.at(65.0)) == (8000.0, 7995.0)
    wall, up = 10.0, 75.0
    assert (agent._clock.now(), agent._clock.at(72.0)) == (8005.0, 8002.0)
