"""`mlopx-server placer new`: what it writes works at once, and it never overwrites anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.new_placer import placer_app
from server.components.decision_unit import load_placer
from server.domain.errors import ConfigurationError


def write(folder: Path, name: str = "my_first") -> str:
    ended = CliRunner().invoke(placer_app, ["new", name, "--folder", str(folder)])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.output


def test_the_new_strategy_keeps_its_contract_as_it_is_written(tmp_path: Path, project_root: Path) -> None:
    assert 'PLACER="my_first:MyFirst"' in write(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "test_my_first.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{project_root}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert " passed" in ended.stdout


def test_the_new_strategy_can_be_named_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "named_here")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_placer("named_here:NamedHere").name == "named_here"


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_my_first.py").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"test_my_first\.py is there already"):
        write(tmp_path)
    assert (tmp_path / "test_my_first.py").read_text() == "mine"
    assert not (tmp_path / "my_first.py").exists()


@pytest.mark.parametrize("name", ["My", "a-b", "1st", "class", "", "../x", "a__b"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a strategy's name"):
        write(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_strategy_of_the_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has a strategy 'custom' already"):
        write(tmp_path, "custom")
