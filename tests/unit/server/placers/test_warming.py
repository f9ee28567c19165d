"""Getting strategies ready ahead of need: what cannot be compiled is said, and keeps nothing else from it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from server.placers import warming


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was got ready, of a module with a strategy and a function; in this process."""
    found: list[str] = []

    class Strategy:
        def warm(self) -> None:
            found.append("strategy")

    module: Any = ModuleType("tests_warming")
    module.Strategy, module.everything = Strategy, lambda: found.append("everything")
    monkeypatch.setitem(sys.modules, "tests_warming", module)
    monkeypatch.setattr(warming, "ProcessPoolExecutor", lambda workers, context: ThreadPoolExecutor(workers))
    monkeypatch.setattr(warming, "USUAL", ("tests_warming:Missing", "tests_warming:Strategy"))
    monkeypatch.setattr(warming, "EVERYTHING", "tests_warming:everything")
    return found


@pytest.mark.parametrize(("arguments", "ready"), [((), {"strategy"}), (("--all",), {"strategy", "everything"})])
def test_what_cannot_be_compiled_is_said_and_the_rest_is_compiled(
    done: list[str], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], ready: set[str]
) -> None:
    warming.main(arguments)
    assert set(done) == ready
    said = capsys.readouterr().err
    assert said.startswith("what tests_warming:Missing needs will be compiled when it is first used: ")
    assert len(said.splitlines()) == 1


def test_what_is_named_is_there() -> None:
    for job in (*warming.USUAL, warming.EVERYTHING):
        module, _, name = job.partition(":")
        assert hasattr(__import__(module, fromlist=[name]), name)
