"""`mlopx submit --direct`: handed to the server's own command, or refused before anything runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

Api = Any
Command = Callable[..., Any]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run; it ends with 7."""
    found: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> Any:
        assert not check
        found.append(words)
        return SimpleNamespace(returncode=7)

    monkeypatch.setattr(subprocess, "run", run)
    return found


def test_the_words_are_handed_on_and_the_exit_code_comes_back(
    api: Api, mlopx_command: Command, called: list[list[str]]
) -> None:
    words = ["-p", "a=1", "-p", "b= x", "--params", "p.json", "--project", "ads", "--pipeline", "outer"]
    ended = mlopx_command("submit", "flow.py", "--direct", *words, "--wait", "--no-cache", "--json")
    assert ended.exit_code == 7
    (command,) = called
    assert command[:2] == [sys.executable, "-P"]
    assert command[4:] == ["submit", "flow.py", *words, "--wait", "--no-cache", "--json"]
    assert api.asked == []


def test_what_was_not_said_is_not_handed_on(mlopx_command: Command, called: list[list[str]]) -> None:
    mlopx_command("submit", "flow.py", "--direct")
    assert called[0][4:] == ["submit", "flow.py"]


@pytest.mark.parametrize(("flag", "value"), [("--priority", "0"), ("--deadline", "2h")])
def test_what_only_a_server_can_heed_is_refused(
    mlopx_command: Command, called: list[list[str]], flag: str, value: str
) -> None:
    ended = mlopx_command("submit", "flow.py", "--direct", flag, value)
    assert (ended.exit_code, called) == (2, [])
    assert f"error: {flag} means nothing with --direct: Kubeflow has no queue of ours" in ended.stderr


def test_without_the_servers_package_it_says_what_to_install(
    mlopx_command: Command, called: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = mlopx_command("submit", "flow.py", "--direct")
    assert (ended.exit_code, called) == (2, [])
    assert "--direct compiles with the package mlopx-server, which is not installed here" in ended.stderr
