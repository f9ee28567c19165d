"""The report of a real server: measured with a holdout, simulated and labelled so without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.domain.errors import ConfigurationError

MakeSpec = Callable[..., dict[str, Any]]


async def ended(served: Any, spec: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """So many runs of a pipeline, at their end."""
    runs = [await served.run(spec) for _ in range(count)]
    return [await served.ended(run["id"]) for run in runs]


async def test_a_holdout_is_measured(
    serve: Any, listening: Any, mlopx: Any, make_spec: MakeSpec, tmp_path: Path
) -> None:
    (tmp_path / "rates.toml").write_text('currency = "EUR"\n[node_hour]\nquick = 36\nslow = 18\n')
    chosen = {"holdout": "50%", "rates": tmp_path / "rates.toml", "placer": "fifo_round_robin"}
    async with serve(**chosen) as served:
        runs = await ended(served, make_spec(task={"cache": False}), 24)
        while not 5 <= sum(run["is_holdout"] for run in runs) <= len(runs) - 5:  # chance: once in 650 times
            runs += await ended(served, make_spec(task={"cache": False}), 1)
            assert len(runs) < 60, "half of the runs are left out"
        left_out = [run for run in runs if run["is_holdout"]]
        for run in runs:
            found = await served.get(f"/api/v1/runs/{run['id']}/explain/task", task="greet")
            assert found["decision"]["strategy"] == ("fifo_greedy" if run["is_holdout"] else "fifo_round_robin")
        report = await served.get("/api/v1/report", days=1)
        async with listening(served) as url:
            text = await mlopx(url, "report", "--since", "1d")
            shown = await mlopx(url, "show", left_out[0]["id"])
    assert (report["kind"], report["status"]) == ("measured", "ready")
    measured = report["measured"]
    assert measured["left_out_runs"] == len(left_out)
    assert measured["placed_runs"] == len(runs) - len(left_out)
    seen = measured["turnaround_seconds"]
    assert seen["low"] <= seen["difference"] <= seen["high"]
    assert measured["saved"]["money"] == pytest.approx(
        -measured["money"]["difference"] * measured["placed_runs"], abs=0.01
    )
    assert report["totals"]["runs"] == len(runs)
    assert report["sentence"].startswith("measured: mean turnaround ")
    assert text.startswith("measured: mean turnaround ")
    assert "EUR" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "left to the platform's own scheduler (holdout)" in shown


async def test_without_a_holdout_a_saving_is_called_simulated(
    serve: Any, listening: Any, mlopx: Any, make_spec: MakeSpec
) -> None:
    async with serve(placer="fifo_round_robin") as served:
        await ended(served, make_spec(task={"cache": False}), 6)
        first = await served.get("/api/v1/report", days=1)
        async with listening(served) as url:
            found = json.loads(await mlopx(url, "report", "--since", "1d", "--json"))
            text = await mlopx(url, "report", "--since", "1d")
    assert (first["kind"], first["status"], first["measured"]) == ("simulated", "working", None)
    assert (found["kind"], found["status"]) == ("simulated", "ready"), found["sentence"]
    assert found["simulated"]["strategy"] == "fifo_round_robin"
    assert found["sentence"].startswith(
        "simulated, not measured (no run is left to the platform to compare with): mean turnaround "
    )
    assert "simulator error" in found["sentence"]
    assert found["measured"] is None
    assert "simulated, not measured" in text


async def test_too_little_history_is_no_saving(api: Any, make_spec: MakeSpec) -> None:
    async with asyncio.timeout(60):
        while True:
            found = await api.get("/api/v1/report", days=1)
            if found["status"] == "ready":
                break
            await asyncio.sleep(0.2)
    assert found["kind"] == "none"
    assert "a replay needs 5" in found["problem"]
    assert found["sentence"].startswith("nothing can be said")


@pytest.mark.parametrize("text", ["ten", "120%"])
async def test_a_holdout_that_is_no_share_stops_the_start(serve: Any, text: str) -> None:
    with pytest.raises((ValueError, ConfigurationError), match="holdout"):
        async with serve(holdout=text):
            pass
