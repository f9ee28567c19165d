"""YAML text to plain values: what `yaml.safe_load_all` gives, several times quicker, and with a limit on its size.

The events of libyaml are quick; making nodes of them and then values is not. So values are made from the events here,
with PyYAML's own rules for what a plain scalar means. Anchors, tags and merge keys, which no compiler writes, take
PyYAML's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 200
"""Deeper nesting than this is refused: it is an attack or a mistake."""

MAX_VALUES = 5_000_000
"""More values than this, counted with every repetition of an alias, are refused."""

_SCALAR, _SEQUENCE_START = yaml.ScalarEvent, yaml.SequenceStartEvent
_SEQUENCE_END, _MAPPING_END = yaml.SequenceEndEvent, yaml.MappingEndEvent


class UnreadableYamlError(Exception):
    """It is not YAML that can be used; the message says why, `line` where (from 1)."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Loaded:
    """All documents of a text. `starts` are the lines (from 0) on which they begin; None where nobody looked."""

    values: list[Any]
    starts: list[int] | None = None


def load_all(text: str) -> Loaded:
    """All documents of a text as plain values. Raises UnreadableYamlError."""
    try:
        found = list(_documents(text))
        return Loaded([value for _, value in found], [line for line, _ in found])
    except _TakePyYamlsWayError:
        return Loaded(_slow(text))
    except yaml.YAMLError as error:
        raise _unreadable(error) from error
    except RecursionError as error:
        raise UnreadableYamlError("it is nested too deeply") from error


class _TakePyYamlsWayError(Exception):
    """There is something in it that only PyYAML's own constructor knows."""


def _slow(text: str) -> list[Any]:
    try:
        found = list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        raise _unreadable(error) from error
    except RecursionError as error:
        raise UnreadableYamlError("it is nested too deeply") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # PyYAML's constructors on nonsense
        raise UnreadableYamlError(f"a value cannot be read: {error}") from error
    _count(found)
    return found


def _count(documents: list[Any]) -> None:
    """Aliases may repeat each other endlessly: nothing may be walked before it is known to be small."""
    left, stack = MAX_VALUES, [(document, 0) for document in documents]
    while stack:
        value, depth = stack.pop()
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise UnreadableYamlError("its aliases repeat each other too often")
        if isinstance(value, dict):
            stack.extend((one, depth + 1) for one in value.values())
        elif isinstance(value, list):
            stack.extend((one, depth + 1) for one in value)


def _unreadable(error: yaml.YAMLError) -> UnreadableYamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else None
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    return UnreadableYamlError(str(what), line)


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    """Values of the documents with the lines on which they begin, made while the events pass by."""
    scalars = _Scalars()
    parser = Loader(text)
    next_event = parser.get_event
    try:
        while not parser.check_event(yaml.StreamEndEvent):
            event = next_event()
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            yield event.start_mark.line, _value(next_event(), next_event, scalars, 0)
    finally:
        parser.dispose()


def _value(event: Any, next_event: Any, scalars: _Scalars, depth: int) -> Any:
    """What an event and those that belong to it say. Most are scalars, so those in mappings are read without a call."""
    if event.anchor is not None or event.tag is not None:  # an alias has an anchor too
        raise _TakePyYamlsWayError
    if event.__class__ is _SCALAR:
        return scalars[event.value] if event.implicit[0] else event.value
    if depth >= MAX_DEPTH:
        raise UnreadableYamlError("it is nested too deeply", event.start_mark.line + 1)
    depth += 1
    if event.__class__ is _SEQUENCE_START:
        items = []
        while (event := next_event()).__class__ is not _SEQUENCE_END:
            items.append(_value(event, next_event, scalars, depth))
        return items
    found = {}
    while (event := next_event()).__class__ is not _MAPPING_END:
        if event.__class__ is _SCALAR and event.anchor is None and event.tag is None:
            key = scalars[event.value] if event.implicit[0] else event.value
        else:
            key = _value(event, next_event, scalars, depth)
        if key.__class__ is not str or key == "<<":
            if isinstance(key, dict | list):
                raise UnreadableYamlError("a mapping or a list cannot be a key", event.start_mark.line + 1)
            if key == "<<":
                raise _TakePyYamlsWayError
        event = next_event()
        if event.__class__ is _SCALAR and event.anchor is None and event.tag is None:
            found[key] = scalars[event.value] if event.implicit[0] else event.value
        else:
            found[key] = _value(event, next_event, scalars, depth)
    return found


class _Scalars(dict[str, Any]):
    """What plain scalars mean, remembered by their text."""

    def __init__(self) -> None:
        super().__init__()
        self._pyyaml = yaml.SafeLoader("")

    def __missing__(self, text: str) -> Any:
        tag = self._pyyaml.resolve(yaml.ScalarNode, text, (True, False))
        value: Any = text
        if tag != "tag:yaml.org,2002:str":
            node = yaml.ScalarNode(tag, text)
            try:
                value = self._pyyaml.construct_object(node)
            except (ValueError, KeyError, TypeError) as error:
                raise UnreadableYamlError(f"{text!r} cannot be read: {error}") from error
        self[text] = value
        return value


__all__ = ["Loaded", "UnreadableYamlError", "load_all"]
