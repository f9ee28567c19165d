"""What is said of a definition file that cannot be loaded: what is wrong, in which of its lines, and what to do.

The user's own mistake is told, not how we came to see it: no frame of ours, nor of Python's import machinery.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from mlopx.dsl.where import raised_at, shown
from mlopx.errors import DefinitionError

GUARD = "put what runs things under `if __name__ == '__main__':`; here the file is only read"


def why(error: BaseException, path: str) -> DefinitionError:
    """The error that a user is shown for what loading the file `path` raised."""
    said = "; ".join(traceback.format_exception_only(error)[-1].strip().splitlines())
    message = f"{path} cannot be loaded: {said}"
    if isinstance(error, SyntaxError):
        where = f"{shown(error.filename)}:{error.lineno}" if error.filename and error.lineno else path
        line = (error.text or "").strip()
        return DefinitionError(message + (f"\n    {line}" if line.isprintable() and line else ""), where=where)
    where = _line_of(error, path) or raised_at(error) or path
    if isinstance(error, SystemExit):
        return DefinitionError(f"{path} ends the program while it is loaded ({said})", hint=GUARD, where=where)
    if isinstance(error, ModuleNotFoundError):
        hint = "install it here, or import it inside the component that needs it: that runs elsewhere"
        return DefinitionError(message, hint=hint, where=where)
    return DefinitionError(message, hint=f"`python {path} --dry-run` shows how it came to that", where=where)


def _line_of(error: BaseException, path: str) -> str | None:
    """The last line of the file itself that the error came through."""
    own = Path(path).resolve()
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).resolve() == own
    ]
    return f"{shown(str(own))}:{lines[-1]}" if lines else None


__all__ = ["why"]
