"""From a path to the document in it: JSON, also compressed, with one sentence for what cannot be read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from server.exchange.document import IGNORED, ProblemDocument
from server.exchange.errors import UnreadableError


def load_json(path: Path) -> Any:
    """What the file holds (`.gz` is unpacked). Raises UnreadableError."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: is not UTF-8 text at byte {error.start}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableError(f"{path}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    return parse_json(text, str(path))


def parse_json(text: str, file: str, line: int | None = None) -> Any:
    """What a JSON text holds: no key twice, no NaN. Raises UnreadableError that begins with the place.

    `line`: the number of the line of the file that the text is, where it is not the whole.
    """
    place = file if line is None else f"{file}:{line}"
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        row = error.lineno if line is None else line
        raise UnreadableError(f"{file}:{row}:{error.colno}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise UnreadableError(f"{place}: is nested too deeply") from None
    except (UnreadableError, ValueError) as error:  # ValueError: a number of more digits than Python converts
        raise UnreadableError(f"{place}: {error}") from None


def as_document(found: Any) -> ProblemDocument:
    """Check the form. Raises UnreadableError naming the place."""
    if not isinstance(found, dict):
        raise UnreadableError(f"a problem is an object with `nodes`, `tasks` and more, not {kind_of(found)}")
    try:
        return ProblemDocument.model_validate({key: value for key, value in found.items() if key not in IGNORED})
    except ValidationError as error:
        raise UnreadableError(said(found, error)) from None


def said(found: dict[str, Any], error: ValidationError) -> str:
    """The deepest complaint, for that names the form which was meant."""
    first = max(error.errors(include_url=False), key=lambda one: len(_place(found, one["loc"])))
    place = "".join(_place(found, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{place}: there is no such key here"
    if first["type"] == "missing":
        return f"{place}: is missing"
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, not {_short(first['input'])}"


def kind_of(value: object) -> str:
    """What JSON calls it."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _place(found: Any, path: tuple[int | str, ...]) -> list[str]:
    """The steps that exist in the document (pydantic adds the names of the forms it tried), and the last key."""
    steps: list[str] = []
    for number, step in enumerate(path):
        is_last = number == len(path) - 1
        if isinstance(found, dict) and isinstance(step, str) and (step in found or is_last):
            steps.append(f".{step}" if steps else step)
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and step < len(found):
            steps.append(f"[{step}]")
            found = found[step]
    return steps


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else kind_of(value)


def _no_number(text: str) -> None:
    raise UnreadableError(f"{text} is no number that JSON knows")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadableError(f"the key {next(_twins(pairs))!r} is there twice in one object")
    return found


def _twins(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            yield key
        seen.add(key)
