"""The parameters of a run: what was given, checked against what the pipeline declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlopx.spec import PipelineSpec, fits
from server.domain.errors import InvalidSubmissionError


def resolve_parameters(spec: PipelineSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a run, checked: given ones and defaults. Raises InvalidSubmissionError with every problem."""
    problems = [
        f"parameter {name!r} is not one of this pipeline's ({', '.join(sorted(spec.parameters)) or 'it has none'})"
        for name in given
        if name not in spec.parameters
    ]
    found: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        if name not in given:
            if not parameter.optional:
                about = f": {parameter.description[:200]}" if parameter.description else ""
                problems.append(f"parameter {name!r} ({parameter.type}) is required and was not given{about}")
            found[name] = parameter.default
            continue
        value = given[name] if spec.foreign is None else _as_declared(given[name], parameter.type)
        if not fits(value, parameter.type) and not (value is None and parameter.optional):
            problems.append(f"parameter {name!r} expects {parameter.type}, but {value!r} was given")
        found[name] = value
    if problems:
        raise InvalidSubmissionError(
            "the parameters do not fit the pipeline",
            details=tuple(problems),
            hint="give parameters with -p NAME=VALUE or --params FILE",
        )
    return found


def _as_declared(value: Any, kind: str) -> Any:
    """A text as what the document declares: whoever sends a document need not be able to read it."""
    if kind == "str" or not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower() if kind == "bool" else value)
    except ValueError:
        return value


__all__ = ["resolve_parameters"]
