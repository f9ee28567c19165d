"""Is a document of the shape that Kubeflow reads? As strict as the SDK's own parser, and it says where and what to do.

A field that the protocol does not know is refused, with the one that was probably meant. Executors are free objects in
the protocol: what they hold is not judged here.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator

from server.platforms.kubeflow.reading.fields import FIELDS, camel, snake
from server.platforms.kubeflow.reading.quick_shape import is_of

_KNOWN = {
    message: {**{snake(name): kind for name, kind in fields.items()}, **fields} for message, fields in FIELDS.items()
}
_DURATION = re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s")
_INTEGER = re.compile(r"\s*-?[0-9]+(\.0*)?([eE]\+?[0-9]+)?\s*")


def problems(document: object, message: str) -> Iterator[str]:
    """Every place at which a document is not of the message's shape, as a sentence that begins with the place."""
    return iter(()) if is_of(document, message) else _problems(document, message, "")


def _problems(document: object, message: str, place: str) -> Iterator[str]:
    if not isinstance(document, dict):
        yield f"{place or 'the document'}: expects {_article(message)}, not {_said(document)}"
        return
    known = _KNOWN[message]
    for key, value in document.items():
        here = f"{place}.{key}" if place else str(key)
        kind = known.get(key) if isinstance(key, str) else None
        if kind is None:
            yield f"{here}: {_unknown(key, message)}"
            continue
        if "_" in key and camel(key) in document and camel(key) != key:
            yield f"{here}: is the same field as {camel(key)}"
        if value is not None:
            yield from _field(value, kind, here)


def _field(value: object, kind: str, place: str) -> Iterator[str]:
    if kind.startswith("[]"):
        if not isinstance(value, list):
            yield f"{place}: expects a list, not {_said(value)}"
            return
        for index, item in enumerate(value):
            yield from _entry(item, kind[2:], f"{place}[{index}]")
    elif kind.startswith("{}"):
        if not isinstance(value, dict):
            yield f"{place}: expects a mapping from names, not {_said(value)}"
            return
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{place}.{key}: a name must be a text; put it in quotes"
            yield from _entry(item, kind[2:], f"{place}.{key}")
    else:
        yield from _one(value, kind, place)


def _entry(item: object, kind: str, place: str) -> Iterator[str]:
    if item is None and kind != "any":
        yield f"{place}: is empty"
        return
    yield from _one(item, kind, place)


def _one(value: object, kind: str, place: str) -> Iterator[str]:
    if kind in _KNOWN:
        yield from _problems(value, kind, place)
    elif kind == "struct" and not isinstance(value, dict):
        yield f"{place}: expects a mapping, not {_said(value)}"
    elif kind in ("any", "struct"):
        yield from _json(value, place)
    elif not _is_scalar(value, kind):
        wanted = f"one of {', '.join(kind.split()[1:])}" if kind.startswith("enum") else _WORDS[kind]
        yield f"{place}: expects {wanted}, not {_said(value)}"


_WORDS = {
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "double": "a number",
    "duration": 'a time span such as "10s"',
}


def _is_scalar(value: object, kind: str) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "duration":
        return isinstance(value, str) and _DURATION.fullmatch(value) is not None
    if kind.startswith("enum"):
        return value in kind.split()[1:] or (isinstance(value, int) and not isinstance(value, bool))
    if isinstance(value, bool):
        return False
    if kind == "int":
        if isinstance(value, str):
            return _INTEGER.fullmatch(value) is not None
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, int | float) or (isinstance(value, str) and _is_number(value))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json(value: object, place: str) -> Iterator[str]:
    """Free values must be such as JSON can say."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"{place}.{key}: a name must be a text; put it in quotes"
            yield from _json(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _json(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{place}: {value} is no number that JSON knows"
    elif value is not None and not isinstance(value, str | int):
        yield f"{place}: expects a text, a number or the like, not {_said(value)}; put it in quotes"


def _unknown(key: object, message: str) -> str:
    known = sorted(FIELDS[message])
    close = difflib.get_close_matches(str(key), known, n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    return f"Kubeflow knows no field {str(key)[:60]!r} here; {meant}"


def _article(message: str) -> str:
    return "a mapping" if message in ("PipelineSpec", "PlatformSpec") else f"a mapping ({message})"


def _said(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
