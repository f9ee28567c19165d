"""The folder in which agents listen: there while one of them does, private, and gone with the last."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from server.domain.errors import ConfigurationError
from server.platforms.local.sockets import Place, check_owner, listen, socket_path


def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("nobody comes")


async def placed(path: str) -> Place:
    return await listen(path, connected, 1000)


async def test_the_last_agent_that_ends_removes_the_folder_of_all(tmp_path: Path) -> None:
    paths = [Path(socket_path(tmp_path, name)) for name in ("alpha", "beta")]
    (home,) = {path.parent for path in paths}
    assert not home.exists(), "who only asks for the path makes nothing"
    alpha, beta = [await placed(str(path)) for path in paths]
    async with alpha.server, beta.server:
        assert [home.stat().st_mode & 0o777, paths[0].stat().st_mode & 0o777] == [0o700, 0o600]
        alpha.leave()
        assert os.listdir(home) == [paths[1].name]
        beta.leave()
        assert not home.exists()


async def test_what_a_killed_agent_left_is_taken_over_by_the_next(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "alpha")
    (await placed(path)).server.close()
    again = await placed(path)
    async with again.server:
        assert Path(path).is_socket()
        again.leave()
    assert not Path(path).parent.exists()


async def test_an_agent_whose_place_a_newer_one_took_leaves_that_alone(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "alpha")
    older, newer = await placed(path), await placed(path)
    async with older.server, newer.server:
        older.leave()
        assert Path(path).is_socket()
        newer.leave()
    assert not Path(path).parent.exists()


async def test_an_agent_listens_although_another_takes_the_folder_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = socket_path(tmp_path, "alpha")
    real, calls = asyncio.start_unix_server, list[str]()

    async def start(*given: object, **more: object) -> object:
        calls.append("start")
        if len(calls) == 1:
            Path(path).parent.rmdir()
        return await real(*given, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr("asyncio.start_unix_server", start)
    place = await placed(path)
    async with place.server:
        assert Path(path).is_socket()
        place.leave()
    assert len(calls) == 2


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "alpha")
    check_owner(path)
    Path(path).parent.symlink_to("/proc/1" if os.getuid() else tmp_path)
    if not os.getuid():
        os.lchown(Path(path).parent, 65534, 65534)
    try:
        with pytest.raises(ConfigurationError, match="belongs to somebody else"):
            check_owner(path)
    finally:
        Path(path).parent.unlink()
