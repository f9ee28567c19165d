"""What ran where: per-node Gantt charts in the terminal and as SVG, and the figures beside them.

Input are the API's RunDetail and NodeView documents, so that it works on any server's answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

PALETTE = ("#1b6ca8", "#c4501b", "#2c7a3f", "#8e3b8e", "#8a6d00", "#00717a", "#a32638", "#4a4a9c")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt that ran: where, and from when to when in seconds since the first submission."""

    run: str
    task: str
    node: str
    start: float
    end: float
    cpus: float
    is_failed: bool
    is_coming: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a set of runs. Utilisation is busy CPU-seconds over what the node had in the makespan."""

    makespan_seconds: float
    mean_waiting_seconds: float
    mean_turnaround_seconds: float
    utilisation: dict[str, float]


def bars_of(runs: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """Every attempt of every run that ran, in order of start."""
    if not runs:
        return []
    origin = origin_of(runs)
    found = []
    for run in runs:
        for task in run["tasks"]:
            for attempt in task["attempts"]:
                if not attempt["started_at"] or not attempt["finished_at"]:
                    continue
                found.append(
                    Bar(
                        run=run["id"],
                        task=task["key"],
                        node=attempt["actual_node"] or attempt["node"] or "?",
                        start=(_at(attempt["started_at"]) - origin).total_seconds(),
                        end=(_at(attempt["finished_at"]) - origin).total_seconds(),
                        cpus=float(task.get("cpus") or 1.0),
                        is_failed=attempt["state"] != "succeeded",
                    )
                )
    return sorted(found, key=lambda bar: (bar.start, bar.end))


def origin_of(runs: Sequence[Mapping[str, Any]]) -> datetime:
    """The first submission."""
    return min(_at(run["submitted_at"]) for run in runs)


def summary(runs: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> Summary:
    """Makespan, mean waiting and turnaround times, and utilisation by node."""
    bars = bars_of(runs)
    ends = [_at(run["finished_at"]) for run in runs if run["finished_at"]]
    makespan = (max(ends) - origin_of(runs)).total_seconds() if ends else 0.0
    utilisation = {}
    for node in nodes:
        cpus = node["allocatable"]["cpu_millicores"] / 1000
        busy = sum((bar.end - bar.start) * bar.cpus for bar in bars if bar.node == node["name"])
        utilisation[node["name"]] = busy / (makespan * cpus) if makespan and cpus else 0.0
    return Summary(
        makespan,
        _mean([run["waiting_seconds"] for run in runs]),
        _mean([run["turnaround_seconds"] for run in runs]),
        utilisation,
    )


def lanes(bars: Sequence[Bar]) -> list[list[Bar]]:
    """Bars of one node spread over as few rows as keep them apart."""
    rows: list[list[Bar]] = []
    for bar in bars:
        row = next((row for row in rows if row[-1].end <= bar.start + 1e-6), None)
        if row is None:
            rows.append([bar])
        else:
            row.append(bar)
    return rows


def gantt_text(
    runs: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    width: int = 80,
    coming: Sequence[Bar] = (),
) -> str:
    """A chart of letters, one letter per run, one or more rows per node; dots for what is expected to come."""
    bars = [*bars_of(runs), *coming]
    if not bars:
        return "nothing ran yet"
    letter = {run["id"]: LETTERS[index % len(LETTERS)] for index, run in enumerate(runs)}
    end = max(bar.end for bar in bars)
    names = [node["name"] for node in nodes]
    margin = max(len(name) for name in names) + 2
    room = max(width - margin - 1, 20)
    lines = []
    for name in names:
        own = [bar for bar in bars if bar.node == name]
        for index, row in enumerate(lanes(own) or [[]]):
            cells = [" "] * room
            for bar in row:
                first = int(bar.start / end * (room - 1))
                last = max(first, int(bar.end / end * (room - 1)) - (bar.end < end))
                for cell in range(first, min(last, room - 1) + 1):
                    cells[cell] = "x" if bar.is_failed else "." if bar.is_coming else letter[bar.run]
            lines.append((name if index == 0 else "").ljust(margin) + "|" + "".join(cells))
    lines.append(" " * margin + "+" + "-" * room)
    marks = f"0 s{f'{end / 2:.0f} s'.center(room - 3 - len(f'{end:.0f} s'))}{end:.0f} s"
    lines.append(" " * (margin + 1) + marks)
    lines.append("")
    lines.extend(f"{letter[run['id']]} = {run['id']}" for run in runs)
    return "\n".join(lines)


def gantt_svg(runs: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]], title: str) -> str:
    """The same as a self-contained SVG picture, with a name for every bar."""
    bars = bars_of(runs)
    colour = {run["id"]: PALETTE[index % len(PALETTE)] for index, run in enumerate(runs)}
    end = max((bar.end for bar in bars), default=1.0)
    left, right, row_height, top = 130, 30, 24, 64
    width = 1000
    scale = (width - left - right) / end
    body: list[str] = []
    y = top
    for node in nodes:
        rows = lanes([bar for bar in bars if bar.node == node["name"]]) or [[]]
        height = len(rows) * row_height
        body.append(f'<rect x="{left}" y="{y}" width="{width - left - right}" height="{height}" fill="#f3f4f6"/>')
        body.append(
            f'<text x="{left - 10}" y="{y + height / 2 + 4}" text-anchor="end" class="n">{escape(node["name"])}</text>'
        )
        for index, row in enumerate(rows):
            body.extend(_svg_bar(bar, left, y + index * row_height, scale, row_height, colour[bar.run]) for bar in row)
        y += height + 8
    body.extend(_svg_axis(left, y, scale, end))
    y += 44
    for index, run in enumerate(runs):
        x, line = left + (index % 3) * 280, y + (index // 3) * 20
        body.append(f'<rect x="{x}" y="{line - 10}" width="12" height="12" rx="2" fill="{colour[run["id"]]}"/>')
        body.append(f'<text x="{x + 18}" y="{line}" class="l">{escape(run["id"])}</text>')
    height = y + ((len(runs) + 2) // 3) * 20 + 10
    described = f"{len(bars)} task attempts of {len(runs)} runs on {len(nodes)} nodes over {end:.0f} seconds"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-labelledby="t d" font-family="system-ui, sans-serif">',
            f'<title id="t">{escape(title)}</title><desc id="d">{escape(described)}</desc>',
            "<style>.n{font-size:14px;font-weight:600}.l,.a{font-size:12px}.b{font-size:11px;fill:#fff}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text x="{left}" y="28" font-size="18" font-weight="600">{escape(title)}</text>',
            f'<text x="{left}" y="48" class="l" fill="#555">{escape(described)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def _svg_bar(bar: Bar, left: float, y: float, scale: float, row_height: int, colour: str) -> str:
    x, width = left + bar.start * scale, max((bar.end - bar.start) * scale, 1.0)
    label = bar.task if width > len(bar.task) * 6.2 + 8 else ""
    style = 'stroke="#b00" stroke-width="2"' if bar.is_failed else ""
    tip = f"{bar.task} of {bar.run}: {bar.end - bar.start:.1f} s on {bar.node}" + (" (failed)" if bar.is_failed else "")
    text = f'<text x="{x + 4:.1f}" y="{y + row_height - 8}" class="b">{escape(label)}</text>' if label else ""
    return (
        f'<g><title>{escape(tip)}</title><rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" '
        f'height="{row_height - 4}" rx="3" fill="{colour}" {style}/>{text}</g>'
    )


def _svg_axis(left: float, y: float, scale: float, end: float) -> list[str]:
    step = next(size for size in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 10**9) if end / size <= 10)
    found = []
    mark = 0
    while mark <= end:
        x = left + mark * scale
        found.append(f'<line x1="{x:.1f}" y1="{y - 4}" x2="{x:.1f}" y2="{y + 2}" stroke="#888"/>')
        found.append(f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle" class="a">{mark} s</text>')
        mark += step
    return found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
