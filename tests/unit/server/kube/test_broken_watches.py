"""Whatever breaks while a mirror lists or watches: nothing is lost, and who gets nothing asks ever more slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from server.kube.access import Access, ExecToken
from server.kube.client import KubeClient
from server.kube.mirror import LONGEST_PAUSE_SECONDS, Mirror
from server.kube.resources import PODS

AT = datetime(2026, 1, 1, tzinfo=UTC)
Answer = Callable[["Api", httpx.Request], httpx.Response]


def a_pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team", "resourceVersion": str(version)}}


class Lines(httpx.AsyncByteStream):
    """The lines of a watch, and then its end: by the server's will, by a broken connection, or none."""

    def __init__(self, *happenings: dict[str, Any], end: str = "open", half: bytes = b"") -> None:
        self._happenings, self._end, self._half = happenings, end, half

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for one in self._happenings:
            yield json.dumps(one).encode() + b"\n"
        if self._half:
            yield self._half
        if self._end == "broken":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        if self._end == "open":
            await asyncio.Event().wait()


class Api:
    """Pods `a` to `d` in pages of two, and answers as ordered to lists and watches; then whole lists and silence."""

    def __init__(self, lists: list[Answer] | None = None, watches: list[Answer] | None = None) -> None:
        self.pods = [a_pod(name, 1) for name in "abcd"]
        self.lists, self.watches = lists or [], watches or []
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        is_watch = asked.get("watch") == "true"
        self.asked.append(("watch", asked["resourceVersion"]) if is_watch else ("list", asked.get("continue", "")))
        script = self.watches if is_watch else self.lists
        if script:
            return script.pop(0)(self, request)
        return httpx.Response(200, stream=Lines()) if is_watch else self.page(request)

    def page(self, request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("continue", 0))
        about = {"resourceVersion": "7", **({"continue": str(start + 2)} if start + 2 < len(self.pods) else {})}
        return httpx.Response(200, json={"metadata": about, "items": self.pods[start : start + 2]})


def status(code: int) -> Answer:
    return lambda api, request: httpx.Response(code, json={"kind": "Status", "code": code, "message": "told to"})


def dropped(api: Api, request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset by peer", request=request)


def cut_short(api: Api, request: httpx.Request) -> httpx.Response:
    """A page whose body ends before its time."""
    whole = api.page(request)
    return httpx.Response(200, stream=Lines(end="broken", half=whole.content[:20]))


def error_line(code: int) -> Answer:
    what = {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "told to"}}
    return lambda api, request: httpx.Response(200, stream=Lines(what, end="closed"))


def page(api: Api, request: httpx.Request) -> httpx.Response:
    return api.page(request)


class Watched:
    """A mirror of the pods' names over such an API, the pauses it made, and what it told."""

    def __init__(self, api: Api, token: Callable[[], str | None] = lambda: None, rounds: int = 10_000) -> None:
        self.api, self.pauses, self._rounds = api, list[float](), rounds
        self.heard: list[tuple[str, bool]] = []
        access = Access(url="http://kube", token=token)
        self.client = KubeClient(access, sleep=self._no_sleep, transport=httpx.MockTransport(api))
        self.mirror: Mirror[str] = Mirror(
            self.client, PODS, reduce=lambda item: str(item["metadata"]["name"]), now=lambda: AT, sleep=self._pause
        )
        self.mirror.listen(lambda name, kept: self.heard.append((name[1], kept is not None)))

    async def _no_sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) >= self._rounds:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async def until(self, is_so: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.mirror.run_forever())
        try:
            async with asyncio.timeout(60):
                while not is_so():
                    assert not task.done(), task
                    await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.client.aclose()


@pytest.mark.parametrize("fault", [status(410), status(504), status(503), dropped, cut_short])
@pytest.mark.parametrize("before", [[], [page]], ids=["first page", "second page"])
async def test_a_list_that_breaks_is_made_again_and_is_whole(before: list[Answer], fault: Answer) -> None:
    watched = Watched(Api([*before, fault]))
    await watched.until(lambda: watched.mirror.is_synced)
    assert sorted(watched.mirror) == ["a", "b", "c", "d"]
    assert sorted(watched.heard) == [(name, True) for name in "abcd"]


@pytest.mark.parametrize("fault", [status(410), status(504), error_line(410), error_line(504)])
async def test_a_watch_whose_place_is_gone_lists_again_and_sees_what_it_missed(fault: Answer) -> None:
    def gone(api: Api, request: httpx.Request) -> httpx.Response:
        api.pods = [*api.pods[1:], a_pod("e", 8)]
        return fault(api, request)

    watched = Watched(Api(watches=[gone]))
    await watched.until(lambda: watched.mirror.lists == 2)
    assert sorted(watched.mirror) == ["b", "c", "d", "e"]
    assert watched.heard[4:] == [("a", False), ("e", True)]
    assert watched.mirror.problem is None


async def test_a_watch_whose_connection_breaks_goes_on_where_it_was() -> None:
    first = {"type": "ADDED", "object": a_pod("e", 8)}
    later = [{"type": "DELETED", "object": a_pod("a", 9)}, {"type": "ADDED", "object": a_pod("f", 10)}]
    watches: list[Answer] = [
        lambda api, request: httpx.Response(200, stream=Lines(first, end="broken", half=b'{"type": "ADD')),
        dropped,
        lambda api, request: httpx.Response(200, stream=Lines(*later)),
    ]
    watched = Watched(Api(watches=watches))
    await watched.until(lambda: watched.mirror.get("team", "f") is not None)
    assert sorted(watched.mirror) == ["b", "c", "d", "e", "f"]
    assert [version for verb, version in watched.api.asked if verb == "watch"] == ["7", "8", "8"]
    assert watched.mirror.lists == 1
    assert watched.mirror.problem is None


@pytest.mark.parametrize(
    ("lists", "watches"),
    [
        ([], [status(410)] * 60),
        ([], [error_line(504)] * 60),
        ([], [dropped] * 60),
        ([], [lambda api, request: httpx.Response(200, stream=Lines(end="closed"))] * 60),
        ([status(504)] * 60, []),
        ([status(403)] * 60, []),
    ],
    ids=["watch 410", "watch 504", "watch dropped", "watch ends at once", "list 504", "list 403"],
)
async def test_who_gets_nothing_asks_ever_more_slowly(lists: list[Answer], watches: list[Answer]) -> None:
    watched = Watched(Api(lists, watches), rounds=12)
    await watched.until(lambda: len(watched.pauses) == 12)
    assert watched.pauses == sorted(watched.pauses)
    assert watched.pauses[-1] == LONGEST_PAUSE_SECONDS
    assert watched.mirror.problem is not None or len(watched.mirror) == 4


async def test_something_seen_makes_the_next_try_quick_again() -> None:
    seen = {"type": "MODIFIED", "object": a_pod("a", 8)}
    once: Answer = lambda api, request: httpx.Response(200, stream=Lines(seen, end="broken"))  # noqa: E731 - a table
    watched = Watched(Api(watches=[dropped, dropped, dropped, once, once]), rounds=5)
    await watched.until(lambda: len(watched.pauses) == 5)
    assert watched.pauses[:3] == [0.05, 0.5, 1.0]
    assert watched.pauses[3:] == [0.05, 0.05]


async def test_a_token_that_a_watch_was_refused_with_is_asked_for_anew() -> None:
    class Program(ExecToken):
        """A credential program that gives another token each time."""

        asked = 0

        def _ask(self) -> str:
            self.asked += 1
            return f"token-{self.asked}"

    def only_new(api: Api, request: httpx.Request) -> httpx.Response:
        if request.headers["Authorization"] == "Bearer token-1":
            return status(401)(api, request)
        return httpx.Response(200, stream=Lines({"type": "ADDED", "object": a_pod("e", 8)}))

    program = Program({})
    watched = Watched(Api(watches=[only_new, only_new]), program)
    await watched.until(lambda: watched.mirror.get("team", "e") is not None)
    assert program.asked == 2
