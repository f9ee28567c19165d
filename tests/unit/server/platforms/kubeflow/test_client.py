"""The client of Kubeflow's API against answers on order: who it is, when it asks again, when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.connecting import kfp_client
from server.domain.errors import PlatformError
from server.platforms.kubeflow.breaker import FAILURES, OPEN_SECONDS
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.errors import GoneError, RefusedError, UnsureError
from server.platforms.kubeflow.identity import Identity
from server.settings import Settings

Answer = Callable[[httpx.Request], httpx.Response]
URL = "http://kubeflow"


class Server:
    """Answers in the order that was ordered, then well; keeps what it was asked and the time."""

    def __init__(self, *answers: Answer | int) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()
        self.seconds, self.pauses = 0.0, list[float]()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else 200
        told = {"run_id": "r"} if answer == 200 else {"code": 5 if answer == 404 else 14, "message": "told to"}
        return answer(request) if callable(answer) else httpx.Response(answer, json=told)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def client(self, identity: Identity | None = None) -> KfpClient:
        found = KfpClient(URL, identity=identity or Identity(), now=self.now, sleep=self.sleep, verify=False)
        return self.connected(found)

    def connected(self, client: KfpClient) -> KfpClient:
        """The client with its own settings, on this server instead of on the network."""
        client.http._transport = httpx.MockTransport(self)
        client.http._mounts = {}
        return client

    def shown(self, name: str) -> list[str | None]:
        return [request.headers.get(name) for request in self.asked]


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)


async def test_after_failures_in_a_row_nobody_is_asked_until_one_call_tries_and_then_all_are_again() -> None:
    server = Server(*[away] * 6)
    client = server.client()
    for _ in range(2):
        with pytest.raises(PlatformError, match="does not answer: connection refused") as caught:
            await client.health()
        assert caught.value.is_retryable
    assert len(server.asked) == FAILURES == 5
    with pytest.raises(PlatformError, match="has not answered since 00:00:00 UTC"):
        await client.create({})
    assert len(server.asked) == 5, "nobody asked"

    server.seconds = OPEN_SECONDS
    with pytest.raises(PlatformError, match="does not answer"):
        await client.health()
    assert len(server.asked) == 6, "one call tried, once"
    server.seconds = 2 * OPEN_SECONDS - 1
    with pytest.raises(PlatformError, match="has not answered"):
        await client.health()

    server.seconds = 2 * OPEN_SECONDS
    found = await asyncio.gather(client.health(), client.get("r"), return_exceptions=True)
    assert [isinstance(one, PlatformError) for one in found] == [False, True], "of two that come, one tries"
    await client.get("r")
    assert (await client.create({})).id == "r"
    assert len(server.asked) == 9


async def test_failures_that_are_not_in_a_row_keep_nobody_from_asking() -> None:
    client = (server := Server(*[away, away, 404] * 4)).client()
    for _ in range(4):
        with pytest.raises(PlatformError, match="does not know it"):
            await client.get("r")
    assert len(server.asked) == 12


async def test_a_call_that_only_reads_is_made_again_and_one_that_creates_is_not() -> None:
    server = Server(503, 429, 200, silent)
    client = server.client()
    assert (await client.get("r")).id == "r"
    assert server.pauses == [0.3, pytest.approx(0.9)]
    with pytest.raises(UnsureError, match="it may have taken the run"):
        await client.create({})
    assert len(server.asked) == 4


async def test_a_create_call_that_never_left_is_not_unsure() -> None:
    with pytest.raises(PlatformError) as caught:
        await Server(away).client().create({})
    assert not isinstance(caught.value, UnsureError)
    assert caught.value.is_retryable


async def test_a_token_file_is_read_for_each_call_and_a_refused_one_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")

    def rotate(request: httpx.Request) -> httpx.Response:
        file.write_text("three\n")
        return httpx.Response(401, json={"message": "expired"})

    server = Server(200, rotate)
    client = server.client(Identity(token_file=file))
    await client.get("r")
    file.write_text("two\n")
    await client.get("r")
    assert server.shown("Authorization") == ["Bearer one", "Bearer two", "Bearer three"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b" \n", "is empty"), (b"\xff\xfe", "holds no token: tokens are plain")],
)
async def test_a_token_file_without_a_token_is_said_and_nobody_is_asked(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    server = Server()
    with pytest.raises(PlatformError, match=said) as caught:
        await server.client(Identity(token_file=file)).create({})
    assert not isinstance(caught.value, UnsureError)
    assert caught.value.is_retryable
    assert caught.value.hint == "KFP_TOKEN_FILE names it"
    assert not server.asked


def settings(**given: Any) -> Settings:
    return Settings(kfp_url=URL, **given)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"kfp_cookie": "session=ours"}, {"cookie": "session=ours"}),
        ({"kfp_user": "mlopx@example.org"}, {"kubeflow-userid": "mlopx@example.org"}),
        ({"kfp_user": "mlopx", "kfp_user_header": "x-user"}, {"x-user": "mlopx"}),
    ],
)
async def test_what_the_settings_say_is_shown_with_each_call_and_never_beside_a_callers(
    given: Mapping[str, str], shown: Mapping[str, str]
) -> None:
    server = Server()
    client = server.connected(kfp_client(settings(**given), server.now))
    await client.get("r")
    await client.create({}, headers={"Authorization": "Bearer ada"})
    ours, callers = server.asked
    assert {name: ours.headers.get(name) for name in shown} == shown
    assert not set(shown) & set(callers.headers)


async def test_a_session_that_is_renewed_for_one_caller_does_not_speak_for_the_next() -> None:
    def renewed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"run_id": "r"}, headers={"Set-Cookie": "session=ada; Path=/"})

    server = Server(renewed)
    client = server.client()
    await client.get("r", headers={"Cookie": "session=old"})
    await client.get("r", headers={"Authorization": "Bearer eve"})
    await client.get("r")
    assert server.shown("Cookie") == ["session=old", None, None]


@pytest.mark.parametrize("headers", [None, {"Cookie": "session=old"}])
async def test_a_login_page_instead_of_an_answer_is_a_refusal(headers: Mapping[str, str] | None) -> None:
    """So do gateways answer when a session has run out; ours may be renewed, a caller has to log in again."""
    login = httpx.Response(302, headers={"Location": "https://login.example.org/?rd=x"})
    with pytest.raises(RefusedError, match=r"sends to 'https://login\.example\.org/\?rd=x'") as caught:
        await Server(lambda request: login).client().create({}, headers)
    assert caught.value.is_retryable is (headers is None)
    assert caught.value.http_status == 401


async def test_a_page_instead_of_an_answer_hints_at_the_address() -> None:
    page = httpx.Response(200, html="<html>Sign in</html>")
    with pytest.raises(PlatformError, match="the answer is no JSON object") as caught:
        await Server(lambda request: page).client().health()
    assert "KFP_URL" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="404 page not found"),
        httpx.Response(404),
        httpx.Response(404, json={"kind": "Status", "code": 404, "message": 'services "ml-pipeline" not found'}),
        httpx.Response(404, json=["default backend"]),
    ],
    ids=["page", "empty", "kubernetes", "list"],
)
async def test_a_gateway_that_knows_no_way_does_not_say_that_a_run_is_gone(answer: httpx.Response) -> None:
    for call in (
        lambda client: client.get("r"),
        lambda client: client.terminate("r"),
        lambda client: client.create({}),
    ):
        with pytest.raises(PlatformError, match="something before Kubeflow answered") as caught:
            await call(Server(lambda request: answer).client())
        assert caught.value.is_retryable
        assert not isinstance(caught.value, GoneError | UnsureError), "it never came to Kubeflow"


@pytest.mark.parametrize("told", ["<html>all is well</html>", "[]", "{}", '{"run_id": ""}', '{"run_id": "r'])
async def test_a_create_call_that_is_answered_with_no_run_may_have_made_one(told: str) -> None:
    with pytest.raises(UnsureError, match="it may have taken the run"):
        await Server(lambda request: httpx.Response(200, text=told)).client().create({})


async def test_a_server_that_takes_the_call_and_says_nothing_is_not_waited_for_longer_than_agreed() -> None:
    """With a real socket: nothing is sent back."""
    taken: list[asyncio.StreamWriter] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    listening = await asyncio.start_server(take, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    client = KfpClient(
        f"http://127.0.0.1:{port}", identity=Identity(), now=Server().now, timeout_seconds=0.05, sleep=Server().sleep
    )
    try:
        async with asyncio.timeout(60):
            with pytest.raises(UnsureError, match="ReadTimeout; it may have taken the run"):
                await client.create({})
            with pytest.raises(PlatformError, match="does not answer: ReadTimeout"):
                await client.get("r")
    finally:
        await client.aclose()
        for one in taken:
            one.close()
        listening.close()
    assert len(taken) == 4, "once to create, three times to read"
