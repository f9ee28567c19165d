"""Handles to runs: waiting, logs, outputs, what is sent with a submission, and how a failure is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mlopx.errors import RunFailedError, UsageError
from mlopx.remote import Client, ForeignPipeline, RunHandle, submit

FOREIGN = ForeignPipeline("flow", "root: {}\n")
NO_LOG = {"text": "", "next_offset": 0, "is_end": True}


class Server:
    """Answers by path; of a list the next one, the last one for ever. Keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers[request.url.path.rstrip("/").rsplit("/", 1)[-1]]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json=answer)

    def handle(self) -> RunHandle:
        return RunHandle("r", Client(transport=httpx.MockTransport(self)))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlopx.remote.runs.time.sleep", lambda seconds: None)


def detail(state: str, error: str | None = None, **failed: Any) -> dict[str, Any]:
    """A run in a state; `failed` is the error of its one task's last attempt."""
    attempt = {"error": failed or None}
    task = {"key": "fit", "path": "fit", "state": state, "node": "quick", "attempts": [attempt], "outputs": {}}
    graph = {"tasks": {"fit": {"code": "function"}}}
    return {"id": "r", "state": state, "error": error, "tasks": [task], "graph": graph}


def test_waiting_ends_with_the_detail_of_a_run_that_succeeded() -> None:
    server = Server(r=[detail("queued"), detail("running"), detail("succeeded")])
    assert server.handle().wait()["state"] == "succeeded"
    assert len(server.asked) == 3


def test_waiting_has_an_end_where_one_is_given() -> None:
    with pytest.raises(TimeoutError, match=r"^run r is still running after 0 s$"):
        Server(r=detail("running")).handle().wait(timeout=0)


def test_a_run_that_failed_tells_task_node_cause_hint_own_traceback_and_last_lines() -> None:
    error = {"message": "too hot", "hint": "cool it", "traceback": '  File "flow.py", line 3\nValueError: too hot\n'}
    log = {"text": "epoch 1\n\nValueError: too hot\nepoch 2\n", "next_offset": 9, "is_end": True}
    with pytest.raises(RunFailedError) as caught:
        Server(r=detail("failed", **error), logs=log).handle().wait()
    assert caught.value.message.splitlines() == [
        "run r failed: task fit on node quick",
        "  cause: too hot",
        "  hint:  cool it",
        "",
        '    File "flow.py", line 3',
        "  ValueError: too hot",
        "",
        "  last lines of its log:",
        "  | epoch 1",
        "  | epoch 2",
    ]
    assert caught.value.hint == "`mlopx retry r --from fit` or `mlopx rerun r fit --local`"


@pytest.mark.parametrize(("reason", "said"), [("by ann", "by ann"), (None, "no reason given")])
def test_a_run_that_was_cancelled_says_why(reason: str | None, said: str) -> None:
    with pytest.raises(RunFailedError, match=f"^run r was cancelled: {said}\n  hint: `mlopx show r`$"):
        Server(r=detail("cancelled", reason)).handle().wait()


def test_a_failure_without_a_reason_says_that_none_was_given() -> None:
    with pytest.raises(RunFailedError, match="cause: no reason given"):
        Server(r=detail("failed"), logs=NO_LOG).handle().wait()


def test_a_log_comes_in_pieces_until_there_is_no_more() -> None:
    first = {"text": "a", "next_offset": 1, "is_end": False}
    nothing = {"text": "", "next_offset": 1, "is_end": False}
    last = {"text": "b", "next_offset": 2, "is_end": True}
    assert list(Server(logs=[first, nothing, last]).handle().logs("fit")) == ["a"]
    server = Server(logs=[first, nothing, last])
    assert list(server.handle().logs("fit", attempt=2, follow=True)) == ["a", "b"]
    assert dict(server.asked[-1].url.params) == {"task": "fit", "attempt": "2", "offset": "1"}


def test_an_output_is_its_value_or_the_bytes_of_its_artifact() -> None:
    told = detail("succeeded")
    told["tasks"][0].update(key="loop/fit.1", outputs={"output": {"value": [1]}, "model": {"path": "/there"}})
    server = Server(r=told, content=b"\0\1")
    assert server.handle().output("loop/fit.1") == [1]
    assert server.handle().output("loop/fit.1", "model") == b"\0\1"
    assert str(server.asked[-1].url).endswith("/artifacts/content?task=loop%2Ffit.1&port=model")


@pytest.mark.parametrize(("task", "port"), [("fit", "gone"), ("gone", "output")])
def test_an_output_that_is_not_there_is_told(task: str, port: str) -> None:
    with pytest.raises(UsageError, match=f"run r has no output '{port}' of a task '{task}'"):
        Server(r=detail("succeeded")).handle().output(task, port)


def submitted(**options: Any) -> str:
    """What is sent for a submission with these options."""
    server = Server(submit={"run_id": "r", "notes": ["be patient"]})
    run = submit(FOREIGN, {"a": 1}, client=server.handle().client, **options)
    assert (run.id, run.notes, run.link) == ("r", ("be patient",), "http://127.0.0.1:8000/ui/#/runs/r")
    return server.asked[0].content.decode()


def test_only_what_was_chosen_is_sent_with_a_submission() -> None:
    assert 'name="options"\r\n\r\n{}\r\n' in submitted()
    said = submitted(priority=0, project="mine", caching=False, labels={"a": "b"}, deadline="2h")
    assert (
        '{"priority": 0, "project": "mine", "is_caching": false, "deadline_seconds": 7200.0, "labels": {"a": "b"}}'
        in said
    )


def test_a_deadline_may_be_an_instant() -> None:
    assert '{"deadline_at": "2026-01-31T12:00:00+00:00"}' in submitted(deadline=datetime(2026, 1, 31, 12, tzinfo=UTC))


def test_a_deadline_that_is_no_span_is_told_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="the deadline: 'soon' is not a time span such as 90"):
        submit(FOREIGN, deadline="soon")


def test_a_kubeflow_pipeline_travels_word_for_word_under_a_files_name() -> None:
    said = submitted()
    assert 'name="spec"; filename="flow.yaml"' in said
    assert "root: {}\n" in said


def test_a_run_is_cancelled_retried_and_placed_anew_by_its_id() -> None:
    again = {"run": {"id": "s"}, "notes": ["n"]}
    server = Server(cancel={"id": "r"}, retry=again, replace=again)
    run = server.handle()
    assert run.cancel("enough") == {"id": "r"}
    assert (run.retry(from_task="fit", spec=FOREIGN).id, run.replace().id) == ("s", "s")
    assert [request.url.path for request in server.asked] == [
        "/api/v1/runs/r/cancel", "/api/v1/runs/r/retry", "/api/v1/runs/r/replace"
    ]  # fmt: skip
    assert json.loads(server.asked[1].content)["foreign"] == {"name": "flow", "text": "root: {}\n"}
