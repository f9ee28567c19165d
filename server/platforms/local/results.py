"""What a task left behind: its result file and its outputs. Both were written by user code, so nothing is believed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LARGEST_RESULT_BYTES = 8 << 20
ERROR_TEXTS = ("kind", "type", "message", "traceback", "hint")


class BadResultError(Exception):
    """The result cannot be used; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_result(manifest: Mapping[str, Any], allowed: Sequence[Path]) -> dict[str, Any] | None:
    """The checked result of a task, None if it wrote none. `allowed` are the folders into which outputs may link.

    Raises BadResultError.
    """
    path = Path(manifest["result_path"])
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(handle, "rb") as file:
        text = file.read(LARGEST_RESULT_BYTES + 1)
    if len(text) > LARGEST_RESULT_BYTES:
        raise BadResultError(
            f"its outputs are larger than {LARGEST_RESULT_BYTES >> 20} MiB in all",
            "write large values to an Output artifact",
        )
    try:
        found = json.loads(text)
        if found["state"] == "succeeded":
            ports = manifest["outputs"].items()
            outputs = {name: _output(name, port, found["outputs"], allowed) for name, port in ports}
            return {"state": "succeeded", "outputs": outputs, "error": None}
        error = {key: str(found["error"].get(key, "")) for key in ERROR_TEXTS}
        return {"state": "failed", "outputs": {}, "error": error}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadResultError(f"its result file is damaged: {problem!r}") from problem


def _output(name: str, port: Mapping[str, Any], outputs: Mapping[str, Any], allowed: Sequence[Path]) -> dict[str, Any]:
    found = outputs[name]
    if port["kind"] == "parameter":
        return {"value": found["value"]}
    _check_links(name, Path(port["path"]), allowed)
    return {
        "path": port["path"],
        "type": port["type"],
        "size_bytes": int(found["size_bytes"]),
        "digest": str(found["digest"]),
        "metadata": dict(found["metadata"]),
    }


def _check_links(name: str, path: Path, allowed: Sequence[Path]) -> None:
    """Whoever reads the output later may have more rights than the task had: no link may lead elsewhere."""
    found = [path]
    for folder, folders, files in os.walk(path):
        found.extend(Path(folder, entry) for entry in (*folders, *files))
    for entry in found:
        if entry.is_symlink() and not any(entry.resolve().is_relative_to(folder) for folder in allowed):
            raise BadResultError(
                f"output {name!r} holds a link to {os.readlink(entry)}, outside of what tasks share",
                "copy the file instead of linking to it",
            )


def give_to(uid: int | None, folder: Path) -> None:
    """Make a folder that the task's user may write."""
    folder.mkdir(parents=True, exist_ok=True)
    if uid is not None:
        os.chown(folder, uid, uid)


def take_back(folder: Path) -> None:
    """Make what a task wrote belong to this process again, so that later tasks cannot change it."""
    owner = (os.getuid(), os.getgid())
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(root, name), *owner, follow_symlinks=False)
    os.chown(folder, *owner)
