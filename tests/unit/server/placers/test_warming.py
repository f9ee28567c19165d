"""Getting strategies ready ahead of need: what cannot be compiled is said, and keeps nothing else from it."""

from __future__ import annotations

import subprocess
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


COMPILED_LATE = """
import gc
from numba.core.dispatcher import Dispatcher
from server.placers.online import Online
from server.testing.contracts.placer import REQUESTS

def compiled():
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {(kernel.py_func.__name__, types) for kernel in kernels for types in kernel.signatures}

placer = Online()
placer.warm()
warm = compiled()
plans = [placer.place(build()) for build in REQUESTS.values()]
assert warm and any(plan.placements for plan in plans)
print("late:", *sorted({name for name, types in compiled() - warm}))
"""


def test_once_warm_the_default_strategy_compiles_nothing_in_a_decision() -> None:
    """Half a minute of compiling in the middle of a decision would be taken for a strategy that hangs."""
    told = subprocess.run([sys.executable, "-c", COMPILED_LATE], capture_output=True, text=True, check=False)
    assert told.stdout == "late:\n", told.stderr
