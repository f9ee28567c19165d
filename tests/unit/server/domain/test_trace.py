"""Headers of traces are read as the standard says, and written so that they are read again."""

from __future__ import annotations

import pytest

from server.domain.trace import TraceParent, header_of, read_trace_parent, trace_header

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "is_sampled"), [("00", False), ("01", True), ("03", True), ("02", False)])
def test_a_header_names_trace_span_and_whether_it_is_sampled(flags: str, is_sampled: bool) -> None:
    found = read_trace_parent(f" 00-{TRACE}-{SPAN}-{flags} ")
    assert found == TraceParent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), is_sampled)
    assert read_trace_parent(trace_header(found.trace_id, found.span_id, is_sampled=is_sampled)) == found


def test_later_versions_may_say_more() -> None:
    assert read_trace_parent(f"cc-{TRACE}-{SPAN}-01-what-comes") is not None
    assert read_trace_parent(f"00-{TRACE}-{SPAN}-01-what-comes") is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "none",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_what_is_no_header_is_ignored(header: str) -> None:
    assert read_trace_parent(header) is None
    assert header_of({"traceparent": header}) == ""


def test_only_this_header_is_taken() -> None:
    header = trace_header(bytes.fromhex(TRACE), bytes.fromhex(SPAN), is_sampled=True)
    assert header_of({"traceparent": header, "tracestate": "x=1"}) == header
    assert header_of({"tracestate": "x=1"}) == ""
