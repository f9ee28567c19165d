"""What the tests of commands share: a server that answers as the API's own document shows, and the command in front."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

import mlopx.remote
import mlopx.remote.runs
from mlopx.cli.app import app
from mlopx.remote import Client
from mlopx.spec import Component, FunctionCode, Parameter, PipelineSpec, Task, to_json

DOCUMENT = Path(__file__).parents[4] / "docs" / "openapi.json"

Command = Callable[..., Result]
SPEC = PipelineSpec(
    version="1.0",
    name="flow",
    parameters={"depth": Parameter(type="int", optional=True, default=3)},
    components={"step": Component(name="step", code=FunctionCode(source="def step(): ...", entrypoint="step"))},
    tasks={"step": Task(component="step")},
)


class Api:
    """Answers each operation with its example, until a test gives other answers; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self._said: dict[str, list[httpx.Response]] = {}

    def example(self, operation: str) -> Any:
        """What the document shows as the answer to `GET /api/v1/runs/{run_id}`, say; to be changed at will."""
        return copy.deepcopy(_examples()[operation])

    def says(self, operation: str, *documents: Any, status: int = 200) -> None:
        """Answer with these documents, one after the other; with the last one for ever."""
        self._said[operation] = [_response(document, status) for document in documents]

    def bodies(self, path: str) -> list[Any]:
        """What was sent to an address as JSON."""
        return [json.loads(one.content) for one in self.asked if one.url.path == path and one.content]

    def queries(self, path: str) -> list[dict[str, str]]:
        """With which parameters an address was asked."""
        return [dict(one.url.params) for one in self.asked if one.url.path == path]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        operation = next(
            one
            for one, pattern in _patterns().items()
            if one.startswith(f"{request.method} ")
            and pattern.fullmatch(request.url.raw_path.decode().partition("?")[0])
        )
        said = self._said.get(operation) or [_response(self.example(operation), 200)]
        answer = said.pop(0) if len(said) > 1 else said[0]
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


def _response(document: Any, status: int) -> httpx.Response:
    if isinstance(document, httpx.Response):
        return document
    return httpx.Response(status, content=document) if isinstance(document, bytes) else _json(document, status)


def _json(document: Any, status: int) -> httpx.Response:
    return httpx.Response(status, json=document)


@cache
def _examples() -> dict[str, Any]:
    found = {}
    for path, operations in json.loads(DOCUMENT.read_text())["paths"].items():
        for method, operation in operations.items():
            answers = [answer for code, answer in operation["responses"].items() if code.startswith("2")]
            kinds = [kind for answer in answers for kind in answer.get("content", {}).values() if "example" in kind]
            if kinds:
                found[f"{method.upper()} {path}"] = kinds[0]["example"]
    return found


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """By operation, those without parts of any name first."""
    ordered = sorted(_examples(), key=lambda operation: operation.count("{"))
    return {one: re.compile(re.sub(r"\{\w+\}", "[^/]+", one.partition(" ")[2])) for one in ordered}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """A server in memory that every command of this test speaks to; nobody waits."""
    found = Api()

    def client(url: str | None = None, token: str | None = None) -> Client:
        return Client(url, token, transport=httpx.MockTransport(found))

    monkeypatch.setattr(mlopx.remote, "Client", client)
    monkeypatch.setattr(mlopx.remote.runs, "Client", client)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return found


@pytest.fixture
def mlopx_command(api: Api) -> Command:
    """The command, in a terminal as wide as `columns` says. Fails where it ends with a traceback."""

    def run(*words: str, columns: int = 80) -> Result:
        ended = CliRunner().invoke(app, list(words), env={"COLUMNS": str(columns)})
        assert isinstance(ended.exception, SystemExit | None), repr(ended.exception)
        return ended

    return run


@pytest.fixture
def said(mlopx_command: Command) -> Callable[..., str]:
    """What the command prints where all goes well, none of it wider than 80 columns unless `columns` says more."""

    def run(*words: str, columns: int = 80) -> str:
        ended = mlopx_command(*words, columns=columns)
        assert ended.exit_code == 0, ended.output
        if "--json" not in words:
            assert max((len(line) for line in ended.stdout.splitlines()), default=0) <= columns, ended.stdout
        return ended.stdout

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A spec of one task, with a parameter that may be left out."""
    path = tmp_path / "flow.json"
    path.write_text(to_json(SPEC))
    return path
