"""The client's guide works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from mlopx import Pipeline, errors
from mlopx.spec import parse_spec, to_json

PIPELINES = {"first", "judged", "either", "search", "train_once", "twice", "always", "demanding", "hinted"}


def test_every_pipeline_of_the_guide_builds(guide: ModuleType) -> None:
    found = {name: value for name, value in vars(guide).items() if isinstance(value, Pipeline)}
    assert set(found) == PIPELINES
    for pipeline in found.values():
        text = to_json(pipeline.build())
        assert to_json(parse_spec(text)) == text


def test_the_error_it_shows_is_the_one_that_comes(guide: ModuleType, project_root: Path, tmp_path: Path) -> None:
    wrong = (
        "from guide import fit, pipeline\n\n\n@pipeline\ndef train():\n    fit(tabel=1, rate=0.1)\n\n\ntrain.main()\n"
    )
    (tmp_path / "train.py").write_text(wrong)
    ended = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
    )
    assert ended.returncode == 2
    shown = (project_root / "client" / "README.md").read_text(encoding="utf-8").split("```text\nerror: ")[1]
    shown = "error: " + shown.split("```")[0].replace("train.py:12", "train.py:6")
    assert ended.stderr == shown


def test_the_exit_codes_are_those_of_the_errors(project_root: Path) -> None:
    text = (project_root / "client" / "README.md").read_text(encoding="utf-8").split("| exit code |")[1]
    listed = set(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE)))
    kinds = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.MlopxError)
    ]
    assert {kind.exit_code for kind in kinds} | {0, 130} == listed


def test_every_command_it_lists_is_there_and_none_is_left_out(project_root: Path) -> None:
    text = (project_root / "client" / "README.md").read_text(encoding="utf-8").split("## The command\n")[1]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    listed = {word for row in rows for word in re.findall(r"`(?:mlopx )?([a-z]+)", row)}
    ended = subprocess.run([sys.executable, "-m", "mlopx", "--help"], capture_output=True, text=True, check=True)
    commands = set(re.findall(r"^  ([a-z]+)  ", ended.stdout.split("Commands:")[1], re.MULTILINE))
    assert listed == commands
