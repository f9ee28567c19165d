"""The page on writing a strategy does what it says: its files run as they stand there."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from server.components.decision_unit import DecisionUnit
from server.testing.contracts.placer import PROMISES, REQUESTS


@pytest.fixture
def files(project_root: Path, tmp_path: Path) -> Path:
    """The folder with the page's files, written as they stand there."""
    page = (project_root / "docs" / "placers.md").read_text()
    found = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in found] == ["soonest_finish.py", "test_soonest_finish.py"]
    for name, text in found:
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_strategy_of_the_page_keeps_its_contract(files: Path, project_root: Path) -> None:
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(files), str(files)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=files,
        env={"PYTHONPATH": f"{project_root}:{project_root / 'client' / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_strategy_of_the_page_is_used_by_its_path(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(files))

    async def decide() -> tuple[str, str | None]:
        unit = DecisionUnit(placer="soonest_finish:SoonestFinish", new_id=str, time_limit_seconds=20.0)
        try:
            await unit.start()
            outcome = await unit.decide(REQUESTS["chains_on_unequal_nodes"]())
            return outcome.strategy, outcome.problem
        finally:
            await unit.aclose()

    assert asyncio.run(decide()) == ("soonest_finish", None)


def test_the_page_names_every_promise(project_root: Path) -> None:
    page = (project_root / "docs" / "placers.md").read_text()
    assert [name for name in PROMISES if f"| `{name}` |" not in page] == []
