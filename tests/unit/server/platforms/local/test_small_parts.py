"""Log files, ends on disk, processes and results: the small parts of the local platform."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.local import processes
from server.platforms.local.child import unreadable
from server.platforms.local.ends import Ends
from server.platforms.local.log_file import LogFile
from server.platforms.local.privileges import UNPRIVILEGED
from server.platforms.local.results import BadResultError, read_result


@given(pieces=st.lists(st.binary(max_size=40), max_size=30))
def test_a_log_keeps_its_first_and_last_part_and_counts_the_rest(tmp_path_factory: Any, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    log = LogFile(path, head=50, tail=20)
    for piece in pieces:
        log.write(piece)
    log.close()
    whole, kept = b"".join(pieces), path.read_bytes()
    if len(whole) <= 70:
        assert kept == whole
    else:
        assert kept.startswith(whole[:50])
        assert kept.endswith(whole[-20:])
        assert f" {len(whole) - 70} bytes of output were left out".encode() in kept


def test_what_the_disk_does_not_take_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(tmp_path / "log")

    def full(_file: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.write(b"x" * 100)
    monkeypatch.undo()
    log.close()
    assert b" 100 bytes of output were left out here" in (tmp_path / "log").read_bytes()


def test_an_end_is_there_after_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    Ends(tmp_path).keep({"id": "run/task:1", "outcome": "succeeded"})
    again = Ends(tmp_path)
    assert "run/task:1" in again
    again.forget("run/task:1")
    assert list(Ends(tmp_path)) == []


def test_half_a_file_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"id": "run/ta')
    assert list(Ends(tmp_path)) == []


def manifest(folder: Path) -> dict[str, Any]:
    port = {"kind": "artifact", "type": "Dataset", "path": str(folder / "data")}
    return {"result_path": str(folder / "result.json"), "outputs": {"data": port}}


GOOD = '{"state": "succeeded", "outputs": {"data": {"size_bytes": 1, "digest": "sha256:a", "metadata": {}}}}'


def test_a_task_that_wrote_no_result_has_none(tmp_path: Path) -> None:
    assert read_result(manifest(tmp_path), [tmp_path]) is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"state": "succeeded", "outputs": {}}', "null"])
def test_a_damaged_result_is_called_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(BadResultError, match="damaged"):
        read_result(manifest(tmp_path), [tmp_path])


def test_a_result_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(GOOD)
    (tmp_path / "result.json").symlink_to(tmp_path / "elsewhere")
    assert read_result(manifest(tmp_path), [tmp_path]) is None


def test_outputs_may_link_into_what_tasks_share_only(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(GOOD)
    (tmp_path / "data").symlink_to(tmp_path / "shared")
    found = read_result(manifest(tmp_path), [tmp_path])
    assert found is not None
    assert found["outputs"]["data"]["digest"] == "sha256:a"
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to("/etc")
    with pytest.raises(BadResultError, match="a link to /etc"):
        read_result(manifest(tmp_path), [tmp_path])


def test_a_tree_holds_children_and_their_children() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=0)"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while len(processes.tree(process.pid)) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert processes.tree(process.pid)[0] == process.pid
        assert processes.resident_bytes(process.pid) > 1 << 20
        assert processes.own_nanoseconds(process.pid) > 0
        for pid in processes.tree(process.pid):
            processes.send(pid, signal.SIGKILL)
        process.wait()
        assert processes.is_ended(process.pid)
        assert processes.own_nanoseconds(process.pid) == 0


def test_cpu_time_of_children_that_were_waited_for_counts() -> None:
    before = processes.spent_nanoseconds(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(8_000_000))"], check=True)
    assert processes.spent_nanoseconds(os.getpid()) - before > 50_000_000


def test_marked_processes_are_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"SOME_MARK": "a"}) as process:
        end = time.monotonic() + 60
        while processes.with_variable("SOME_MARK", "a") != [process.pid]:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert processes.with_variable("SOME_MARK", "b") == []
        process.kill()


def test_what_a_task_cannot_read_is_told_with_the_folder_that_is_closed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    manifest = tmp_path / "closed" / "manifest.json"
    assert "No such file" in unreadable(manifest)
    manifest.write_text("{}")
    assert unreadable(manifest) == ""
    (tmp_path / "closed").chmod(0o000)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # as a task: root may read everything
        if os.getuid() == 0:
            os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        os.write(writing, unreadable(manifest).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading) as said:
        told = said.read()
    assert re.fullmatch(rf"user \d+ may not enter ({'|'.join(map(str, manifest.parents))})", told)
