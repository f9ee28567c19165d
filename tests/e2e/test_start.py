"""A server that cannot start says why in a sentence; a client without a server does too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

STARTER = """
import json, os, sys
import server.main
from uvicorn import main

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        for number in (1, 2):
            os.dup2(os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
        os.environ.update(asked["settings"])
        main(["server.main:app", *asked["options"]])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Each start is a process of its own that runs the web server's command; what all load is loaded once, before."""

Start = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def start(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server that cannot start, and tells how it ended and what it said."""
    folder = tmp_path_factory.mktemp("starts")
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=project_root,
        env={**os.environ, "PLACER": "fifo_greedy"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(*options: str, **settings: str) -> CompletedProcess[str]:
        said = folder / f"{len(list(folder.iterdir()))}.log"
        said.touch()
        asked = {"options": options, "settings": settings, "said": str(said)}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        return CompletedProcess(options, code, "", said.read_text())

    yield run
    with process:
        process.stdin.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PLACER": "best_ever"}, "there is no placer 'best_ever'"),
        ({"PLACER": "nowhere:Placer"}, "nowhere"),
        ({"WAIT_INTERVAL": "soon"}, "setting WAIT_INTERVAL 'soon' (from environment) is wrong"),
        ({"MLOPX_TOKNE": "x"}, "did you mean MLOPX_TOKEN?"),
        ({"CLUSTER_FILE": "gone.toml"}, "the cluster file gone.toml cannot be read"),
        ({"DATABASE_URL": "postgresql://me:hush@127.0.0.1:1/x"}, "postgresql://me:***@127.0.0.1:1/x cannot be opened"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:////proc/nowhere/x.db"}, "DATABASE_URL sqlite:////proc/nowhere/x.db cannot be used"),
        ({"KFP_URL": "kubeflow"}, "is no address"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(
    start: Start, tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    ended = start("--port", "0", STATE_DIR=str(tmp_path / "state"), **settings)
    assert ended.returncode != 0
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hush" not in ended.stderr


@pytest.mark.parametrize("most_bytes", [0, 40_000])
def test_a_disk_without_room_is_said_in_a_sentence(project_root: Path, tmp_path: Path, most_bytes: int) -> None:
    """No file of the process may grow beyond some bytes: as on a full disk, the lock's or the database's cannot."""
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, {most_bytes}));"
        "from uvicorn import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "server.main:app", "--port", "0"],
        cwd=project_root,
        env={**os.environ, "STATE_DIR": str(tmp_path / "state"), "PLACER": "fifo_greedy"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode != 0
    assert "MLOpX cannot start: " in ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr


def test_a_second_server_on_the_same_folder_is_refused(start: Start, shared_server: Any) -> None:
    server = shared_server
    state = str(server.folder / "state")
    ended = start("--port", "0", STATE_DIR=state)
    assert ended.returncode != 0
    assert f"another server (process {server.process.pid}) already uses {state}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert server.client.get("/readyz")


def test_a_port_that_is_taken_is_said(start: Start, shared_server: Any, tmp_path: Path) -> None:
    ended = start("--port", str(shared_server.port), STATE_DIR=str(tmp_path / "other"), AGENT_GRACE_SECONDS="0")
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_client_without_a_server_is_told_what_to_do(project_root: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "pipelines/bikes.py"],
        cwd=project_root,
        env={**os.environ, "MLOPX_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "no MLOpX server answers at http://127.0.0.1:9" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_example_of_the_readme_runs(
    make_server: Callable[..., Any], project_root: Path, define: Callable[[str, str], Path]
) -> None:
    server = make_server(PLACER="online")
    server.start()
    text = (project_root / "README.md").read_text(encoding="utf-8")
    source = text.split("<!-- file: churn.py -->\n```python\n")[1].split("```")[0]
    ended = server.submit(define("churn", source), "--wait", "-p", "rows=50")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "succeeded" in ended.stdout


def test_the_notebook_lines_of_the_guide_run(
    shared_server: Any, project_root: Path, define: Callable[[str, str], Path]
) -> None:
    text = (project_root / "client" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (lines,) = re.findall(r"<!-- against a server -->\n```python\n(.*?)```", text, re.DOTALL)
    source = "\n\n".join(block for block in blocks if block != lines and "__main__" not in block) + "\n\n" + lines
    ended = shared_server.submit(define("notebook", source))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.match(r"succeeded 0\.\d+", ended.stdout)
