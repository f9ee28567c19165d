"""The house keeps its own rules: layers, sizes, errors, ports, and what must never be written down."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlopx import errors as client_errors
from server.domain import errors as server_errors

SOURCES = ("server", "client/src/mlopx", "utils", "benchmarks", "pipelines")
PORTS = ("placers", "estimators", "platforms", "cluster", "stores")


def modules(root: Path) -> list[Path]:
    return [path for folder in SOURCES for path in sorted((root / folder).rglob("*.py"))]


def leaves(root: type[Exception]) -> list[type[Exception]]:
    found = [root]
    for child in root.__subclasses__():
        found.extend(leaves(child))
    return found


def test_imports_keep_to_the_layers(project_root: Path) -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [tool, "--no-logo"], cwd=project_root, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_is_longer_than_four_hundred_lines(project_root: Path) -> None:
    long = {str(path.relative_to(project_root)): len(path.read_text().splitlines()) for path in modules(project_root)}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_every_module_opens_with_why_it_exists(project_root: Path) -> None:
    bare = [
        str(path.relative_to(project_root))
        for path in modules(project_root)
        if (text := re.sub(r"^#!.*\n", "", path.read_text()).lstrip()) and not text.startswith(('"""', 'r"""'))
    ]
    assert bare == []


@pytest.mark.parametrize("room", PORTS)
def test_every_room_with_a_port_has_its_interface(project_root: Path, room: str) -> None:
    assert (project_root / "server" / room / "interface.py").is_file()


def test_every_server_error_has_its_own_code_status_and_title() -> None:
    for error in leaves(server_errors.MlopxError):
        assert re.fullmatch(r"[a-z-]+", error.code), error
        assert 400 <= error.status <= 599, error
        assert error.title, error
        assert inspect.getdoc(error), error


def test_every_client_error_has_a_code_and_an_exit_code() -> None:
    for error in leaves(client_errors.MlopxError):
        assert re.fullmatch(r"[a-z-]+", error.code), error
        assert 1 <= error.exit_code <= 5, error


def test_a_server_error_reads_as_what_was_wrong_and_what_to_do() -> None:
    error = server_errors.UnplaceableError("no node fits", hint="ask for less", details=("task a: too little cpu",))
    assert str(error) == "no node fits\n  task a: too little cpu\n  hint: ask for less"


def test_importing_the_library_is_quick_and_loads_no_http_client(project_root: Path) -> None:
    script = "import sys, mlopx; print('httpx' in sys.modules, 'typer' in sys.modules, 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False", "False"]
