"""The trace that a caller's request belongs to, as its header tells (W3C Trace Context, level 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HEADER = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span of somebody else, which ours belong under."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool


def read_trace_parent(header: str) -> TraceParent | None:
    """What a `traceparent` header says; None for one that is empty or not valid, which the standard says to ignore."""
    found = _HEADER.fullmatch(header.strip())
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace_id, span_id = bytes.fromhex(found["trace"]), bytes.fromhex(found["span"])
    if not any(trace_id) or not any(span_id):
        return None
    return TraceParent(trace_id, span_id, bool(int(found["flags"], 16) & SAMPLED))


def header_of(headers: Mapping[str, str]) -> str:
    """The valid `traceparent` header among those of a request (names in small letters); empty where there is none."""
    header = headers.get("traceparent", "").strip()
    return header if read_trace_parent(header) is not None else ""


def trace_header(trace_id: bytes, span_id: bytes, *, is_sampled: bool) -> str:
    """The header for what belongs under a span."""
    return f"00-{trace_id.hex()}-{span_id.hex()}-{SAMPLED if is_sampled else 0:02x}"


__all__ = ["TraceParent", "header_of", "read_trace_parent", "trace_header"]
