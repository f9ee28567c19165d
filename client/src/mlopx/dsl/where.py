"""Where in the user's file we are: the first frame that is not the library's own."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

_OURS = str(Path(__file__).resolve().parent.parent)


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
    """`file:line` of the innermost frame of the user's code that an error came through."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next((f"{shown(name)}:{line}" for name, line in reversed(places) if _is_users(name)), None)


def _is_users(name: str) -> bool:
    return not name.startswith((_OURS, "<frozen"))


def shown(name: str) -> str:
    """A file's name as people know it."""
    try:
        relative = os.path.relpath(name)
    except ValueError:
        return name
    return name if relative.startswith("..") else relative
