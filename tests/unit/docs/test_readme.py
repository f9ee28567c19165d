"""The README tells the truth: its pipeline builds, its commands, settings, strategies and folders are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlopx.spec import parse_spec
from server.components.decision_unit import placers
from server.settings import Settings, variable


@pytest.fixture(scope="module")
def readme(project_root: Path) -> str:
    """Its text."""
    return (project_root / "README.md").read_text(encoding="utf-8")


def table(readme: str, heading: str) -> dict[str, str]:
    """First and second column of the table below a heading."""
    part = readme.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = re.findall(r"^\| (`.+?`) \| *(.*?) *\|", part, re.MULTILINE)
    return {first.strip("`"): second.strip("`") for first, second in rows if (first, second) != ("`PLACER`", "order")}


def test_its_pipeline_builds(readme: str, tmp_path: Path) -> None:
    (source,) = re.findall(r"<!-- file: churn\.py -->\n```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "churn.py").write_text(source)
    command = [sys.executable, "-m", "mlopx", "build", "churn.py"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(parse_spec(built.stdout).tasks) == ["best", "clean-up", "load", "publish", "train"]


def test_the_settings_are_those_of_the_server(readme: str) -> None:
    known = {variable(name): field.default for name, field in Settings.model_fields.items()}
    listed = table(readme, "The server")
    assert set(listed) <= set(known)
    for name, shown in listed.items():
        default = known[name]
        if default is not None:
            assert shown in (str(default), f"{default:g}" if isinstance(default, float) else None), name


def test_the_strategies_are_those_of_the_server(readme: str) -> None:
    assert set(table(readme, "Strategies")) <= set(placers)
    assert Settings().placer in table(readme, "Strategies")


def test_every_folder_it_names_is_there(readme: str, project_root: Path) -> None:
    part = readme.split("## Where things are\n")[1].split("\n## ", maxsplit=1)[0]
    named = re.findall(r"`([a-z_/]+/|[a-z_/]+\.py)`", part)
    folders = (project_root, project_root / "client" / "src" / "mlopx", project_root / "server" / "placers")
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


def test_every_link_leads_somewhere(readme: str, project_root: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", readme)
    assert links
    assert [link for link in links if "://" not in link and not (project_root / link).exists()] == []


def test_every_make_target_it_names_is_there(readme: str, project_root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (project_root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", readme)) <= targets | {"pipelines"}
