"""`mlopx datasets` over a server that answers from memory: what it sends, and what it prints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

import mlopx.remote
from mlopx.cli.app import app
from mlopx.remote import Client
from server.api.dataset_examples import DATASET, FOUND

Command = Callable[..., Result]


class Answers:
    """Remembers what it was asked, and answers as the API's examples do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        if request.method == "GET":
            return httpx.Response(200, json=FOUND)
        return httpx.Response(200, json={**DATASET, **(body or {})})


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def command(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(mlopx.remote, "Client", lambda: Client(transport=httpx.MockTransport(answers)))
    return lambda *arguments: CliRunner().invoke(app, ["datasets", *arguments])


def test_the_list_says_where_copies_are_and_how_old_that_is(command: Command) -> None:
    said = command().stdout
    assert "photos" in said
    assert "s3://bucket/photos" in said
    assert "quick (60 s ago)" in said or "quick (60.0 s ago)" in said or "quick (1 min 0 s ago)" in said
    assert "data folder: irises.csv" in said
    assert json.loads(command("--json").stdout) == FOUND


def test_a_data_set_at_hand_is_measured(command: Command, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"12345")
    said = command("add", "small", str(tmp_path / "a.csv"))
    assert said.exit_code == 0, said.output
    method, path, body = answers.asked[-1]
    assert (method, path) == ("POST", "/api/v1/datasets")
    assert (body["size_bytes"], body["place"]) == (5, str(tmp_path / "a.csv"))
    assert body["digest"] == f"sha256:{hashlib.sha256(b'12345').hexdigest()}"


@pytest.mark.parametrize(
    ("size", "expected"), [("4GB", 4 * 10**9), ("200Mi", 200 * 2**20), ("200MiB", 200 * 2**20), ("1500", 1500)]
)
def test_sizes_are_read_as_people_write_them(command: Command, answers: Answers, size: str, expected: int) -> None:
    said = command("add", "photos", "s3://bucket/photos", "--size", size, "--speed", "1e8", "--kept-where-read")
    assert said.exit_code == 0, said.output
    body = answers.asked[-1][2]
    assert (body["size_bytes"], body["bytes_per_second"], body["is_kept_where_read"]) == (expected, 1e8, True)


def test_what_is_not_at_hand_needs_a_size_and_a_size_needs_sense(command: Command, answers: Answers) -> None:
    missing, odd = command("add", "x", "s3://bucket/x"), command("add", "x", "s3://bucket/x", "--size", "much")
    assert (missing.exit_code, odd.exit_code) == (2, 2)
    assert "is not at hand, so its size is unknown" in missing.output
    assert "--size much:" in odd.output
    assert answers.asked == []


def test_copies_come_and_go_and_data_sets_are_forgotten(command: Command, answers: Answers) -> None:
    assert "node b holds a copy of photos" in command("copy", "photos", "b").stdout
    assert "node b holds no copy of photos" in command("copy", "photos", "b", "--gone").stdout
    assert "photos is forgotten; its files stay" in command("remove", "photos").stdout
    base = "/api/v1/datasets/photos"
    assert [one[:2] for one in answers.asked] == [
        ("POST", f"{base}/copies/b"),
        ("DELETE", f"{base}/copies/b"),
        ("DELETE", base),
    ]
