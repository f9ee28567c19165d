"""The live stream: what happens comes as it happens, and whoever was away misses nothing and sees nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from server.api.routes import system

MakeSpec = Callable[..., dict[str, Any]]


async def follow(url: str, *, last: int | None = None, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Events of the stream, each with its fields; the first is the greeting."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with (
        httpx.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{url}/api/v1/events", params=params, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        fields: dict[str, Any] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name or "comment"] = json.loads(value) if name == "data" else value
            else:
                yield fields
                fields = {}


async def until(events: AsyncIterator[dict[str, Any]], run_id: str) -> list[dict[str, Any]]:
    """All events up to the one that ends a run."""
    found = []
    async with asyncio.timeout(60):
        async for event in events:
            if "data" in event:
                found.append(event)
                if is_end(event["data"], run_id):
                    return found
    raise AssertionError("the stream ended")


def is_end(event: dict[str, Any], run_id: str) -> bool:
    return bool(event["run_id"] == run_id and event["data"].get("after") == "succeeded")


async def test_what_happens_comes_as_it_happens(api: Any, listening: Any, make_spec: MakeSpec) -> None:
    async with listening(api) as url, aclosing(follow(url)) as events:
        assert (await anext(events))["comment"] == "connected"
        run = await api.run(make_spec("live", task={"cache": False}))
        found = await until(events, run["id"])
    stored = (await api.get(f"/api/v1/runs/{run['id']}/events"))["events"]
    assert [event["data"] for event in found] == stored
    assert [(int(event["id"]), event["event"]) for event in found] == [(one["id"], one["kind"]) for one in stored]


async def test_what_happens_between_the_answer_and_its_first_line_is_told(api: Any, make_spec: MakeSpec) -> None:
    """A page looks at the runs when the stream is there: what comes after that look must come to it."""
    answer = await system.events(api.app.state.services)
    run = await api.ended((await api.run(make_spec("between", task={"cache": False})))["id"])
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(60), aclosing(answer.body_iterator) as blocks:
        async for block in blocks:
            told += [json.loads(line[6:]) for line in block.splitlines() if line.startswith("data: ")]
            if told and is_end(told[-1], run["id"]):
                break
    assert next(one["kind"] for one in told if one["run_id"] == run["id"]) == "run-submitted"


async def test_a_follower_that_comes_back_again_and_again_misses_nothing(
    api: Any, listening: Any, make_spec: MakeSpec
) -> None:
    async with listening(api) as url:
        start = api.app.state.services.store.last_event_id()
        seen: list[int] = []
        runs = [(await api.run(make_spec("often", task={"cache": False})))["id"] for _ in range(4)]
        open_runs = set(runs)
        async with asyncio.timeout(60):
            while open_runs:
                async with aclosing(follow(url, last=seen[-1] if seen else start)) as events:
                    await anext(events)
                    for _ in range(3):
                        event = await anext(events)
                        seen.append(event["data"]["id"])
                        open_runs -= {run for run in open_runs if is_end(event["data"], run)}
                        if not open_runs:
                            break
        stored = api.app.state.services.store.events(after=start, limit=10_000)
    assert seen == [one.id for one in stored]
    assert {one.run_id for one in stored} == set(runs)


async def test_one_run_can_be_followed_alone_and_from_its_beginning(
    api: Any, listening: Any, make_spec: MakeSpec
) -> None:
    runs = [await api.run(make_spec("alone", task={"cache": False})) for _ in range(2)]
    for run in runs:
        await api.ended(run["id"])
    async with listening(api) as url:
        for run in runs:
            async with aclosing(follow(url, run_id=run["id"], after=0)) as events:
                found = await until(events, run["id"])
            assert {event["data"]["run_id"] for event in found} == {run["id"]}
            assert found[0]["event"] == "run-submitted"


async def test_the_last_event_id_wins_over_the_address(api: Any, listening: Any, make_spec: MakeSpec) -> None:
    run = await api.ended((await api.run(make_spec("resumed", task={"cache": False})))["id"])
    stored = (await api.get(f"/api/v1/runs/{run['id']}/events"))["events"]
    async with listening(api) as url, aclosing(follow(url, last=stored[2]["id"], after=0)) as events:
        found = await until(events, run["id"])
    assert [int(event["id"]) for event in found] == [one["id"] for one in stored[3:]]


@pytest.mark.parametrize("last", ["abc", "-1", "1.5", "²", "9" * 30, "9" * 5000])
async def test_a_last_event_id_that_is_none_is_refused(
    api: Any, read_problem: Callable[..., dict[str, Any]], last: str
) -> None:
    answer = await api.http.get("/api/v1/events", headers={"Last-Event-ID": last.encode("latin-1")})
    read_problem(answer, 422, "header.Last-Event-ID")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999999999999"])
async def test_a_beginning_that_is_none_is_refused(
    api: Any, read_problem: Callable[..., dict[str, Any]], query: str
) -> None:
    read_problem(await api.http.get(f"/api/v1/events?{query}"), 422, "query.after")
