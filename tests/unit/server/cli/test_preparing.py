"""A strategy that is compiled first says so on a terminal; one that is not, and one that has been, say nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from server.cli.preparing import PREPARING, say_preparing
from server.planning.kernels import compiling


@pytest.mark.parametrize(
    ("placers", "is_terminal", "is_cold", "is_said"),
    [
        (("fifo_greedy", "anytime"), True, True, True),
        (("fifo_greedy",), True, True, False),
        (("anytime",), False, True, False),
        (("anytime",), True, False, False),
    ],
)
def test_only_a_cold_strategy_is_announced_and_only_on_a_terminal(
    placers: tuple[str, ...],
    is_terminal: bool,
    is_cold: bool,
    is_said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    monkeypatch.setattr(compiling, "is_cold", lambda: is_cold)
    say_preparing(*placers)
    assert (PREPARING in capsys.readouterr().err) is is_said


@pytest.mark.skipif(not compiling.IS_COMPILED, reason="numba is not installed")
def test_a_folder_with_compiled_kernels_is_not_cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.config, "CACHE_DIR", str(tmp_path))
    assert compiling.is_cold()
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "a.py311.nbi").touch()
    assert not compiling.is_cold()
