"""`mlopx-server solve --kube-events`: recorded scheduler events, replayed through the strategy `kubernetes`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.exchange.errors import UnreadableError
from server.exchange.loading import load_json
from server.placers.kubernetes.reading import MalformedError
from server.placers.kubernetes.recorded import Recording, read_recording
from server.placers.kubernetes.replaying import Difference, Replayed, replay

WHAT = {"feasible": "feasible sets", "score": "plug-in scores", "final": "final scores", "choice": "choices"}
"""What is compared."""


def compare(path: Path) -> dict[str, Any]:
    """Replay a file and count what is equal. Raises UnreadableError."""
    found = load_json(path)
    try:
        recording = read_recording(found)
        replayed = list(replay(recording))
    except MalformedError as error:
        raise UnreadableError(f"{path}: {error}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: is nested too deeply") from None
    return _report(path, recording, replayed)


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people: what was compared, what is equal, and every difference."""
    decisions = report["decisions"]
    found = [f"{report['file']}: {report['nodes']} nodes, {report['events']} events, {decisions} decisions"]
    found += [f"  {name}: equal in {report['equal'][what]} of {decisions}" for what, name in WHAT.items()]
    for result in report["results"]:
        found += [f"{result['event']} {result['pod']}: {_said(one)}" for one in result["differences"]]
    return found


def _report(path: Path, recording: Recording, replayed: Sequence[Replayed]) -> dict[str, Any]:
    differing = {what: sum(any(one.what == what for one in each.differences) for each in replayed) for what in WHAT}
    return {
        "file": str(path),
        "nodes": len(recording.machines),
        "events": len(recording.events),
        "decisions": len(replayed),
        "equal": {what: len(replayed) - count for what, count in differing.items()},
        "ok": not any(differing.values()),
        "results": [_result(each) for each in replayed],
    }


def _result(each: Replayed) -> dict[str, Any]:
    return {
        "event": each.place,
        "pod": each.pod,
        "feasible": list(each.feasible),
        "final": dict(each.final),
        "best": list(each.best),
        "bound_to": each.bound_to,
        "differences": [dataclasses.asdict(one) for one in each.differences],
    }


def _said(one: dict[str, Any]) -> str:
    difference = Difference(**one)
    where = "".join(f" {name}" for name in (difference.plugin, difference.node and f"on {difference.node}") if name)
    return f"{difference.what}{where}: recorded {_value(difference.recorded)}, found {_value(difference.found)}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "no node"
    return "no node" if value is None else str(value)


__all__ = ["compare", "lines"]
