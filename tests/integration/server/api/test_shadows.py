"""Strategies beside the live one on a real server: asked, compared, shown; and the live one does not notice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.domain.errors import ConfigurationError

MakeSpec = Callable[..., dict[str, Any]]


async def test_a_shadow_is_compared_with_the_live_strategy(
    serve: Any, listening: Any, mlopx: Any, make_spec: MakeSpec
) -> None:
    async with serve(shadow="fifo_round_robin, fifo_random") as served:
        run = await served.ended((await served.run(make_spec(task={"cache": False})))["id"])
        assert run["state"] == "succeeded"
        async with asyncio.timeout(60):
            while True:
                found = await served.get("/api/v1/strategies/shadows")
                if all(one["comparisons"] for one in found["shadows"]):
                    break
                await asyncio.sleep(0.05)
        async with listening(served) as url:
            table = await mlopx(url, "strategies")
            one = json.loads(await mlopx(url, "strategies", "fifo_random", "--json"))
            text = await mlopx(url, "strategies", "fifo_random")
    assert found["live"] == "fifo_greedy"
    assert [one["name"] for one in found["shadows"]] == ["fifo_round_robin", "fifo_random"]
    assert all(0 <= one["agreement"] <= 1 for one in found["shadows"])
    newest = one["newest"][0]
    assert newest["live"] == "fifo_greedy"
    assert newest["tasks"] == 1
    assert newest["live_turnaround_seconds"] > 0
    assert "in use: fifo_greedy" in table
    assert "fifo_round_robin" in table
    assert max(map(len, table.splitlines())) <= 80
    assert text.startswith("fifo_random beside fifo_greedy: the same node for ")


async def test_without_shadows_it_is_said_how_to_have_some(
    api: Any, listening: Any, mlopx: Any, read_problem: Any
) -> None:
    assert (await api.get("/api/v1/strategies/shadows"))["shadows"] == []
    read_problem(await api.http.get("/api/v1/strategies/shadows/heft"), 404, "SHADOW")
    async with listening(api) as url:
        assert "SHADOW" in await mlopx(url, "strategies")


async def test_a_shadow_that_does_not_exist_stops_the_start(serve: Any) -> None:
    with pytest.raises(ConfigurationError, match="there is no placer 'hefty'"):
        async with serve(shadow="hefty"):
            pass
