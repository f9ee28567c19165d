"""Data sets through HTTP: registered, listed with their copies, forgotten; and what they do to a placement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.api.description import ANSWERS, BODIES
from server.domain.errors import ConfigurationError

BASE = "/api/v1/datasets"
WARM_SECONDS = 150.0
NETWORK = "[network]\nbytes_per_second = 1e9\n"
READING = {
    "arguments": {"name": {"kind": "volume-path", "volume": "data", "path": "irises.csv"}},
    "volumes": [{"name": "data", "source": {"kind": "pvc", "claim": "datasets"}, "mount_path": "/mnt/datasets"}],
}
PHOTOS = {**BODIES[f"POST {BASE}"], "place": "pvc://datasets/irises.csv"}


async def test_a_data_set_is_registered_listed_with_its_copies_and_forgotten(api: Any) -> None:
    made = await api.http.post(BASE, json=PHOTOS)
    assert made.status_code == 201, made.text
    assert set(made.json()) == set(ANSWERS[f"POST {BASE}"])
    copied = (await api.http.post(f"{BASE}/photos/copies/quick")).json()
    assert [(one["node"], one["source"]) for one in copied["copies"]] == [("quick", "stated")]
    listed = await api.get(BASE)
    assert listed["registered"] == [copied]
    assert listed["at"] >= copied["copies"][0]["seen_at"]
    assert await api.get(f"{BASE}/photos") == copied
    assert (await api.http.delete(f"{BASE}/photos/copies/quick")).json()["copies"] == []
    assert (await api.http.delete(f"{BASE}/photos")).status_code == 200
    assert (await api.get(BASE))["registered"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "no name"}, "name"),
        ({"place": "photos"}, "place"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"digest": "ab"}, "digest"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_no_data_set_is_refused(api: Any, read_problem: Any, changes: dict[str, Any], said: str) -> None:
    read_problem(await api.http.post(BASE, json={**PHOTOS, **changes}), 422, said)


async def test_what_is_not_there_is_said(api: Any, read_problem: Any) -> None:
    read_problem(await api.http.get(f"{BASE}/nothing"), 404, "no data set 'nothing' is registered")
    await api.http.post(BASE, json=PHOTOS)
    read_problem(await api.http.post(f"{BASE}/photos/copies/nowhere"), 404, "there is no node 'nowhere'")
    await api.http.delete(f"{BASE}/photos")


async def test_a_task_goes_where_its_data_set_is_and_explain_says_so(
    serve: Any, make_spec: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "network.toml").write_text(NETWORK)
    async with serve(network=tmp_path / "network.toml", placer="heft") as served:
        await served.http.post(BASE, json={**PHOTOS, "bytes_per_second": 10e6, "is_kept_where_read": False})
        await served.http.post(f"{BASE}/photos/copies/slow")
        async with asyncio.timeout(WARM_SECONDS):
            decision, is_warm = {}, False
            while not is_warm:  # the strategy's worker is compiled or loaded beside the first cycles
                run = await served.run(make_spec("reader", task={**READING, "cache": False}))
                ended = await served.ended(run["id"])
                decision = (await served.get(f"/api/v1/runs/{run['id']}/decisions"))["decisions"][-1]
                is_warm = decision["fallback_from"] is None
        assert ended["tasks"][0]["node"] == "slow"
        said = "node slow has the data set photos; quick would fetch 4 GB, 400 s"
        assert said in decision["reason"]
        explained = await served.get(f"/api/v1/runs/{run['id']}/explain")
        assert said in str(explained)


async def test_a_node_keeps_what_a_task_read_there(serve: Any, make_spec: Callable[..., dict[str, Any]]) -> None:
    async with serve() as served:
        await served.http.post(BASE, json=PHOTOS)
        run = await served.run(make_spec("reader", task=READING))
        ended = await served.ended(run["id"])
        (copy,) = (await served.get(f"{BASE}/photos"))["copies"]
        assert (copy["node"], copy["source"]) == (ended["tasks"][0]["node"], "a task that read it")


async def test_a_network_that_cannot_be_read_stops_the_server_with_its_reason(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_text("[[node]]\nname = 'a'\n")
    served = serve("odd", network=tmp_path / "network.toml")
    with pytest.raises(ConfigurationError, match=r"NETWORK: .*network.toml: there is no \[network\] in it"):
        await served.__aenter__()
