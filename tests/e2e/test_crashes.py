"""Whatever kills the server, an acknowledged run comes to its end, and nothing runs twice unseen."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GRACE_SECONDS = "300"
"""So long agents wait for a server that was killed: longer than any machine takes to start it again."""

CHAIN = """
    from mlopx import Loop, collect, component, pipeline

    @component(cpu=0.25)
    def first(seconds: float) -> int:
        import os, time
        print("ran", os.environ["MLOPX_TASK"], os.environ["MLOPX_ATTEMPT"], flush=True)
        time.sleep(seconds)
        return 20

    @component(cpu=0.25)
    def half(value: int, part: int, seconds: float) -> int:
        import os, time
        print("ran", os.environ["MLOPX_TASK"], os.environ["MLOPX_ATTEMPT"], flush=True)
        time.sleep(seconds)
        return value + part

    @component(cpu=0.25)
    def add(values: list) -> int:
        import os
        print("ran", os.environ["MLOPX_TASK"], os.environ["MLOPX_ATTEMPT"], flush=True)
        return sum(values)

    @pipeline
    def chain(seconds: float = 0.1):
        start = first(seconds=seconds)
        with Loop([1, 2, 3]) as part:
            halves = half(value=start.output, part=part, seconds=seconds)
        add(values=collect(halves.output)).cache(False)

    if __name__ == "__main__":
        chain.main()
"""


def id_of(said: str) -> str:
    found = re.search(r" as run (\S+)", said)
    assert found, said
    return found[1]


def has_begun(run: dict[str, Any]) -> bool:
    """Whether a task of it has begun, wherever it is by now."""
    return any(attempt["started_at"] for task in run["tasks"] for attempt in task["attempts"])


def check_whole(server: Any, run: dict[str, Any]) -> None:
    """All tasks succeeded, the result is right, and each attempt ran at most once."""
    assert run["state"] == "succeeded", run
    outputs = {task["key"]: task["outputs"]["output"]["value"] for task in run["tasks"]}
    assert outputs["add"] == 20 * 3 + 6
    for task in run["tasks"]:
        for attempt in task["attempts"]:
            name = f"{run['id']}~{task['key']}.{attempt['number']}.log"
            log = server.folder / "state" / "logs" / name
            lines = Counter(log.read_text().splitlines()) if log.exists() else Counter()
            assert all(count == 1 for count in lines.values()), (name, lines)
            assert len(lines) <= 1


@pytest.mark.parametrize(("seed", "placer"), [(0, "online"), (1, "fifo_greedy")])
def test_runs_survive_kills_at_random_moments(
    make_server: Callable[..., Any], define: Callable[[str, str], Path], seed: int, placer: str
) -> None:
    draw = random.Random(seed)
    server = make_server(ENABLE_CACHING="false", PLACER=placer, AGENT_GRACE_SECONDS=GRACE_SECONDS)
    server.start()
    file = define("chain", CHAIN)
    acknowledged: list[str] = []

    def submit() -> None:
        said = server.submit(file)
        if said.returncode == 0:
            acknowledged.append(id_of(said.stdout))

    for turn in range(4):
        submitting = [threading.Thread(target=submit) for _ in range(2)]
        for thread in submitting:
            thread.start()
        if turn % 2:  # in every other turn the server dies when it has taken a run, on however slow a machine
            submitting[0].join()
        time.sleep(draw.uniform(0.0, 1.5))
        server.kill()
        time.sleep(draw.uniform(0.0, 0.3))
        server.start()
        for thread in submitting:
            thread.join()
    assert acknowledged
    for run_id in acknowledged:
        check_whole(server, server.ended(run_id))


@pytest.fixture
def patient(make_server: Callable[..., Any]) -> Any:
    """A running server whose agents wait for it."""
    made = make_server(AGENT_GRACE_SECONDS=GRACE_SECONDS)
    made.start()
    return made


def test_a_task_that_runs_while_the_server_is_away_is_not_run_again(
    patient: Any, define: Callable[[str, str], Path]
) -> None:
    server = patient
    run_id = id_of(server.submit(define("chain", CHAIN), "-p", "seconds=2").stdout)
    end = time.monotonic() + 60
    while not has_begun(server.client.get(f"/api/v1/runs/{run_id}")):
        assert time.monotonic() < end
        time.sleep(0.05)
    server.kill()
    server.start()
    run = server.ended(run_id)
    check_whole(server, run)
    assert [len(task["attempts"]) for task in run["tasks"]] == [1, 1, 1, 1, 1]


def test_a_killed_agent_costs_attempts_but_no_run(patient: Any, define: Callable[[str, str], Path]) -> None:
    server = patient
    run_id = id_of(server.submit(define("chain", CHAIN), "-p", "seconds=1").stdout)
    time.sleep(0.5)
    server.kill_agents()
    check_whole(server, server.ended(run_id))
