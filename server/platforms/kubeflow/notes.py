"""What our runtime leaves in a container's termination message: small outputs, sizes of artifacts, why it failed.

Kubernetes keeps at most 4096 bytes of it, so it may be cut off, or missing; then nothing is known of the outputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from server.domain.run import Artifact, Output, TaskError


@dataclass(frozen=True, slots=True)
class Note:
    """What was left. `inputs_at` is when the program began: the launcher had fetched its inputs by then."""

    outputs: Mapping[str, Output] = field(default_factory=dict)
    error: TaskError | None = None
    peak_memory_bytes: int | None = None
    inputs_at: datetime | None = None


def read_note(text: str) -> Note:
    """Read a termination message; an empty note for anything that is not ours."""
    if not text.startswith("{"):
        return Note()
    try:
        document = json.loads(text)
        outputs = {str(name): _output(one) for name, one in (document.get("outputs") or {}).items()}
        peak = document.get("peak_memory_bytes")
        inputs_at = _instant(document.get("inputs_at"))
        return Note(outputs, _error(document.get("error")), peak if isinstance(peak, int) else None, inputs_at)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, OSError):
        return Note()


def _output(one: Mapping[str, Any]) -> Output:
    if "value" in one:
        return Output(value=one["value"])
    artifact = Artifact(
        uri=str(one.get("uri") or one.get("path") or ""),
        type=str(one.get("type") or "Artifact"),
        size_bytes=one.get("size_bytes"),
        digest=one.get("digest"),
        metadata=one.get("metadata") or {},
    )
    return Output(artifact=artifact)


def _instant(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) else None


def _error(told: Mapping[str, Any] | None) -> TaskError | None:
    if not told:
        return None
    message, traceback, hint = (str(told.get(key) or "") for key in ("message", "traceback", "hint"))
    return TaskError(str(told.get("kind") or "user-code"), message, traceback, hint)


__all__ = ["Note", "read_note"]
