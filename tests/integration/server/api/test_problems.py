"""Every error is a problem document, and nobody ever sees a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from server.domain.errors import StorageFullError

ReadProblem = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v2/runs", "/api/v1/runs/a/b/c", "/submit", "/pipelines/", "/%00", "/é"]
)
async def test_an_unknown_address_is_a_problem(api: Any, read_problem: ReadProblem, path: str) -> None:
    answer = await api.http.get(path)
    if answer.status_code == 307:
        answer = await api.http.get(answer.headers["location"])
        read_problem(answer, 405)
        return
    problem = read_problem(answer, 404)
    assert problem["type"].endswith("/not-found")
    assert problem["hint"] == "see /docs for the addresses there are"


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/v1/runs"), ("PUT", "/"), ("GET", "/submit/"), ("PATCH", "/nodes/"), ("TRACE", "/healthz")],
)
async def test_a_method_that_is_not_there_is_a_problem(
    api: Any, read_problem: ReadProblem, method: str, path: str
) -> None:
    answer = await api.http.request(method, path)
    assert read_problem(answer, 405)["type"].endswith("/method-not-allowed")
    assert answer.headers["allow"]


async def test_a_bug_in_the_server_is_a_numbered_problem_and_the_log_has_the_rest(
    serve: Any,
    read_problem: ReadProblem,
    make_spec: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a secret place in the code")

    async with serve() as api:
        services = api.app.state.services
        monkeypatch.setattr(services.store, "list_runs", broken)
        monkeypatch.setattr(services.store, "create_run", broken)
        monkeypatch.setattr(services.node_manager, "snapshot", broken)
        for answer in (
            await api.http.get("/api/v1/runs"),
            await api.http.get("/nodes/"),
            await api.http.get("/metrics"),
            await api.http.post("/api/v1/runs", json={"spec": make_spec()}),
        ):
            problem = read_problem(answer, 500)
            assert "secret place" not in answer.text
            assert "ZeroDivisionError" not in answer.text
            number = problem["detail"].split()[-1]
            (record,) = [one for one in caplog.records if number in one.getMessage()]
            assert record.levelno == logging.ERROR
            assert record.exc_info is not None


async def test_a_full_disk_is_said_and_nothing_is_taken(
    serve: Any, read_problem: ReadProblem, make_spec: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StorageFullError("the disk is full: nothing was stored", hint="free some space")

    async with serve() as api:
        monkeypatch.setattr(api.app.state.services.store, "create_run", full)
        answer = await api.http.post("/api/v1/runs", json={"spec": make_spec()})
        assert read_problem(answer, 507)["type"].endswith("/storage-full")
        monkeypatch.undo()
        assert (await api.get("/"))["runs"] == {}
        assert (await api.http.post("/api/v1/runs", json={"spec": make_spec()})).status_code == 202
