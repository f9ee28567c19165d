"""`mlopx doctor` over a server that answers from memory: what it finds, what it advises, and how it ends."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

import mlopx
import mlopx.remote
from mlopx.cli.app import app
from mlopx.remote import Client

Command = Callable[..., Result]
PREPARING = "the strategy anytime is being prepared (once on a new installation); until then heft decides"


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - what a server's clock shows


class Server:
    """Answers what doctor asks as a sound server does, until a test spoils one of its answers."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/": (200, {"name": "MLOpX", "preparing": ""}),
            "/version": (200, {"version": mlopx.__version__}),
            "/healthz": (200, {"status": "ok"}),
            "/readyz": (200, {"status": "ready", "checks": {"database": {"ok": True, "detail": ""}}}),
            "/api/v1/nodes": (200, {"nodes": [{"name": "quick"}, {"name": "slow"}]}),
        }
        self.date: str | None = format_datetime(now(), usegmt=True)

    def says(self, path: str, document: Any, status: int = 200) -> None:
        self.answers[path] = (status, document)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        status, document = self.answers[request.url.path]
        headers = {} if self.date is None else {"Date": self.date}
        return httpx.Response(status, json=document, headers=headers)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("mlopx.remote.client.time.sleep", lambda seconds: None)
    return Server()


@pytest.fixture
def doctor(server: Server, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(mlopx.remote, "Client", lambda: Client(transport=httpx.MockTransport(server)))
    return lambda *words: CliRunner().invoke(app, ["doctor", *words])


def bad(ended: Result) -> list[str]:
    """What is wrong, each with the advice under it. Fails where there was a traceback."""
    assert isinstance(ended.exception, SystemExit | None), repr(ended.exception)
    lines = ended.stdout.splitlines()
    return [f"{line} | {lines[at + 1].strip()}" for at, line in enumerate(lines) if line.startswith("BAD ")]


def test_no_line_is_wider_than_the_terminal(doctor: Command, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["a-node-with-a-rather-long-name", "another-node-with-a-name-as-long", "and-a-third-of-these-nodes"]
    server.says("/api/v1/nodes", {"nodes": [{"name": name} for name in names]})
    lines = doctor().stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert f"         {names[2]}" in lines


def test_where_all_is_well_every_line_says_ok_and_no_advice_is_given(doctor: Command) -> None:
    ended = doctor()
    assert ended.exit_code == 0
    lines = ended.stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines)
    assert f"ok   server: http://127.0.0.1:8000, version {mlopx.__version__}" in lines
    assert "ok   nodes: 2: quick, slow" in lines
    assert "ok   server's database: works" in lines
    assert lines[-1].startswith("ok   clocks: ")


def test_programs_get_the_same_findings_as_json(doctor: Command, server: Server) -> None:
    server.says("/api/v1/nodes", {"nodes": []})
    ended = doctor("--json")
    assert ended.exit_code == 1
    found = {one["what"]: one for one in json.loads(ended.stdout)}
    assert list(found) == ["python", "library", "server", "versions", "nodes", "server's database", "clocks"]
    assert [name for name, one in found.items() if not one["ok"]] == ["nodes"]
    assert set(found["nodes"]) == {"what", "ok", "detail", "advice"}


def test_without_a_server_the_library_is_still_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlopx.remote.client.time.sleep", lambda seconds: None)
    monkeypatch.setenv("MLOPX_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("COLUMNS", raising=False)
    ended = CliRunner().invoke(app, ["doctor"])
    assert ended.exit_code == 1
    assert "ok   library: mlopx-client" in ended.stdout
    (said,) = bad(ended)
    assert said.startswith("BAD  server: no MLOpX server answers at http://127.0.0.1:9 (")
    assert said.endswith("| start one with `uvicorn server.main:app --port 8000`, or set MLOPX_URL to where yours is")


def test_a_server_of_another_version_is_told(doctor: Command, server: Server) -> None:
    server.says("/version", {"version": "99.0"})
    assert bad(doctor()) == [
        f"BAD  versions: library {mlopx.__version__}, server 99.0 | install library and server of the same version"
    ]


def test_a_server_without_nodes_is_told(doctor: Command, server: Server) -> None:
    server.says("/api/v1/nodes", {"nodes": []})
    assert bad(doctor()) == ["BAD  nodes: none | the server's platform has no nodes"]


def test_a_strategy_that_is_being_prepared_needs_patience_only(doctor: Command, server: Server) -> None:
    server.says("/", {"preparing": PREPARING})
    checks = {"strategy": {"ok": False, "detail": PREPARING}, "prometheus": {"ok": False, "detail": "no answer"}}
    server.says("/readyz", {"status": "degraded", "checks": checks})
    assert bad(doctor()) == [
        f"BAD  server's strategy: {PREPARING} | that ends by itself",
        "BAD  server's prometheus: no answer | see the server's log",
    ]


def test_a_strategy_that_became_ready_meanwhile_is_well(doctor: Command, server: Server) -> None:
    server.says("/", {"preparing": PREPARING})
    assert doctor().exit_code == 0


def test_a_server_that_is_not_ready_tells_which_part_is_not(doctor: Command, server: Server) -> None:
    trouble = {"type": "about/unavailable", "detail": "the database does not answer", "hint": None}
    server.says("/", trouble, 503)
    checks = {"database": {"ok": False, "detail": "the disk is full"}}
    server.says("/readyz", {"status": "not-ready", "checks": checks}, 503)
    assert bad(doctor()) == [
        "BAD  nodes: the database does not answer | see what is said of the server's parts",
        "BAD  server's database: the disk is full | see the server's log",
    ]


def test_a_server_that_has_not_started_is_not_called_well(doctor: Command, server: Server) -> None:
    server.says("/readyz", {"status": "not-ready", "checks": {}}, 503)
    assert bad(doctor()) == ["BAD  server's start: it has not started yet | try again in a moment"]


@pytest.mark.parametrize("path", ["/version", "/api/v1/nodes"])
def test_a_missing_token_is_told_as_the_server_says_it(doctor: Command, server: Server, path: str) -> None:
    server.says(path, {"detail": "a token is needed", "hint": "set MLOPX_TOKEN"}, 401)
    assert bad(doctor()) == ["BAD  server: a token is needed | set MLOPX_TOKEN"]


@pytest.mark.parametrize("document", [[], {}, "hello", 7])
@pytest.mark.parametrize("path", ["/version", "/", "/readyz", "/api/v1/nodes"])
def test_something_else_that_answers_is_no_server_of_ours(
    doctor: Command, server: Server, path: str, document: Any
) -> None:
    server.says(path, document)
    if (path, document) == ("/", {}):
        assert doctor().exit_code == 0
        return
    assert bad(doctor()) == [
        "BAD  server: what answers at http://127.0.0.1:8000 is no MLOpX server | set MLOPX_URL to where yours is"
    ]


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_differ_are_told_whichever_is_ahead(doctor: Command, server: Server, hours: int) -> None:
    server.date = format_datetime(now() + timedelta(hours=hours), usegmt=True)
    (said,) = bad(doctor())
    assert re.fullmatch(r"BAD  clocks: (359|360)\d\.\d s apart \| set the clock of one of the machines", said)


@pytest.mark.parametrize("date", [None, "", "soon"])
def test_a_server_that_does_not_tell_the_time_is_not_blamed_for_it(
    doctor: Command, server: Server, date: str | None
) -> None:
    server.date = date
    ended = doctor()
    assert ended.exit_code == 0
    assert "clocks" not in ended.stdout


def test_a_date_without_a_zone_is_of_universal_time(doctor: Command, server: Server) -> None:
    server.date = now().strftime("%a, %d %b %Y %H:%M:%S -0000")
    assert doctor().exit_code == 0


def test_the_package_of_somebody_else_is_told(doctor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", {"mlopx-client": "1.2.3", "mlopx": "0.0.7"}.__getitem__)
    ended = doctor()
    assert bad(ended) == [
        "BAD  foreign package: a package named mlopx (0.0.7) of somebody else"
        " | run `pip uninstall mlopx`, then install mlopx-client again"
    ]
    assert "ok   library: mlopx-client 1.2.3, in " in ended.stdout


def test_a_library_that_runs_from_its_sources_says_so(doctor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    ended = doctor()
    assert ended.exit_code == 0
    assert "ok   library: mlopx-client not installed as a package, in " in ended.stdout


def test_a_python_that_is_too_old_is_told(doctor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlopx.cli.doctoring.sys.version_info", (3, 10, 9))
    monkeypatch.setattr("mlopx.cli.doctoring.platform.python_version", lambda: "3.10.9")
    assert "BAD  python: 3.10.9 | MLOpX needs Python 3.11 or newer" in bad(doctor())
