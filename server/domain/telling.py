"""What of a task's arguments tells of its run time: numbers and short words.

Of a setting of several values, each that is a number or a word counts by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlopx.spec import Const, Item, OneOf, OutputRef, Param, Value
from server.domain.resolve import BadValueError, NeverError, NotYetError, Reader
from server.domain.run import Run, TaskKey

CHANCE = ("seed", "random_state")
"""Parts of the names of arguments that change nothing about the run time."""

MOST_PARAMETERS, LONGEST_WORD = 16, 64


def parameters_of(run: Run, key: TaskKey) -> Mapping[str, Any]:
    """A task's own arguments: those that are known before anything runs, and whole numbers that earlier tasks gave
    back, such as counts of rows, once they are known."""
    arguments = run.graph.task(key.path).arguments.items()
    return _told(
        run, key, [(port, value) for port, value in arguments if isinstance(value, Const | Param | Item | Back)]
    )


def given_of(run: Run, key: TaskKey) -> Mapping[str, Any]:
    """What the run was given, or a loop's item was, that went into the tasks this one gets data from."""
    return _told(run, key, [(_name(value), value) for value in run.graph.givens[key.path]])


Back = OutputRef | OneOf


def _name(value: Param | Item) -> str:
    return value.name if isinstance(value, Param) else f"{value.loop}.{value.key or 'item'}"


def _told(run: Run, key: TaskKey, values: Iterable[tuple[str, Value]]) -> Mapping[str, Any]:
    reader = Reader(run, run.graph.loops[key.path], key.iteration)
    found: dict[str, Any] = {}
    for name, value in values:
        if any(part in name for part in CHANCE):
            continue
        try:
            data = reader.read(value)
        except (NotYetError, NeverError, BadValueError, LookupError):
            continue
        if not isinstance(value, Back) or (isinstance(data, int) and not isinstance(data, bool)):
            found.update(_telling(name, data))
    return found if len(found) <= MOST_PARAMETERS else {}


def _telling(name: str, data: Any) -> Mapping[str, Any]:
    if isinstance(data, int | float) or (isinstance(data, str) and len(data) <= LONGEST_WORD):
        return {name: data}
    if not isinstance(data, Mapping):
        return {}
    own = {f"{name}.{part}": value for part, value in data.items() if not any(one in str(part) for one in CHANCE)}
    return {part: value for part, value in own.items() if not isinstance(value, Mapping) and _telling(part, value)}


__all__ = ["given_of", "parameters_of"]
