"""`mlopx-server export` on what a real server left behind, and `mlopx-server simulate` on what it wrote."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from server.simulation.pipeline_lines import LEAST_SECONDS

MakeSpec = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
async def past(
    tmp_path_factory: pytest.TempPathFactory, serving_at: Any, make_spec: MakeSpec
) -> tuple[Path, list[dict[str, Any]]]:
    """The state folder of a server that ran three runs, and the runs."""
    folder = tmp_path_factory.mktemp("past")
    async with serving_at(folder) as served:
        runs = [await served.run(make_spec(task={"cache": False})) for _ in range(3)]
        ended = [await served.ended(run["id"]) for run in runs]
    return folder / "state", ended


async def test_recorded_runs_become_a_scenario_that_runs_under_any_strategy(
    past: tuple[Path, list[dict[str, Any]]], tmp_path: Path, mlopx_server: Any
) -> None:
    state, runs = past
    scenario = tmp_path / "week.toml"
    code, out, error = await mlopx_server(state, "export", "--since", "1h", "-o", str(scenario))
    assert code == 0, error
    assert "3 of " in out
    assert "3 runs on " in out

    lines = [json.loads(line) for line in (tmp_path / "week.jsonl").read_text().splitlines()]
    begin = min(datetime.fromisoformat(run["submitted_at"]) for run in runs)
    told = {line["id"]: line for line in lines}
    nodes = {node["kind"] for node in tomllib.loads(scenario.read_text())["cluster"]["node"]}
    for run in runs:
        line, ((task,),) = told[run["id"]], [one["attempts"] for one in run["tasks"]]
        (option,) = line["tasks"][0]["options"]
        assert line["arrival"] == pytest.approx((datetime.fromisoformat(run["submitted_at"]) - begin).total_seconds())
        started, finished = (datetime.fromisoformat(task[key]) for key in ("started_at", "finished_at"))
        assert option["measured_on"] == [task["node"]]
        took = max((finished - started).total_seconds(), LEAST_SECONDS)
        assert option["seconds"][task["node"]] == pytest.approx(took, abs=1e-5)
        assert set(option["seconds"]) == nodes

    code, out, error = await mlopx_server(state, "simulate", str(scenario), "--json")
    assert code == 0, error
    servers = {one["name"]: one["seeds"][0] for one in json.loads(out)["servers"]}
    assert set(servers) == {"fifo_greedy, as it was", "kubernetes", "online"}
    simulated = {task["run_id"]: task for task in servers["fifo_greedy, as it was"]["tasks"]}
    for run in runs:
        again = simulated[run["id"]]
        seconds = told[run["id"]]["tasks"][0]["options"][0]["seconds"][again["node"]]
        assert again["finished_at"] - again["started_at"] == pytest.approx(seconds, abs=1e-5)


async def test_the_strategies_to_compare_can_be_named(
    past: tuple[Path, Any], tmp_path: Path, mlopx_server: Any
) -> None:
    code, _, error = await mlopx_server(
        past[0], "export", "-o", str(tmp_path / "w.toml"), "--placer", "heft", "--pipelines", str(tmp_path / "p.jsonl")
    )
    assert code == 0, error
    found = tomllib.loads((tmp_path / "w.toml").read_text())
    assert [server["placer"] for server in found["server"]] == ["fifo_greedy", "heft"]
    assert found["arrivals"]["file"] == "p.jsonl"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("-o", "week.json"), 2, "week.json and week.jsonl would not be taken for a scenario"),
        (("-o", "week.toml", "--since", "soon"), 2, "--since 'soon' is no span of time"),
        (("-o", "week.toml", "--placer", "hefty"), 2, "there is no placer 'hefty'"),
        (("-o", "/proc/nowhere/week.toml"), 2, "week.toml cannot be written"),
        (("-o", "week.toml", "--since", "1ms"), 1, "0 runs that ended are on record"),
    ],
)
async def test_what_cannot_be_exported_is_said(
    past: tuple[Path, Any], arguments: tuple[str, ...], status: int, says: str, mlopx_server: Any
) -> None:
    code, _, error = await mlopx_server(past[0], "export", *arguments)
    assert (code, says in error) == (status, True), error
    assert "Traceback" not in error
