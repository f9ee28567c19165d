"""Plain values to YAML text, always the same bytes for the same values; keys keep their order.

Texts of several lines become literal blocks where YAML allows it, so that code in a file can be read;
other texts stand bare if nobody can take them for something else, and in JSON's quotes if not.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.\-]*")
_NOT_BARE = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
_BLOCK = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*"
)
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def dump(document: Mapping[str, Any]) -> str:
    """One document of plain dicts and lists as block YAML. Raises ValueError for values that JSON cannot say."""
    lines: list[str] = []
    _mapping(dict(document), "", lines)
    return "\n".join(lines) + "\n" if lines else "{}\n"


def dump_all(pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None) -> str:
    """A pipeline file: the pipeline's document, and the platform's if there is one."""
    return dump(pipeline) + (f"---\n{dump(platform)}" if platform is not None else "")


def _mapping(value: dict[str, Any], indent: str, lines: list[str]) -> None:
    inner = indent + "  "
    for key, item in value.items():
        kind = item.__class__
        if kind is str and "\n" not in item:
            lines.append(f"{indent}{_text(key)}: {_text(item)}")
        elif kind is dict and item:
            lines.append(f"{indent}{_text(key)}:")
            _mapping(item, inner, lines)
        elif kind is list and item:
            lines.append(f"{indent}{_text(key)}:")
            _sequence(item, indent, lines)
        else:
            _leaf(f"{indent}{_text(key)}:", item, inner, lines)


def _sequence(value: list[Any], indent: str, lines: list[str]) -> None:
    for item in value:
        if item.__class__ in (dict, list) and item:
            first = len(lines)
            write: Any = _mapping if item.__class__ is dict else _sequence
            write(item, indent + "  ", lines)
            lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"
        else:
            _leaf(f"{indent}-", item, indent + "  ", lines)


def _leaf(head: str, item: Any, indent: str, lines: list[str]) -> None:
    """Write a scalar behind `head`, or the lines of a longer text below it."""
    if item.__class__ is str and "\n" in item and (block := _block(item)) is not None:
        mark, rows = block
        lines.append(f"{head} {mark}")
        lines.extend(f"{indent}{row}" if row else "" for row in rows)
    else:
        lines.append(f"{head} {_scalar(item)}")


def _block(text: str) -> tuple[str, list[str]] | None:
    """The mark and the lines of a literal block; None where one would not give the text back."""
    body = text[:-1] if text.endswith("\n") else text
    if body.endswith("\n") or _BLOCK.fullmatch(body) is None:
        return None
    return ("|" if text.endswith("\n") else "|-"), body.split("\n")


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict | list):
        return "[]" if isinstance(value, list) else "{}"
    raise ValueError(f"{value!r} cannot be written")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON knows")
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


@functools.lru_cache(4096)
def _text(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _NOT_BARE:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


__all__ = ["dump", "dump_all"]
