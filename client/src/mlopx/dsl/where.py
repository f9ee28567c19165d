"""Where in the user's file we are: the first frame that is neither the library's own nor one of Python's library."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_PYTHONS = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def here() -> str | None:
    """`file:line` of the user's code that is calling, the file relative to the working folder where it lies in it."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if _is_users(name):
            return f"{shown(name)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # the loop ends at None
    return None


def raised_at(error: BaseException) -> str | None:
    """`file:line` of the innermost frame of the user's code (else of an installed package) an error came through."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [(name, line) for name, line in reversed(frames) if _is_users(name)]
    written = [(name, line) for name, line in places if not _is_installed(name)]
    return next((f"{shown(name)}:{line}" for name, line in [*written, *places]), None)


def _is_users(name: str) -> bool:
    is_pythons = name.startswith(_PYTHONS) and not _is_installed(name)
    return not is_pythons and not name.startswith((_OURS, "<frozen"))


def _is_installed(name: str) -> bool:
    return any(folder in name for folder in _INSTALLED)


def shown(name: str) -> str:
    """A file's name as people know it."""
    try:
        relative = os.path.relpath(name)
    except ValueError:
        return name
    return name if relative.startswith("..") else relative
