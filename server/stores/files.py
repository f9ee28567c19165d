"""The artifact store on a local folder: outputs by run, task and attempt; submitted files by content.

Layout: `runs/RUN/TASK/ATTEMPT/PORT` for outputs, `blobs/aa/bb…` for files. Uris are `file://` paths below the root.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from server.domain.errors import NotFoundError, StorageFullError
from server.domain.run import TaskKey
from server.stores.interface import ArtifactStoreInterface


class FileArtifactStore(ArtifactStoreInterface):
    """Keeps everything below one root folder, and hands out nothing from outside it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._runs, self._blobs = self.root / "runs", self.root / "blobs"
        for folder in (self._runs, self._blobs):
            folder.mkdir(parents=True, exist_ok=True)

    def output_location(self, run_id: str, key: TaskKey, attempt: int, port: str) -> str:
        folder = self._runs / _safe(run_id) / _safe(str(key).replace("/", "~")) / str(attempt)
        folder.mkdir(parents=True, exist_ok=True)
        return "file://" + quote(str(folder / _safe(port)))

    def path_of(self, uri: str) -> Path:
        parts = urlsplit(uri)
        path = Path(os.path.normpath(unquote(parts.path)))
        if parts.scheme != "file" or not path.is_relative_to(self.root):
            raise NotFoundError(f"{uri!r} is not kept in this artifact store")
        return path

    def put_blob(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        target = self._blobs / digest[:2] / digest[2:]
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            _write_durably(target, content)
        return f"sha256:{digest}"

    def get_blob(self, digest: str) -> bytes:
        name = digest.removeprefix("sha256:")
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            raise NotFoundError(f"{digest!r} is not the digest of a stored file")
        try:
            return (self._blobs / name[:2] / name[2:]).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no stored file {digest!r}") from error

    def exists(self, uri: str) -> bool:
        try:
            return self.path_of(uri).exists()
        except NotFoundError:
            return False

    def delete_run(self, run_id: str) -> int:
        folder = self._runs / _safe(run_id)
        freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        return freed


def _safe(name: str) -> str:
    """A name that stays one path segment."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name) > 255:
        raise NotFoundError(f"{name[:80]!r} cannot be a part of an artifact's place")
    return name


def _write_durably(target: Path, content: bytes) -> None:
    """Write a file so that after a power cut it is there whole, or not at all."""
    handle, temporary = tempfile.mkstemp(dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise StorageFullError(
            f"a file could not be stored: {error.strerror}", hint="free some space and submit again"
        ) from error
