"""Uploads that are too large, and streams that are open when the server is told to end, over real sockets."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SIZE = 100 * 10**6
JSON = {"Content-Type": "application/json"}


def resident_bytes(server: Any) -> int:
    """The most memory that the server's process ever held."""
    (line,) = [one for one in Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if "VmHWM" in one]
    return int(line.split()[1]) * 1024


def forget_peak(server: Any) -> None:
    """Begin anew with the most memory that the server's process ever held."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def piece_by_piece(head: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(SIZE // 2**20):
        yield b"x" * 2**20


HEAD = b'--x\r\nContent-Disposition: form-data; name="components"; filename="a.py"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("path", "headers", "head"),
    [
        ("/submit/", FORM, HEAD),
        ("/submit/", {**FORM, "Content-Length": str(len(HEAD) + SIZE // 2**20 * 2**20)}, HEAD),
        ("/api/v1/runs", JSON, b'{"spec": "'),
        ("/api/v1/runs", {**JSON, "Content-Length": str(10 + SIZE // 2**20 * 2**20)}, b'{"spec": "'),
    ],
    ids=["form in pieces", "form of a known size", "json in pieces", "json of a known size"],
)
def test_a_hundred_megabytes_are_refused_with_a_sentence_and_not_kept_in_memory(
    shared_server: Any, path: str, headers: dict[str, str], head: bytes
) -> None:
    server = shared_server
    forget_peak(server)
    before = resident_bytes(server)
    answer = httpx.post(server.url + path, content=piece_by_piece(head), headers=headers, timeout=60)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "the request is larger than 32 MiB"
    assert resident_bytes(server) - before < 60 * 10**6
    assert httpx.get(server.url + "/healthz", timeout=60).json() == {"status": "ok"}


def test_an_open_stream_does_not_keep_the_server_from_ending(server: Any) -> None:
    is_open, lines = threading.Event(), []

    def follow() -> None:
        with httpx.stream("GET", f"{server.url}/api/v1/events", timeout=60) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                is_open.set()

    follower = threading.Thread(target=follow)
    follower.start()
    assert is_open.wait(60)
    server.stop()
    follower.join(60)
    assert not follower.is_alive()
    assert lines[0] == ": connected"
    assert server.process.returncode == -signal.SIGTERM
    assert "Traceback" not in server.log()
