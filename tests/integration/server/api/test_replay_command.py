"""`mlopx-server replay` on what a real server left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
async def past(tmp_path_factory: pytest.TempPathFactory, serving_at: Any, make_spec: MakeSpec) -> tuple[Path, str]:
    """The state folder of a server that ran six runs, and the id of one of its decisions."""
    folder = tmp_path_factory.mktemp("past")
    async with serving_at(folder) as served:
        runs = [await served.run(make_spec(task={"cache": False})) for _ in range(6)]
        for run in runs:
            await served.ended(run["id"])
        found = await served.get(f"/api/v1/runs/{runs[0]['id']}/explain/task", task="greet")
    return folder / "state", found["decision"]["id"]


async def test_history_is_replayed_with_the_simulator_s_error(past: tuple[Path, str], mlopx_server: Any) -> None:
    code, out, error = await mlopx_server(past[0], "replay", "--since", "1h", "--placer", "fifo_round_robin", "--json")
    assert code == 0, error
    found = json.loads(out)
    assert (found["runs"], found["strategy"]) == (6, "fifo_greedy")
    assert found["real"]["turnaround_mean"] > 0
    assert found["replays"][0]["placer"] == "fifo_round_robin"
    assert "simulator error" in found["sentences"][0]
    code, out, _ = await mlopx_server(past[0], "replay", "--since", "1h", "--placer", "fifo_round_robin")
    assert code == 0
    assert "what happened" in out
    assert "fifo_greedy, simulated" in out
    assert "simulator error: " in out


async def test_a_decision_is_replayed(past: tuple[Path, str], mlopx_server: Any) -> None:
    code, out, error = await mlopx_server(past[0], "replay", "--decision", past[1])
    assert code == 0, error
    assert out.startswith("fifo_greedy decides the same again: task greet of hello-")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--since", "soon"), 2, "--since 'soon' is no span of time"),
        (("--since", "1ms"), 1, "a replay needs 5"),
        (("--placer", "hefty"), 2, "there is no placer 'hefty'"),
        (("--decision", "nobody"), 1, "no question with decision 'nobody' is kept"),
    ],
)
async def test_what_cannot_be_replayed_is_said(
    past: tuple[Path, str], arguments: tuple[str, ...], status: int, says: str, mlopx_server: Any
) -> None:
    code, _, error = await mlopx_server(past[0], "replay", *arguments)
    assert (code, says in error) == (status, True), error
    assert "Traceback" not in error


async def test_without_a_server_s_folder_it_is_said_what_to_set(tmp_path: Path, mlopx_server: Any) -> None:
    code, _, error = await mlopx_server(tmp_path / "nothing", "replay")
    assert code == 2
    assert "set STATE_DIR" in error
