"""A Prometheus that is down, slow, talks nonsense or has another clock: work goes on, `/readyz` says what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]
LONG_SECONDS = 90.0


class Endpoint:
    """An HTTP server on loopback whose answer the test chooses, while it runs."""

    def __init__(self) -> None:
        self.url, self.behaviour = "", "down"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Endpoint]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-le")
            )
            query = (await reader.readexactly(length)).decode()
            if self.behaviour == "down":
                return
            if self.behaviour == "slow":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.2)
            body = self._body(query).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller had enough
        finally:
            writer.close()

    def _body(self, query: str) -> str:
        if self.behaviour == "nonsense":
            return "<html>please log in</html>"
        at = time.time() + (3_600 if self.behaviour == "another clock" else 0)  # noqa: TID251 - a clock beside ours
        series = []
        if "timestamp" in query:
            series = [{"metric": {"node": "quick"}, "value": [at, str(at)]}]
        return json.dumps({"status": "success", "data": {"result": series}})


async def ready(api: Any, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What `/readyz` says, once it says so."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(LONG_SECONDS):
        while not holds(found):
            found = (await api.http.get("/readyz")).json()
            await asyncio.sleep(0.05)
    return found


def source_of(found: dict[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = found.get("checks", {}).get("nodes:prometheus", {"ok": True, "detail": ""})
    return check


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("down", "Prometheus does not answer"),
        ("slow", "Prometheus does not answer within 5 s"),
        ("nonsense", "something that is no result: '<html>please log in</html>'"),
        ("another clock", "samples of quick are from the future: a clock is wrong, their load is unknown"),
    ],
)
async def test_placement_goes_on_and_readyz_says_what_is_degraded(
    serve: Any, make_spec: MakeSpec, behaviour: str, said: str
) -> None:
    endpoint = Endpoint()
    async with endpoint.serving():
        endpoint.behaviour = "fine"
        async with serve(prometheus_url=endpoint.url, update_interval=0.1) as api:
            assert source_of(await ready(api, lambda found: found.get("status") == "ready"))["ok"]
            endpoint.behaviour = behaviour
            found = await ready(api, lambda found: not source_of(found)["ok"])
            assert found["status"] == "degraded"
            assert said in source_of(found)["detail"]
            run = await api.run(make_spec(f"beside-{behaviour.replace(' ', '-')}"))
            assert (await api.ended(run["id"]))["state"] == "succeeded"
            assert {node["name"] for node in (await api.get("/api/v1/nodes"))["nodes"]} >= {"quick", "slow"}
            endpoint.behaviour = "fine"
            assert source_of(await ready(api, lambda found: source_of(found)["ok"]))["ok"]
