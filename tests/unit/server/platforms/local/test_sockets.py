"""The folder in which agents listen: there while one of them does, private, and gone with the last."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.domain.errors import ConfigurationError
from server.platforms.local.sockets import check_owner, leave, listen, socket_path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; its agents listen elsewhere."""
    yield tmp_path / "state"
    leave(socket_path(tmp_path / "state", "alpha"))


def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nobody comes")


async def test_the_last_agent_that_ends_removes_the_folder_of_all(state: Path) -> None:
    alpha, beta = socket_path(state, "alpha"), socket_path(state, "beta")
    home = Path(alpha).parent
    assert home == Path(beta).parent
    assert not home.exists(), "who only asks for the path makes nothing"
    async with await listen(alpha, connected, 1000), await listen(beta, connected, 1000):
        assert [home.stat().st_mode & 0o777, Path(alpha).stat().st_mode & 0o777] == [0o700, 0o600]
        leave(alpha)
        assert os.listdir(home) == [Path(beta).name]
        leave(beta)
        assert not home.exists()


async def test_what_a_killed_agent_left_is_taken_over_by_the_next(state: Path) -> None:
    path = socket_path(state, "alpha")
    (await listen(path, connected, 1000)).close()
    Path(path).touch()
    async with await listen(path, connected, 1000):
        assert Path(path).is_socket()
        leave(path)
    assert not Path(path).parent.exists()


async def test_an_agent_listens_although_another_takes_the_folder_with_it(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = socket_path(state, "alpha")
    real, calls = asyncio.start_unix_server, list[str]()

    async def start(*given: object, **more: object) -> object:
        calls.append("start")
        if len(calls) == 1:
            leave(path)
        return await real(*given, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr("asyncio.start_unix_server", start)
    async with await listen(path, connected, 1000):
        assert Path(path).is_socket()
        leave(path)
    assert len(calls) == 2


def test_a_folder_of_somebody_else_is_refused(state: Path) -> None:
    path = socket_path(state, "alpha")
    check_owner(path)
    Path(path).parent.symlink_to("/proc/1" if os.getuid() else state)
    if not os.getuid():
        os.lchown(Path(path).parent, 65534, 65534)
    try:
        with pytest.raises(ConfigurationError, match="belongs to somebody else"):
            check_owner(path)
    finally:
        Path(path).parent.unlink()
