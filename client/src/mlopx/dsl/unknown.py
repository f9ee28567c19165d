"""Advice where a definition asks a task, a component or a value for something that it does not have."""

from __future__ import annotations

import difflib
from typing import Any

from mlopx.dsl.where import here
from mlopx.errors import UnknownAttributeError


def unknown_attribute(said: str, name: str, asked: Any, *, hint: str | None = None) -> UnknownAttributeError:
    """The error to raise: with the nearest of the names that `asked` has, unless there is a better hint."""
    names = sorted(one for one in dir(asked) if not one.startswith("_"))
    close = difflib.get_close_matches(name, names, 1)
    nearest = f"did you mean .{close[0]}?" if close else f"there are: {', '.join(names)}"
    return UnknownAttributeError(f"{said} has no {name!r}", hint=hint or nearest, where=here())


__all__ = ["unknown_attribute"]
