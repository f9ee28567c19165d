"""The data sets that lie where tasks can read them: one per file or folder of the data folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A data set: a file or folder. `path` is relative to the data folder."""

    name: str
    path: str
    size_bytes: int
    modified_at: datetime
    files: int


class DataManager:
    """Lists data sets; sizes are read anew each time, since files change behind our back."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def datasets(self) -> list[FoundDataset]:
        """All data sets, by name. A missing folder has none."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[FoundDataset]:
        if not self._root.is_dir():
            return []
        entries = sorted(entry for entry in self._root.iterdir() if not entry.name.startswith("."))
        return [_measure(entry, self._root) for entry in entries if entry.is_dir() or entry.suffix != ".md"]


def _measure(entry: Path, root: Path) -> FoundDataset:
    files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
    stats = [path.stat() for path in files]
    modified = max((stat.st_mtime for stat in stats), default=entry.stat().st_mtime)
    return FoundDataset(
        name=entry.name.split(".")[0],
        path=str(entry.relative_to(root)),
        size_bytes=sum(stat.st_size for stat in stats),
        modified_at=datetime.fromtimestamp(modified, UTC),
        files=len(files),
    )
