"""Who may call: callers by address and token, and pages by the name under which they reach the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

READS = ("/", "/nodes/", "/datasets/", "/api/v1/runs", "/api/v1/queue", "/metrics", "/version", "/openapi.json")
OPEN = ("/healthz", "/readyz")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_without_a_token_callers_on_the_same_machine_may_write(
    api: Any, make_spec: Callable[..., dict[str, Any]], address: str
) -> None:
    async with api.caller(address) as caller:
        assert (await caller.post("/api/v1/runs", json={"spec": make_spec()})).status_code == 202


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.4", "2001:db8::1", "0.0.0.0", "somewhere"])
async def test_without_a_token_others_may_read_but_are_told_how_to_write(
    api: Any, read_problem: Callable[..., dict[str, Any]], address: str
) -> None:
    async with api.caller(address) as caller:
        assert [(await caller.get(path)).status_code for path in (*READS, *OPEN)] == [200] * 10
        for path in (
            "/submit/",
            "/api/v1/runs",
            "/api/v1/runs/x/cancel",
            "/api/v1/runs/x/retry",
            "/api/v1/runs/x/replace",
        ):
            answer = await caller.post(path)
            assert "MLOPX_TOKEN" in read_problem(answer, 401)["hint"]
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_with_a_token_everybody_needs_it_for_everything_but_the_probes(
    serve: Any, make_spec: Callable[..., dict[str, Any]], read_problem: Callable[..., dict[str, Any]]
) -> None:
    async with serve(mlopx_token="s3cret") as api:
        for address in ("127.0.0.1", "10.0.0.7"):
            async with api.caller(address) as caller:
                assert [(await caller.get(path)).status_code for path in OPEN] == [200, 200]
                for given, status in CREDENTIALS:
                    headers = {} if given is None else {"Authorization": given}
                    written = await caller.post("/api/v1/runs", json={"spec": make_spec()}, headers=headers)
                    assert written.status_code == (202 if status == 200 else 401), given
                    for path in READS:
                        answer = await caller.get(path, headers=headers)
                        assert answer.status_code == status, given
                        if status == 401:
                            problem = read_problem(answer, 401)
                            assert "s3cret" not in answer.text
                            assert problem["hint"] == "set MLOPX_TOKEN to the server's token"


CREDENTIALS = [
    ("Bearer s3cret", 200),
    ("bearer s3cret", 200),
    (None, 401),
    ("", 401),
    ("s3cret", 401),
    ("Bearer", 401),
    ("Bearer wrong", 401),
    ("Bearer s3cret2", 401),
    ("Bearer S3CRET", 401),
    ("Basic czNjcmV0", 401),
    (b"Bearer s3cr\xe9t", 401),
]


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1:8000", True),
        ("127.0.0.1", True),
        ("localhost:8000", True),
        ("LocalHost", True),
        ("[::1]:8000", True),
        ("10.0.0.7:8000", True),
        ("mlopx.example:8000", True),
        ("MLOPX.example", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("mlopx.example.evil.example", False),
        ("testserver", False),
        ("a@localhost", False),
        ("localhost,evil.example", False),
        ("[", False),
        (":", False),
        ("", False),
    ],
)
async def test_a_name_that_is_not_the_servers_own_is_refused(
    named: Any, read_problem: Callable[..., dict[str, Any]], host: str, is_known: bool
) -> None:
    for path in ("/", "/healthz"):
        answer = await named.http.get(path, headers={"Host": host})
        if is_known:
            assert answer.status_code == 200
        else:
            assert "ALLOWED_HOSTS" in read_problem(answer, 403)["hint"]


@pytest.mark.parametrize(
    ("host", "origin", "may"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("localhost:8000", "http://LOCALHOST:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("mlopx.example", "https://mlopx.example", True),
        ("mlopx.example:443", "https://mlopx.example", True),
        ("127.0.0.1:8000", "http://127.0.0.1:3000", False),
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("localhost:8000", "http://localhost", False),
        ("localhost:8000", "https://evil.example", False),
        ("localhost:8000", "http://localhost:8000.evil.example", False),
        ("localhost:8000", "http://evil@localhost:8000", False),
        ("localhost:8000", "null", False),
        ("localhost:8000", "", False),
        ("localhost:8000", "http://[", False),
        ("localhost:8000", "localhost:8000", False),
    ],
)
async def test_only_the_servers_own_pages_may_call_it(
    named: Any, read_problem: Callable[..., dict[str, Any]], host: str, origin: str, may: bool
) -> None:
    for method, path in (("GET", "/"), ("POST", "/api/v1/runs")):
        answer = await named.http.request(method, path, headers={"Host": host, "Origin": origin})
        if may:
            assert answer.status_code in (200, 422)
        else:
            read_problem(answer, 403, "may not call this server")


async def test_a_star_lets_the_server_be_called_by_any_name(serve: Any) -> None:
    async with serve(allowed_hosts="*") as api:
        assert (await api.http.get("/", headers={"Host": "anything.example"})).status_code == 200


async def test_before_the_server_is_up_it_says_so(serve: Any, read_problem: Callable[..., dict[str, Any]]) -> None:
    async with serve() as api:
        stopped = api.caller()
    assert (await stopped.get("/healthz")).json() == {"status": "ok"}
    ready = await stopped.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not-ready")
    answer: httpx.Response = await stopped.get("/api/v1/runs")
    assert read_problem(answer, 503)["hint"] == "try again in a moment"
    assert answer.headers["retry-after"] == "1"
