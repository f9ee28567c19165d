"""The examples build to the specs that are kept beside them, wherever and however often they are built."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

import mlopx.remote
from mlopx import Pipeline
from mlopx.spec import json_schema, parse_spec, to_json
from server.platforms.kubeflow.compile.carried import unpacked

EXAMPLES = ("bikes", "diamonds", "digits", "languages", "segments")


@pytest.fixture(scope="module")
def golden(project_root: Path) -> ModuleType:
    """`utils/golden.py`, imported."""
    spec = importlib.util.spec_from_file_location("golden", project_root / "utils" / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_these_are_all_examples_and_each_has_its_golden_spec(project_root: Path) -> None:
    files = {path.stem for path in (project_root / "pipelines").glob("*.py")}
    kept = {path.stem for path in (project_root / "pipelines" / "golden").glob("*.json")}
    assert files == kept == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_builds_to_exactly_the_bytes_of_its_golden_spec(
    load: Callable[[str], Pipeline], project_root: Path, name: str
) -> None:
    kept = (project_root / "pipelines" / "golden" / f"{name}.json").read_bytes()
    assert to_json(load(name).build()).encode() == kept, "if this change is meant, run: make golden"


def test_the_bytes_depend_neither_on_the_folder_nor_on_the_hash_seed(project_root: Path, tmp_path: Path) -> None:
    code = (
        "import sys, runpy; from mlopx.spec import to_json\n"
        "found = runpy.run_path(sys.argv[1])['segments']; sys.stdout.write(to_json(found.build()))"
    )
    path = project_root / "pipelines" / "segments.py"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONIOENCODING": "utf-8"}
    built = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert built.stdout == (project_root / "pipelines" / "golden" / "segments.json").read_bytes()


def test_the_examples_become_exactly_what_is_kept_for_kubeflow(golden: ModuleType, project_root: Path) -> None:
    made = {path.name: text for path, text in golden.kubeflow_files()}
    kept = {path.name: path.read_text() for path in (project_root / "pipelines" / "golden").glob("*.kubeflow.yaml")}
    assert set(made) == set(kept) == {f"{name}.kubeflow.yaml" for name in EXAMPLES}
    for name, text in made.items():
        assert opened(text) == opened(kept[name]), "if this change is meant, run: make golden"


def opened(text: str) -> str:
    """The text with what is packed in it unpacked: compression may differ between machines, what it packs may not."""
    return re.sub(r"eN[A-Za-z0-9+/]{60,}={0,2}", lambda packed: unpacked(packed[0]), text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_golden_spec_reads_back_and_meets_the_published_schema(project_root: Path, name: str) -> None:
    text = (project_root / "pipelines" / "golden" / f"{name}.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(text))
    assert to_json(parse_spec(text)) == text


def test_the_published_schema_is_the_one_that_the_library_makes(golden: ModuleType) -> None:
    for path, text in golden.spec_schema():
        assert path.read_text(encoding="utf-8") == text, "if this change is meant, run: make golden"


@pytest.mark.parametrize("name", EXAMPLES)
def test_importing_an_example_submits_nothing(
    load: Callable[[str], Pipeline], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(mlopx.remote, "submit", lambda *args, **kwargs: sent.append(args))
    assert load(name).name == name
    assert sent == []


def test_rewriting_the_golden_files_changes_only_what_changed(
    golden: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, new = tmp_path / "kept.json", tmp_path / "made" / "new.json"
    kept.write_text("same\n")
    monkeypatch.setattr(golden, "ROOT", tmp_path)
    monkeypatch.setattr(golden, "MAKERS", [lambda: iter([(kept, "same\n"), (new, "text\n")])])
    golden.main([])
    assert new.read_text() == "text\n"
    assert capsys.readouterr().out.split() == ["unchanged", "kept.json", "new", "made/new.json"]
    monkeypatch.setattr(golden, "MAKERS", [lambda: iter([(kept, "other\n")])])
    golden.main([])
    assert "CHANGED" in capsys.readouterr().out
