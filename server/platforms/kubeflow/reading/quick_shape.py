"""Whether a document is of a message's shape: the quick answer for nearly all files, which have nothing to be told of.

`shape` says what is wrong and where, and takes what is written with underscores; this says yes only where it is sure.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from server.platforms.kubeflow.reading.fields import FIELDS

Check = Callable[[object], bool]


def is_of(document: object, message: str) -> bool:
    """Whether it surely is; False where it is not, or where somebody has to look closer."""
    return _check(message)(document)


@functools.cache
def _check(kind: str) -> Check:
    """What looks at values of one type of `fields`."""
    if kind in FIELDS:
        return _message({name: _check(one) for name, one in FIELDS[kind].items()})
    if kind.startswith("[]"):
        return _list(_check(kind[2:]))
    if kind.startswith("{}"):
        return _map(_check(kind[2:]))
    if kind.startswith("enum"):
        words = frozenset(kind.split()[1:])
        return lambda value: isinstance(value, str) and value in words
    return _SCALARS.get(kind, lambda value: False)


def _message(checks: dict[str, Check]) -> Check:
    def check(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        for key, item in value.items():
            if item is not None and (key not in checks or not checks[key](item)):
                return False
        return value.keys() <= checks.keys()

    return check


def _list(one: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(one, value))


def _map(one: Check) -> Check:
    def check(value: object) -> bool:
        return isinstance(value, dict) and all(map(_is_text, value)) and all(map(one, value.values()))

    return check


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_json(value: object) -> bool:
    if isinstance(value, str | int) or value is None:
        return True
    if isinstance(value, dict):
        return all(map(_is_text, value)) and all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, float) and math.isfinite(value)


_SCALARS: dict[str, Check] = {
    "string": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "int": _is_whole,
    "double": lambda value: _is_whole(value) or isinstance(value, float),
    "any": _is_json,
    "struct": lambda value: isinstance(value, dict) and _is_json(value),
}
"""Time spans, and numbers in texts, are left to who looks closer."""

__all__ = ["is_of"]
