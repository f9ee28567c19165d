"""What becomes of every way in which a server can fail to answer: an error of ours that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mlopx.errors import ConnectionFailedError, ServerError
from mlopx.remote import Client
from mlopx.remote.client import TRIES
from mlopx.spec import Component, FunctionCode, PipelineSpec, Task

Answer = httpx.Response | Exception
SPEC = PipelineSpec(
    version="1.0",
    name="flow",
    components={"step": Component(name="step", code=FunctionCode(source="def step(): ...", entrypoint="step"))},
    tasks={"step": Task(component="step")},
)
IS_IT_OURS = "is this really the address of an MLOpX server?"


class Server:
    """Gives the answers of a list, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client paused; no test waits."""
    found: list[float] = []
    monkeypatch.setattr("mlopx.remote.client.time.sleep", found.append)
    return found


def client(server: Callable[[httpx.Request], httpx.Response], **more: Any) -> Client:
    return Client(transport=httpx.MockTransport(server), **more)


def problem(status: int, **said: Any) -> httpx.Response:
    return httpx.Response(status, json={"type": "https://mlopx.dev/problems/some-code", "title": "Title", **said})


def refused(*answers: Answer) -> ServerError:
    with pytest.raises(ServerError) as caught:
        client(Server(*answers)).get("/api/v1/runs")
    return caught.value


def test_a_query_leaves_out_what_was_not_said() -> None:
    server = Server(httpx.Response(200, json={"runs": []}))
    assert client(server).get("/api/v1/runs", state="failed", name=None, limit=0) == {"runs": []}
    assert str(server.asked[0].url) == "http://127.0.0.1:8000/api/v1/runs?state=failed&limit=0"


def test_tokens_travel_as_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPX_TOKEN", "mine")
    monkeypatch.setenv("MLOPX_KFP_TOKEN", "theirs")
    monkeypatch.setenv("MLOPX_KFP_COOKIE", "session=1")
    server = Server(httpx.Response(200, json={}))
    client(server).get("/")
    sent = server.asked[0].headers
    assert sent["authorization"] == "Bearer mine"
    assert sent["kubeflow-authorization"] == "Bearer theirs"
    assert sent["cookie"] == "session=1"


def test_an_empty_token_overrides_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPX_TOKEN", "mine")
    server = Server(httpx.Response(200, json={}))
    client(server, token="").get("/")
    assert "authorization" not in server.asked[0].headers


def test_where_nobody_listens_the_second_try_is_the_last(pauses: list[float]) -> None:
    server = Server(httpx.ConnectError("[Errno 111] Connection refused"))
    with pytest.raises(ConnectionFailedError) as caught:
        client(server).get("/")
    assert caught.value.message == "no MLOpX server answers at http://127.0.0.1:8000 (Connection refused)"
    assert "set MLOPX_URL to where yours is" in str(caught.value.hint)
    assert caught.value.exit_code == 3
    assert (len(server.asked), len(pauses)) == (2, 1)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://here", "here"])
def test_an_address_of_no_web_server_is_told_at_once(url: str, pauses: list[float]) -> None:
    with Client(url) as one, pytest.raises(ConnectionFailedError) as caught:
        one.get("/")
    assert caught.value.message == f"{url!r} is not an address of a server"
    assert caught.value.hint == "set MLOPX_URL to one that begins with http:// or https://"
    assert pauses == []


def test_what_is_no_address_at_all_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConnectionFailedError, match=r"^'http://x:y' is not an address: ") as caught:
        Client("http://x:y")
    assert caught.value.hint == "set MLOPX_URL"


def test_a_slash_at_the_end_of_an_address_does_no_harm() -> None:
    server = Server(httpx.Response(200, json={}))
    client(server, url="http://there/base/").get("/version")
    assert str(server.asked[0].url) == "http://there/base/version"


def test_reading_is_tried_again_after_a_timeout_with_longer_and_longer_pauses(pauses: list[float]) -> None:
    server = Server(httpx.ReadTimeout(""), httpx.ReadError("reset"), httpx.Response(200, json=1))
    assert client(server).get("/") == 1
    assert pauses == [0.2, 0.4]


def test_a_server_that_never_answers_in_time_is_given_up_with_the_reason(pauses: list[float]) -> None:
    server = Server(httpx.ReadTimeout(""))
    with pytest.raises(ConnectionFailedError, match=r"no MLOpX server answers at http://127.0.0.1:8000 \(ReadTimeout"):
        client(server).get("/")
    assert (len(server.asked), len(pauses)) == (TRIES, TRIES - 1)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("late"), httpx.Response(503, json={"detail": "busy"})])
@pytest.mark.parametrize("act", [lambda one: one.post("/x", {}), lambda one: one.delete("/x")])
def test_what_changes_something_is_not_sent_twice(answer: Answer, act: Callable[[Client], Any]) -> None:
    server = Server(answer)
    with pytest.raises((ServerError, ConnectionFailedError)):
        act(client(server))
    assert len(server.asked) == 1


def test_a_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    server = Server(problem(503, detail="busy"), httpx.Response(200, json="there"))
    assert client(server).get("/") == "there"


def test_a_server_that_stays_busy_says_so_itself(pauses: list[float]) -> None:
    error = refused(problem(503, detail="the database does not answer", hint="try again"))
    assert (error.status, error.message, error.hint) == (503, "the database does not answer", "try again")
    assert len(pauses) == TRIES - 1


def test_readiness_is_told_also_where_the_server_is_not_ready(pauses: list[float]) -> None:
    told = {"status": "not-ready", "checks": {}}
    assert client(Server(httpx.Response(503, json=told))).readiness() == told
    assert pauses == []


@pytest.mark.parametrize("status", [401, 403, 404, 409, 413, 422, 500, 502, 507])
def test_a_problem_is_told_in_the_servers_words_and_at_once(status: int, pauses: list[float]) -> None:
    error = refused(problem(status, detail="there is no run 'x'", hint="`mlopx runs` lists them"))
    assert (error.status, error.problem, error.exit_code) == (status, "some-code", 4)
    assert str(error) == "there is no run 'x'\n  hint: `mlopx runs` lists them"
    assert pauses == []


def test_each_detail_of_a_problem_gets_its_line_and_none_is_said_twice() -> None:
    error = refused(problem(422, detail="no node fits", details=["no node fits", "a: too little cpu", "b: tainted"]))
    assert error.message == "no node fits\n  a: too little cpu\n  b: tainted"
    assert error.hint is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        "no",
        None,
        {"detail": [{"loc": ["body"], "msg": "Field required"}]},
        {"detail": None},
        {"detail": "a", "details": 7},
    ],
)
def test_a_failure_that_is_no_problem_of_ours_is_shown_as_it_came(document: Any) -> None:
    error = refused(httpx.Response(422, json=document))
    assert error.message.startswith("the server answered 422: ")
    assert error.status == 422
    assert error.hint == IS_IT_OURS


def test_a_page_of_another_server_is_shown_by_its_beginning() -> None:
    page = "<html>\n  <title>404   Not Found</title>\n" + "x" * 5000
    error = refused(httpx.Response(404, text=page))
    assert error.message.startswith("the server answered 404: <html> <title>404 Not Found</title> xxx")
    assert len(error.message) < 350
    assert error.hint == IS_IT_OURS


def test_a_failure_without_a_word_is_told_too() -> None:
    assert refused(httpx.Response(502)).message == "the server answered 502: nothing"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>Welcome</html>"), "200: what is no JSON: <html>Welcome</html>"),
        (httpx.Response(200), "200: what is no JSON: nothing"),
        (httpx.Response(200, content=b"\xff\xfe{"), "200: what is no JSON: "),
        (httpx.Response(200, text="[" * 100_000), "200: what is no JSON: [[["),
        (httpx.Response(302, headers={"Location": "/login"}), "302: what is no JSON: nothing"),
    ],
)
def test_nonsense_instead_of_json_is_no_traceback(answer: httpx.Response, said: str) -> None:
    error = refused(answer)
    assert said in error.message
    assert len(error.message) < 400
    assert error.hint == IS_IT_OURS


def test_an_answer_that_cannot_be_unpacked_is_no_traceback() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Bytes(b"no gzip"))

    with pytest.raises(ServerError, match="answered what cannot be unpacked") as caught:
        client(answers).get("/")
    assert caught.value.hint == IS_IT_OURS


class Bytes(httpx.SyncByteStream):
    """A body as it comes over the line."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


def keys(server: Server) -> list[str]:
    return [request.headers["idempotency-key"] for request in server.asked]


def test_a_submission_that_broke_off_is_repeated_under_the_same_key() -> None:
    server = Server(httpx.ReadTimeout("late"), problem(503, detail="busy"), httpx.Response(200, json={"run_id": "r"}))
    assert client(server).submit(SPEC) == {"run_id": "r"}
    assert len(keys(server)) == 3
    assert len(set(keys(server))) == 1


def test_two_submissions_are_two_runs_unless_the_caller_gives_the_key() -> None:
    server = Server(httpx.Response(200, json={}))
    one = client(server)
    one.submit(SPEC)
    one.submit(SPEC)
    one.submit(SPEC, idempotency_key="mine")
    assert len(set(keys(server))) == 3
    assert keys(server)[-1] == "mine"


def test_a_submission_carries_the_spec_the_code_the_parameters_and_the_metadata() -> None:
    server = Server(httpx.Response(200, json={}))
    client(server).submit(SPEC, {"a": 1}, options={"priority": 2}, metadata={"dataset": {}})
    body = server.asked[0].content.decode()
    for part in ('name="spec"; filename="spec.json"', 'name="components"; filename="step.py"', "def step(): ...",
                 'filename="metadata.json"', json.dumps({"a": 1}), json.dumps({"priority": 2})):  # fmt: skip
        assert part in body


def test_a_download_gives_bytes_and_their_media_type() -> None:
    server = Server(httpx.Response(200, content=b"\0\1", headers={"Content-Type": "image/png"}))
    assert client(server).download("/x") == (b"\0\1", "image/png")


def line(number: int) -> str:
    return f'event: some\ndata: {{"id": {number}}}\n\n'


def test_events_go_on_after_the_last_one_seen_when_the_line_breaks() -> None:
    server = Server(
        httpx.Response(200, text=": connected\n\n" + line(4)),
        httpx.ReadError("reset"),
        httpx.Response(200, text=line(5)),
    )
    found = client(server).events(run_id="r", after=3)
    assert [next(found)["id"], next(found)["id"]] == [4, 5]
    assert [request.headers["last-event-id"] for request in server.asked] == ["3", "4", "4"]
    assert server.asked[0].url.params["run_id"] == "r"


def test_events_that_break_off_again_and_again_end_with_advice(pauses: list[float]) -> None:
    with pytest.raises(ConnectionFailedError, match="no MLOpX server answers at"):
        next(client(Server(httpx.ConnectError("refused"))).events())
    assert len(pauses) == TRIES


def test_events_that_are_refused_say_why() -> None:
    with pytest.raises(ServerError, match="there is no run 'r'"):
        next(client(Server(problem(404, detail="there is no run 'r'"))).events(run_id="r"))
