"""Pipeline parameters on the command line: `-p lr=0.1`, typed by what the pipeline declares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlopx.errors import UsageError
from mlopx.spec import PipelineSpec, fits, read_json


def read_parameters(spec: PipelineSpec, pairs: Iterable[str], file: Path | None) -> dict[str, Any]:
    """Parameters from NAME=VALUE pairs and a JSON file; pairs win. Raises UsageError."""
    found = _from_file(file) if file is not None else {}
    for pair in pairs:
        name, text = _split(pair)
        found[name] = _typed(spec, name, text)
    for name in found:
        if name not in spec.parameters:
            known = ", ".join(sorted(spec.parameters)) or "none"
            raise UsageError(f"the pipeline has no parameter {name!r}", hint=f"it has: {known}")
    return found


def read_texts(pairs: Iterable[str], file: Path | None) -> dict[str, Any]:
    """Parameters as they stand, for a pipeline that only the server can read. Raises UsageError."""
    return {**(_from_file(file) if file is not None else {}), **dict(_split(pair) for pair in pairs)}


MOST_SHOWN = 100
"""Characters of a wrong value that are repeated."""


def _split(pair: str) -> tuple[str, str]:
    name, separator, text = pair.partition("=")
    if not separator or not name:
        raise UsageError(f"{pair[:MOST_SHOWN]!r} is not NAME=VALUE", hint="write -p lr=0.1")
    return name, text


def _typed(spec: PipelineSpec, name: str, text: str) -> Any:
    parameter = spec.parameters.get(name)
    if parameter is None or parameter.type == "str":
        return text
    try:
        value = read_json(text.lower() if parameter.type == "bool" else text)
    except ValueError as error:
        raise UsageError(f"parameter {name!r} expects {parameter.type}, not {text[:MOST_SHOWN]!r}") from error
    if not fits(value, parameter.type):
        raise UsageError(f"parameter {name!r} expects {parameter.type}, not {text[:MOST_SHOWN]!r}")
    return value


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the parameter file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the parameter file {path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"the parameter file {path} must hold a JSON object of names and values")
    return found
