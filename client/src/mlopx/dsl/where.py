"""Where in the user's file we are: the first frame that is not the library's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_OURS = str(Path(__file__).resolve().parent.parent)


def here() -> str | None:
    """`file:line` of the user's code that is calling, the file relative to the working folder where it lies in it."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_OURS) and not name.startswith("<frozen"):
            return f"{shown(name)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # the loop ends at None
    return None


def shown(name: str) -> str:
    """A file's name as people know it."""
    try:
        relative = os.path.relpath(name)
    except ValueError:
        return name
    return name if relative.startswith("..") else relative
