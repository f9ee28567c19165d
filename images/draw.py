"""The pictures of the README. What they say stands in `ARCHITECTURE` and `SUBMISSION`; `make golden` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
INK, PALE, LINE, ACCENT = "#1f2937", "#6b7280", "#9ca3af", "#2563eb"
FILLS = {"user": "#fef3c7", "server": "#dbeafe", "port": "#ede9fe", "platform": "#dcfce7"}


@dataclass(frozen=True)
class Box:
    """A room of the picture: where it stands (x, y, width, height) and what it says."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    title: str
    lines: tuple[str, ...] = ()


ARCHITECTURE = (
    Box(20, 50, 200, 92, "user", "pipeline.py", ("written with the library", "mlopx; running the file", "submits it")),
    Box(20, 166, 200, 74, "user", "mlopx command, API", ("follow, logs, queue,", "cancel, retry")),
    Box(290, 60, 200, 70, "server", "pipeline manager", ("checks and stores;", "202 is durable")),
    Box(290, 160, 200, 70, "server", "scheduler", ("one numbered cycle:", "queue + snapshot -> plan")),
    Box(290, 260, 200, 70, "port", "placer", ("the strategy: a pure", "function, replaceable")),
    Box(290, 360, 200, 70, "port", "estimator", ("seconds per task", "and node, with a band")),
    Box(540, 60, 200, 70, "port", "run store", ("SQLite or PostgreSQL:", "runs, events, decisions")),
    Box(540, 160, 200, 70, "server", "dispatcher", ("binds each task", "as late as it can")),
    Box(540, 260, 200, 70, "server", "tracker, historian", ("what really happened", "comes back")),
    Box(540, 360, 200, 70, "port", "node sources", ("what each node has,", "and what is promised")),
    Box(
        810,
        130,
        190,
        92,
        "platform",
        "local platform",
        ("agents on virtual nodes", "of one machine, with", "enforced CPU shares"),
    ),
    Box(810, 270, 190, 74, "platform", "Kubeflow Pipelines", ("on Kubernetes", "(adapter to come)")),
)
FRAMES = ((270, 20, 490, 430, "MLOpX server"), (790, 90, 230, 280, "platforms that run tasks"))
ARROWS = (
    ((220, 95), (290, 95)),
    ((220, 200), (290, 120)),
    ((390, 130), (390, 160)),
    ((490, 95), (540, 95)),
    ((490, 195), (540, 195)),
    ((390, 260), (390, 230)),
    ((390, 360), (390, 330)),
    ((540, 390), (490, 310)),
    ((540, 280), (490, 215)),
    ((740, 180), (810, 165)),
    ((740, 205), (810, 290)),
    ((810, 200), (740, 285)),
    ((810, 320), (740, 305)),
)

ACTORS = ("script", "server", "run store", "scheduler", "placer", "platform")
SUBMISSION = (
    ("script", "server", "POST /submit/: spec, idempotency key"),
    ("server", "run store", "run and events, flushed to disk"),
    ("server", "script", "202: run id and link"),
    ("server", "scheduler", "wakes it; what comes within 20 ms is decided together"),
    ("scheduler", "placer", "every unbound task, nodes, predicted seconds"),
    ("placer", "scheduler", "plan: a node and time, or a hold and why, for each"),
    ("scheduler", "run store", "task-placed, with the decision's record"),
    ("scheduler", "platform", "bind this attempt to that node"),
    ("platform", "server", "started, ended: outputs, peak memory"),
    ("server", "run store", "events; what became ready"),
    ("server", "scheduler", "next cycle, until the run has ended"),
)


def pictures() -> dict[str, str]:
    """File name and SVG text of each picture."""
    return {"architecture.svg": architecture(), "submission.svg": submission()}


def architecture() -> str:
    """Rooms and arrows."""
    parts = []
    for x, y, width, height, title in FRAMES:
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="none" stroke="{LINE}" '
            'stroke-dasharray="5 4"/>' + text(x + 12, y + 22, title, size=14, fill=PALE)
        )
    parts.extend(arrow(*start, *end) for start, end in ARROWS)
    for box in ARCHITECTURE:
        parts.append(
            f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="8" '
            f'fill="{FILLS[box.kind]}" stroke="{LINE}"/>'
        )
        parts.append(text(box.x + 12, box.y + 24, box.title, size=15, weight="bold"))
        parts.extend(text(box.x + 12, box.y + 44 + 18 * n, line) for n, line in enumerate(box.lines))
    return svg(1040, 470, "The parts of MLOpX, and how they stand on each other", parts)


def submission() -> str:
    """A sequence diagram: time runs down."""
    place = {name: 80 + 170 * number for number, name in enumerate(ACTORS)}
    bottom = 90 + 40 * len(SUBMISSION)
    parts = []
    for name, x in place.items():
        parts.append(f'<line x1="{x}" y1="50" x2="{x}" y2="{bottom}" stroke="{LINE}" stroke-dasharray="4 4"/>')
        parts.append(f'<rect x="{x - 60}" y="20" width="120" height="30" rx="6" fill="#dbeafe" stroke="{LINE}"/>')
        parts.append(text(x, 40, name, size=14, weight="bold", anchor="middle"))
    for number, (start, end, what) in enumerate(SUBMISSION):
        y, x1, x2 = 90 + 40 * number, place[start], place[end]
        parts.append(arrow(x1, y, x2, y))
        left = min(x1, x2) + 8
        parts.append(
            f'<rect x="{left - 2}" y="{y - 19}" width="{7 * len(what)}" height="15" fill="white" opacity="0.85"/>'
        )
        parts.append(text(left, y - 7, what))
    return svg(1020, bottom + 20, "What happens when a pipeline is submitted", parts)


def text(
    x: int, y: int, words: str, *, size: int = 13, fill: str = INK, weight: str = "normal", anchor: str = "start"
) -> str:
    """Words at a point."""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    """A line with a head at its second end."""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{ACCENT}" stroke-width="1.6" marker-end="url(#head)"/>'
    )


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """The whole document."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{ACCENT}"/></marker></defs>'
    )
    body = "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif">\n<title>{escape(title)}</title>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    for name, picture in pictures().items():
        (HERE / name).write_text(picture, encoding="utf-8")
