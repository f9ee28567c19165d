"""Definition files that cannot be used: the mistake in them is named with its line, and no frame of ours is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlopx.cli.loading import load_pipeline
from mlopx.errors import MlopxError
from mlopx.spec import PipelineSpec

SOUND = """from mlopx import component, pipeline
@component
def step(a: int) -> int:
    return a
@pipeline
def flow():
    step(a=1)
"""

BROKEN = {
    "a colon is missing": (
        b"from mlopx import component\n@component\ndef step(a: int) -> int\n    return a\n",
        "cannot be loaded: SyntaxError: expected ':'\n    def step(a: int) -> int\n  at flow.py:3",
    ),
    "a module is missing": (
        b"import mlopx\nimport not_there_at_all\n",
        "ModuleNotFoundError: No module named 'not_there_at_all'\n  at flow.py:2\n  hint: install it here",
    ),
    "it raises": (b"def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero\n  at flow.py:2\n"),
    "it ends the program": (b"import sys\nsys.exit(3)\n", "ends the program while it is loaded (SystemExit: 3)"),
    "it prints what is no text": (
        b'import os\nos.write(2, b"\\xff\\xfe")\nraise SystemExit("bye")\n',
        "SystemExit: bye",
    ),
    "its process is gone": (b"import os\nos.write(2, b'\\xff!')\nos._exit(9)\n", "its process ended with 9:\n\ufffd!"),
    "it is no UTF-8": (b"\xff\xfe\n", "flow.py cannot be loaded: SyntaxError: (unicode error)"),
    "it is empty": (b"", "flow.py defines no pipeline\n  hint: decorate the function"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_a_definition_file_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content, said = BROKEN[case]
    Path("flow.py").write_bytes(content)
    with pytest.raises(MlopxError) as caught:
        load_pipeline(Path("flow.py"))
    assert said in str(caught.value)
    assert "loading.py" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("name", ["flow.py", "flow.json", "flow.yaml"])
def test_a_folder_is_no_definition_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(MlopxError, match=f"{name} cannot be read: Is a directory"):
        load_pipeline(tmp_path / name)


def test_a_name_that_no_pipeline_has_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "flow.py"
    file.write_text(SOUND)
    with pytest.raises(MlopxError, match=r"defines no pipeline 'other', but these: flow"):
        load_pipeline(file, "other")


def test_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "flow.py"
    file.write_bytes(SOUND.replace("\n", "\r\n").encode())
    found = load_pipeline(file)
    assert isinstance(found, PipelineSpec)
    assert list(found.tasks) == ["step"]


def test_modules_in_the_callers_folder_do_not_stand_in_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project_root: Path
) -> None:
    """People have folders called `server`; the file's own helpers are still found, beside it and where it is called."""
    monkeypatch.chdir(tmp_path)
    for name in ("server", "mlopx"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not yours')\n")
    (tmp_path / "types.py").write_text("raise SystemExit('not yours')\n")
    (tmp_path / "near.py").write_text("A = 1\n")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "beside.py").write_text("B = 2\n")
    file = tmp_path / "flows" / "flow.py"
    file.write_text("import near\nimport beside\n" + SOUND)
    assert isinstance(load_pipeline(file), PipelineSpec)

    program = "from mlopx.cli import main; main()"
    command = [sys.executable, "-P", "-c", program, "submit", "--direct", str(file)]
    path = os.pathsep.join((str(project_root), str(project_root / "client" / "src")))
    environment = {**os.environ, "PYTHONPATH": path, "KFP_URL": "http://127.0.0.1:9"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "Kubeflow at http://127.0.0.1:9 does not answer" in ended.stderr, ended.stderr
    assert "not yours" not in ended.stderr
