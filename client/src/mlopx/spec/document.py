"""Spec <-> bytes: canonical JSON out, checked and version-gated JSON in, and the published JSON Schema."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic import ValidationError

from mlopx.errors import SpecError
from mlopx.spec.check import problems
from mlopx.spec.pipeline import SPEC_VERSION, PipelineSpec


def to_json(spec: PipelineSpec) -> str:
    """The canonical text: two-space indent, keys in the model's order, defaults left out, one final newline."""
    return json.dumps(spec.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(spec: PipelineSpec) -> str:
    """`sha256:` and the hash of the canonical text: equal exactly for equal specs."""
    return "sha256:" + hashlib.sha256(to_json(spec).encode()).hexdigest()


def parse_spec(text: str | bytes) -> PipelineSpec:
    """Read and check a spec.

    Raises:
        SpecError: not JSON, not a spec, of another major version, or breaking a rule; it lists every problem found.
    """
    try:
        document = read_json(text)
    except ValueError as error:
        raise SpecError(f"this is not a pipeline spec: it cannot be read as JSON ({error})", hint=_HINT) from error
    if not isinstance(document, dict) or document.get("kind") != "mlopx.PipelineSpec":
        raise SpecError('this is not a pipeline spec: it has no "kind": "mlopx.PipelineSpec"', hint=_HINT)
    _check_version(document.get("version"))
    try:
        spec = PipelineSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError("the pipeline spec is malformed:\n" + "\n".join(_sentences(error)), hint=_HINT) from error
    except RecursionError as error:
        raise SpecError("the pipeline spec is malformed: it is nested too deeply", hint=_HINT) from error
    check(spec)
    return spec


def read_json(text: str | bytes) -> Any:
    """Read JSON strictly: no name twice in one object, no NaN, no endless number, no half character.

    Raises:
        ValueError: in a few words, with the place where the text stops being JSON.
    """
    try:
        found = json.loads(text, object_pairs_hook=_named_once, parse_constant=_not_a_number, parse_float=_finite)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a character: \\ud800 to \\udfff only make sense in pairs") from error
    return found


def check(spec: PipelineSpec) -> None:
    """Raise SpecError listing every broken rule of `mlopx.spec.check`."""
    found = problems(spec)
    if found:
        raise SpecError("the pipeline spec breaks its own rules:\n" + "\n".join(f"  {line}" for line in found))


def json_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of a pipeline spec."""
    schema = PipelineSpec.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_HINT = "build one with the library: `mlopx build FILE -o spec.json`"


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return found


def _not_a_number(text: str) -> None:
    raise ValueError(f"{text} is no number that JSON knows")


def _finite(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise ValueError(f"the number {text[:40]} is too large")
    return found


def _check_version(version: Any) -> None:
    ours = SPEC_VERSION.split(".")[0]
    if not isinstance(version, str) or not version.split(".")[0].isdigit():
        raise SpecError(f"the pipeline spec has no readable version (found {version!r})", hint=_HINT)
    major = version.split(".")[0]
    if major != ours:
        newer = int(major) > int(ours)
        raise SpecError(
            f"the pipeline spec is of version {version}; this side reads {ours}.x",
            hint="upgrade the server" if newer else "rebuild it with a current library",
        )


def _sentences(error: ValidationError) -> list[str]:
    items = error.errors(include_url=False, include_input=False)[:20]
    lines = ["  " + ".".join(str(part) for part in item["loc"]) + f": {item['msg']}" for item in items]
    if error.error_count() > 20:
        lines.append(f"  … and {error.error_count() - 20} more")
    return lines
