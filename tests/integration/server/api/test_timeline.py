"""What ran where lately: over restarts, with what is on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MakeSpec = Callable[..., dict[str, Any]]
SLEEP = "def greet(name: str) -> str:\n    import time\n    time.sleep(300)\n    return name\n"


async def test_what_ended_and_what_runs_is_told_also_after_a_restart(
    serving_at: Any, make_spec: MakeSpec, tmp_path: Path
) -> None:
    async with serving_at(tmp_path / "one") as api:
        done = await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
        going = await api.run(make_spec("going", source=SLEEP, task={"cache": False}))
        await api.when(going["id"], lambda run: run["tasks"][0]["state"] == "running")
        found = (await api.get("/api/v1/timeline"))["stretches"]
        assert [(one["run_id"], one["task"], one["state"]) for one in found] == [
            (done["id"], "greet", "succeeded"),
            (going["id"], "greet", "running"),
        ]
        assert found[0]["node"] == done["tasks"][0]["node"]
        assert found[0]["started_at"] < found[0]["ended_at"] <= found[1]["started_at"]
        assert found[1]["ended_at"] is None
        assert (await api.get("/api/v1/timeline", seconds=0.001))["stretches"] == found[1:]
        await api.http.post(f"/api/v1/runs/{going['id']}/cancel", json={})
        await api.ended(going["id"])
    async with serving_at(tmp_path / "one") as api:
        found = (await api.get("/api/v1/timeline"))["stretches"]
        assert (found[0]["run_id"], found[0]["name"], found[0]["state"]) == (done["id"], "hello", "succeeded")


async def test_the_dashboard_is_open_and_what_it_shows_is_not(serve: Any, read_problem: Any) -> None:
    async with serve(mlopx_token="sesame") as api:
        read_problem(await api.http.get("/api/v1/timeline"), 401)
        assert (await api.http.get("/ui/")).status_code == 404  # served by server.main, past the same guard
        read_problem(await api.http.post("/ui/"), 401)
