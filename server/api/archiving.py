"""A folder as a tar archive, written piece by piece: it may be larger than memory and than the free disk.

Names in the archive are relative to the folder. Links stay links, so that nothing outside of the folder is read; what
is neither file, folder nor link (a pipe, a device) is left out. Owners are left out too: they mean nothing elsewhere.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

PIECE = 1 << 20
"""Bytes that are in memory at once."""

END = b"\0" * (2 * tarfile.BLOCKSIZE)


def tar_of(folder: Path) -> Iterator[bytes]:
    """The archive's bytes. Raises OSError where a file is cut off while it is read: then the archive breaks off."""
    with tarfile.open(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, arcname=str(path.relative_to(folder)))
            if entry is None or not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
                continue
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            if entry.isreg():
                yield from _content(path, entry.size)
    yield END


def _content(path: Path, size: int) -> Iterator[bytes]:
    """A file's first `size` bytes, filled up to whole blocks."""
    left = size
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
        while left:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise OSError(f"{path} was cut off while it was read")
            left -= len(piece)
            yield piece
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


__all__ = ["tar_of"]
