"""Folders as archives: all that is in them, no more in memory than a piece, and nothing from outside."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from server.api.archiving import PIECE, tar_of


def opened(folder: Path) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join(tar_of(folder))))


def test_all_that_is_in_the_folder_is_in_the_archive(tmp_path: Path) -> None:
    long = "n" * 150
    files = {
        "a.txt": b"a",
        "empty": b"",
        f"deep/{long}/{long}": b"long names",
        "ünïcode 漢": b"x" * 512,
        "big": bytes(range(256)) * 9000,
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "no files").mkdir()
    os.link(tmp_path / "a.txt", tmp_path / "same")
    with opened(tmp_path) as archive:
        names = set(archive.getnames())
        assert names == {*files, "same", "deep", f"deep/{long}", "no files"}
        for name, content in {**files, "same": b"a"}.items():
            member = archive.extractfile(name)
            assert member is not None
            assert member.read() == content
        assert {(one.uid, one.gid, one.uname, one.gname) for one in archive} == {(0, 0, "", "")}


def test_a_file_larger_than_memory_passes_through_in_pieces(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(256 << 20)
    tracemalloc.start()
    try:
        count = sum(len(piece) for piece in tar_of(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 256 << 20
    assert peak < 4 * PIECE


def test_links_stay_links_and_pipes_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    packed = b"".join(tar_of(folder))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        [member] = archive.getmembers()
    assert (member.name, member.issym()) == ("link", True)
    assert b"secret\0" not in packed.replace(str(tmp_path / "secret").encode(), b"")


def test_a_file_that_is_cut_off_meanwhile_breaks_the_archive_off(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (2 * PIECE))
    pieces = tar_of(tmp_path)
    next(pieces)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError, match="was cut off while it was read"):
        list(pieces)
