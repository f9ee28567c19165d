"""Advice where a definition asks a task, a component or a value for something that it does not have."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from mlopx.dsl.where import here
from mlopx.errors import DefinitionError, UnknownAttributeError


def unknown_attribute(said: str, name: str, asked: Any, *, hint: str | None = None) -> UnknownAttributeError:
    """The error to raise: with the nearest of the names that `asked` has, unless there is a better hint."""
    names = sorted(one for one in dir(asked) if not one.startswith("_"))
    close = difflib.get_close_matches(name, names, 1)
    nearest = f"did you mean .{close[0]}?" if close else f"there are: {', '.join(names)}"
    return UnknownAttributeError(f"{said} has no {name!r}", hint=hint or nearest, where=here())


def require_known(said: str, given: Iterable[str], function: Callable[..., Any]) -> None:
    """Refuse settings that `function` has no keyword for. Raises DefinitionError with the nearest one."""
    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}=?" if close else f"there are: {', '.join(known)}"
            raise DefinitionError(f"{said} has no setting {name!r}", hint=hint, where=here())


__all__ = ["require_known", "unknown_attribute"]
