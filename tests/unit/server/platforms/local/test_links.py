"""Orders to an agent: never given before it said who it is, and never given up while it may be carrying them out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.domain.errors import PlatformError
from server.platforms.local.links import LINE_LIMIT, AgentLink
from server.platforms.local.sockets import listen, socket_path

ORDER = {"op": "start", "id": "run/task:1"}
ACCEPTED = {"event": "accepted", "id": "run/task:1"}
Visit = Callable[["Agent", asyncio.StreamReader], Awaitable[None]]


class Agent:
    """What stands where a node's agent would listen: each visit of the server goes as its script says."""

    def __init__(self, *visits: Visit) -> None:
        self.visits, self.ordered = list(visits), list[int]()
        self.digest, self.writer = "", None

    async def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer: Any = writer
        with contextlib.suppress(ConnectionError):
            await self.visits.pop(0)(self, reader)
        writer.close()

    def say(self, **message: Any) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    def greet(self, pid: int, ended: tuple[str, ...] = ()) -> None:
        self.say(event="hello", pid=pid, digest=self.digest, running=[], ended=list(ended))

    async def take(self, reader: asyncio.StreamReader, pid: int) -> None:
        """Take an order without answering."""
        assert json.loads(await reader.readline()) == ORDER
        self.ordered.append(pid)


def answers(pid: int, ended: tuple[str, ...] = ()) -> Visit:
    async def visit(agent: Agent, reader: asyncio.StreamReader) -> None:
        agent.greet(pid, ended)
        await agent.take(reader, pid)
        agent.say(**ACCEPTED)
        await reader.read()

    return visit


def hangs_up(pid: int) -> Visit:
    async def visit(agent: Agent, reader: asyncio.StreamReader) -> None:
        agent.greet(pid)
        await agent.take(reader, pid)

    return visit


def only_greets(pid: int) -> Visit:
    async def visit(agent: Agent, reader: asyncio.StreamReader) -> None:
        agent.greet(pid)
        await reader.read()

    return visit


@contextlib.asynccontextmanager
async def linked(folder: Path, agent: Agent) -> AsyncIterator[tuple[AgentLink, list[str]]]:
    """A link to the agent, and the kinds of all messages that the platform heard."""
    heard: list[str] = []
    link = AgentLink("alpha", folder, {}, lambda _, message: heard.append(message["event"]))
    agent.digest = link._config["digest"]
    place = await listen(socket_path(folder, "alpha"), agent.visited, LINE_LIMIT)
    async with place.server:
        await link.start()
        yield link, heard
        await link.aclose(stop=False)
    place.leave()


async def test_an_order_is_given_again_while_the_agent_that_has_it_lives(tmp_path: Path) -> None:
    agent = Agent(hangs_up(1), answers(1))
    async with linked(tmp_path, agent) as (link, heard):
        assert await link.insist(ORDER, "run/task:1") == ACCEPTED
    assert (agent.ordered, "lost" in heard) == ([1, 1], False)


async def test_an_order_is_given_up_once_the_agent_that_had_it_is_gone(tmp_path: Path) -> None:
    agent = Agent(hangs_up(1), only_greets(2))
    async with linked(tmp_path, agent) as (link, heard):
        with pytest.raises(PlatformError, match="the agent of node alpha died before it answered") as caught:
            await link.insist(ORDER, "run/task:1")
    assert caught.value.is_retryable
    assert (agent.ordered, heard) == ([1], ["hello", "lost", "hello"])


async def test_what_ended_before_its_agent_died_is_not_given_up(tmp_path: Path) -> None:
    agent = Agent(hangs_up(1), answers(2, ended=("run/task:1",)))
    async with linked(tmp_path, agent) as (link, _):
        assert await link.insist(ORDER, "run/task:1") == ACCEPTED
    assert agent.ordered == [1, 2]


async def test_no_order_is_given_before_the_agent_said_who_it_is(tmp_path: Path) -> None:
    may_greet, connected = asyncio.Event(), asyncio.Event()

    async def greets_late(agent: Agent, reader: asyncio.StreamReader) -> None:
        connected.set()
        await may_greet.wait()
        await answers(2)(agent, reader)

    async def leaves(agent: Agent, reader: asyncio.StreamReader) -> None:
        agent.greet(1)

    agent = Agent(leaves, greets_late)
    async with linked(tmp_path, agent) as (link, heard):
        await connected.wait()
        with pytest.raises(PlatformError, match="cannot be reached right now"):
            await link.insist(ORDER, "run/task:1")
        may_greet.set()
        async with asyncio.timeout(60):
            while heard[-1:] != ["hello"] or "lost" not in heard:
                await asyncio.sleep(0.01)
        assert await link.insist(ORDER, "run/task:1") == ACCEPTED
        assert heard.index("lost") < heard.index("accepted")
    assert agent.ordered == [2]
