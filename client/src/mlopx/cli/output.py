"""How the command prints: tables for people, JSON for programs, errors as advice."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlopx.errors import MlopxError

WIDEST = 100
"""Longer lines of prose are hard to read."""

IN_MINUTES = 100.0
"""So many seconds and more are said in minutes."""

COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "running": "cyan",
    "finishing": "cyan",
}


def console() -> Console:
    """Where tables go; no colours in a pipe or with NO_COLOR. A pipe is as wide as `COLUMNS` says, else 200."""
    is_bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(
        highlight=False, markup=False, emoji=False, soft_wrap=not is_bounded, width=None if is_bounded else 200
    )


def show(document: Any) -> None:
    """Print a JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def say(text: str, indent: str = "", *, further: str | None = None, widest: int = WIDEST) -> None:
    """Print a sentence in lines no wider than the terminal, or than `widest`; those after the first with `further` as
    their margin."""
    margin = indent if further is None else further
    sys.stdout.write(in_lines(text, min(console().width, widest), indent, margin) + "\n")


def in_lines(text: str, width: int, indent: str = "", further: str = "") -> str:
    """Text in lines no wider than that; what stands in `backticks` stays on one line where it can."""
    room = width - max(len(indent), len(further))
    glued = re.sub(r"`[^`]*`[.,;]?", lambda one: one[0].replace(" ", "\0") if len(one[0]) <= room else one[0], text)
    lines = textwrap.wrap(
        glued,
        width,
        initial_indent=indent,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


def say_facts(facts: Sequence[str]) -> None:
    """Print facts side by side, in as many lines as it takes; none is broken."""
    sys.stdout.write("\n".join(facts_in_lines(facts, console().width)) + "\n")


def facts_in_lines(facts: Sequence[str], width: int) -> list[str]:
    """Facts side by side in lines no wider than that; none is broken."""
    lines = [""]
    for fact in facts:
        joined = f"{lines[-1]}  {fact}" if lines[-1] else fact
        if lines[-1] and len(joined) > width:
            lines.append(fact)
        else:
            lines[-1] = joined
    return lines


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> Table:
    """A plain table; the columns named in `right` are aligned to the right."""
    found = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        is_number = column in right
        found.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        found.add_row(*[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row])
    return found


def state(name: str) -> Text:
    """A state in its colour."""
    return Text(name, style=COLOURS.get(name, ""))


def span(seconds: float | None) -> str:
    """A time span as people read it."""
    if seconds is None:
        return "-"
    if seconds < IN_MINUTES:
        return f"{seconds:.1f} s"
    return _long(seconds)


def _long(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(text: str | None) -> str:
    """An instant in local time; `zone` names it."""
    return datetime.fromisoformat(text).astimezone().strftime("%m-%d %H:%M:%S") if text else "-"


def zone() -> str:
    """The local time zone's short name: `CET`, `UTC`."""
    return datetime.now(UTC).astimezone().strftime("%Z")  # noqa: TID251 - of the clock that the reader looks at


def between(low: float, high: float) -> str:
    """A range of spans: `5.0 to 12.0 s`, `1 min 17 s to 1 min 54 s`."""
    first, second = span(low), span(high)
    if high >= IN_MINUTES > low >= 60:
        first = _long(low)
    if first == second:
        return first
    return f"{first.removesuffix(' s')} to {second}" if high < IN_MINUTES else f"{first} to {second}"


def size(count: float | None) -> str:
    """Bytes as people read them."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return "-"


@contextmanager
def advice() -> Iterator[None]:
    """Turn our errors into a message and the exit code they stand for."""
    try:
        yield
    except MlopxError as error:
        sys.stderr.write(_readable(f"error: {error}") + "\n")
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise SystemExit(130) from None


def _readable(text: str) -> str:
    """An error in lines that fit the terminal; code and logs in it stay as they are, and so does all in a pipe."""
    if not sys.stderr.isatty():
        return text
    width = min(shutil.get_terminal_size().columns, WIDEST)
    lines = []
    for line in text.split("\n"):
        margin = line[: len(line) - len(line.lstrip())]
        is_prose = len(margin) < 4 and not line.startswith("  | ")
        is_long = is_prose and len(line) > width
        lines.append(in_lines(line.strip(), width, margin, margin + ("    " if margin else "  ")) if is_long else line)
    return "\n".join(lines)
