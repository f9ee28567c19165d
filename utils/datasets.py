"""Uploads data sets to a folder (an NFS export, say) or any fsspec target, and removes them: progress and checksums.

    python utils/datasets.py upload data/bikes.csv.gz /mnt/datasets
    python utils/datasets.py upload photos s3://bucket/datasets --name photos-2026
    python utils/datasets.py list /mnt/datasets
    python utils/datasets.py check /mnt/datasets bikes.csv.gz
    python utils/datasets.py remove /mnt/datasets bikes.csv.gz

Beside each data set lies a list of its files with their SHA-256 (`NAME.sha256`, as `sha256sum --check` reads it). It is
written last: a data set without one was not uploaded to its end. What is there already with the same checksum is not
sent again. Targets with `://` need `pip install fsspec` and the package of their protocol (s3fs, gcsfs, adlfs, ...).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

CHUNK_BYTES = 4 * 2**20
LIST_SUFFIX = ".sha256"
UNFINISHED_SUFFIX = ".part"

Told = Callable[[str], None]


class TargetError(Exception):
    """What was wrong, and what to do."""


class Target(Protocol):
    """A place for data sets; names are relative, with `/` between folders."""

    def open(self, name: str, mode: str) -> IO[bytes]:
        """Open a file, making its folder."""

    def move(self, name: str, to: str) -> None:
        """Give a file its final name."""

    def files(self) -> list[str]:
        """All files, by name."""

    def remove(self, name: str) -> None:
        """Remove one file."""


class Folder:
    """A folder of this machine; a mounted NFS export is one."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise TargetError(f"{root} is no folder: mount it, or make it first")
        self._root = root

    def open(self, name: str, mode: str) -> IO[bytes]:
        """Open a file, making its folder."""
        path = self._root / name
        if "w" in mode:
            path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode)

    def move(self, name: str, to: str) -> None:
        """Give a file its final name."""
        (self._root / name).replace(self._root / to)

    def files(self) -> list[str]:
        """All files, by name."""
        return sorted(str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())

    def remove(self, name: str) -> None:
        """Remove one file, and the folders that are empty then."""
        path = self._root / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root or any(folder.iterdir()):
                break
            folder.rmdir()


class Store:
    """Anything that fsspec can reach."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # the only command that needs it; folders work without
        except ImportError:
            raise TargetError(f"{url} needs fsspec: pip install fsspec") from None
        try:
            self._system, self._root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise TargetError(f"{url}: {error}") from error

    def open(self, name: str, mode: str) -> IO[bytes]:
        """Open a file, making its folder."""
        if "w" in mode:
            self._system.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
        found: IO[bytes] = self._system.open(f"{self._root}/{name}", mode)
        return found

    def move(self, name: str, to: str) -> None:
        """Give a file its final name."""
        self._system.mv(f"{self._root}/{name}", f"{self._root}/{to}")

    def files(self) -> list[str]:
        """All files, by name."""
        root = str(self._root).rstrip("/")
        return sorted(str(path)[len(root) + 1 :] for path in self._system.find(root))

    def remove(self, name: str) -> None:
        """Remove one file."""
        if self._system.exists(f"{self._root}/{name}"):
            self._system.rm(f"{self._root}/{name}")


def target_at(where: str) -> Target:
    """The target that a path or URL names. Raises TargetError."""
    return Store(where) if "://" in where else Folder(Path(where))


def upload(source: Path, target: Target, name: str, tell: Told) -> dict[str, str]:
    """Send a file or folder under a name; returns the checksum of each file. Raises TargetError."""
    if not source.exists():
        raise TargetError(f"{source} does not exist")
    check_name(name)
    paths = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    if not paths:
        raise TargetError(f"{source} holds no files")
    named = {name if source.is_file() else f"{name}/{path.relative_to(source).as_posix()}": path for path in paths}
    total, sent = sum(path.stat().st_size for path in paths), 0
    there, known = set(target.files()), listed(target, name)
    sums: dict[str, str] = {}
    for file, path in named.items():
        sums[file] = sum_of(path.open("rb"))
        if file in there and known.get(file) == sums[file] == sum_of(target.open(file, "rb")):
            tell(f"{file}: there already")
        else:
            _send(path, target, file, sums[file])
        sent += path.stat().st_size
        tell(f"{file}: {_share(sent, total)} ({sent / 2**20:.1f} of {total / 2**20:.1f} MiB)")
    with target.open(name + LIST_SUFFIX, "wb") as out:
        out.write("".join(f"{digest}  {file}\n" for file, digest in sums.items()).encode())
    for file in set(known) - set(sums):
        target.remove(file)
    return sums


def check(target: Target, name: str) -> list[str]:
    """What is wrong with a data set: files that are missing or not as they were sent. Raises TargetError."""
    known = _known(target, name)
    there = set(target.files())
    missing = [f"{file} is missing" for file in known if file not in there]
    changed = [
        f"{file} is not as it was sent"
        for file, digest in known.items()
        if file in there and sum_of(target.open(file, "rb")) != digest
    ]
    return missing + changed


def remove(target: Target, name: str, tell: Told) -> int:
    """Remove a data set and its list; returns how many files. Only what its list names. Raises TargetError."""
    known = _known(target, name)
    for file in known:
        target.remove(file)
        tell(f"{file}: removed")
    target.remove(name + LIST_SUFFIX)
    return len(known)


def names(target: Target) -> list[tuple[str, int]]:
    """Data sets, with how many files each has."""
    lists = [file for file in target.files() if file.endswith(LIST_SUFFIX)]
    return [(file.removesuffix(LIST_SUFFIX), len(listed(target, file.removesuffix(LIST_SUFFIX)))) for file in lists]


def listed(target: Target, name: str) -> Mapping[str, str]:
    """Checksums by file, as the data set's list says; empty without one."""
    if name + LIST_SUFFIX not in target.files():
        return {}
    with target.open(name + LIST_SUFFIX, "rb") as file:
        lines = file.read().decode().splitlines()
    return {line[66:]: line[:64] for line in lines if line[64:66] == "  " and _is_within(line[66:], name)}


def check_name(name: str) -> None:
    """Raise TargetError for a name that would leave the target."""
    if not name or name.startswith(("/", ".")) or ".." in name.split("/") or name.endswith(LIST_SUFFIX):
        raise TargetError(f"{name!r} is no name for a data set: use letters, digits, dots and dashes")


def sum_of(file: IO[bytes]) -> str:
    """SHA-256 of what an open file holds; closes it."""
    digest = hashlib.sha256()
    with file:
        for chunk in _chunks(file):
            digest.update(chunk)
    return digest.hexdigest()


def _is_within(file: str, name: str) -> bool:
    return (file == name or file.startswith(f"{name}/")) and ".." not in file.split("/")


def _known(target: Target, name: str) -> Mapping[str, str]:
    check_name(name)
    known = listed(target, name)
    if not known:
        there = ", ".join(found for found, _ in names(target)) or "none"
        raise TargetError(f"there is no data set {name!r} that was uploaded to its end; there are: {there}")
    return known


def _send(path: Path, target: Target, file: str, digest: str) -> None:
    unfinished = file + UNFINISHED_SUFFIX
    with path.open("rb") as source, target.open(unfinished, "wb") as out:
        shutil.copyfileobj(source, out, CHUNK_BYTES)
    if sum_of(target.open(unfinished, "rb")) != digest:
        target.remove(unfinished)
        raise TargetError(f"{file} did not arrive as it was sent: try again")
    target.move(unfinished, file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "100 %"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _do(options: argparse.Namespace) -> int:
    target = target_at(options.target)
    if options.action == "upload":
        name = options.name or options.source.name
        print(f"{name}: {len(upload(options.source, target, name, _say))} files, checksums right")
    elif options.action == "list":
        for name, count in names(target):
            print(f"{name}: {count} files")
    elif options.action == "check":
        problems = check(target, options.name)
        print("\n".join(problems) or f"{options.name}: every file is as it was sent")
        return 1 if problems else 0
    else:
        print(f"{options.name}: {remove(target, options.name, _say)} files removed")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions: Any = parser.add_subparsers(dest="action", required=True)
    for action in ("upload", "list", "check", "remove"):
        one = actions.add_parser(action)
        if action == "upload":
            one.add_argument("source", type=Path, help="file or folder")
        one.add_argument("target", help="folder, or URL that fsspec understands")
        if action == "upload":
            one.add_argument("--name", help="name of the data set; the source's own by default")
        elif action != "list":
            one.add_argument("name", help="name of the data set")
    try:
        return _do(parser.parse_args(arguments))
    except (TargetError, OSError) as error:
        _say(f"error: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
