"""Says in the log what happened to runs: one line each, with the ids of run, task and decision as fields."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from server.domain import events as happened
from server.domain.events import Event
from server.domain.lifecycle import Change
from server.domain.states import RunState

log = logging.getLogger(__name__)

FIELDS = ("run_id", "task", "attempt", "node", "decision_id", "state")
"""Names under which log records carry ids; a log that is read by machines shows them as keys."""


class Chronicle:
    """Logs changes: submissions, placements and ends for everybody, failures as warnings, the rest for debugging."""

    def notice(self, change: Change) -> None:
        """Log the events of a change."""
        for event in change.events:
            level = _level(event)
            if log.isEnabledFor(level):
                fields = _fields(change, event)
                log.log(level, "%s", _text(event, fields), extra=fields)
        if change.run.state.is_end and change.events:
            level = logging.WARNING if change.run.state is RunState.FAILED else logging.INFO
            fields = {"run_id": change.run.id, "state": change.run.state.value}
            log.log(level, "run %s %s", change.run.id, change.run.state.value, extra=fields)


def _level(event: Event) -> int:
    if isinstance(event, happened.TaskFailed | happened.TaskLost | happened.TaskUnbound):
        return logging.WARNING
    if isinstance(event, happened.RunSubmitted | happened.TaskPlaced | happened.RunPlaced | happened.CancelRequested):
        return logging.INFO
    return logging.DEBUG


def _fields(change: Change, event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {"run_id": change.run.id}
    if isinstance(event, happened.TaskEvent):
        found |= {"task": str(event.key), "attempt": event.attempt}
    for name in ("node", "decision_id"):
        if (value := getattr(event, name, None)) is not None:
            found[name] = value
    return found


def _text(event: Event, fields: Mapping[str, Any]) -> str:
    text = f"{event.kind}: run {fields['run_id']}"
    if "task" in fields:
        text += f", task {fields['task']}"
    if "node" in fields:
        text += f", on {fields['node']}"
    if "decision_id" in fields:
        text += f", by decision {fields['decision_id']}"
    reason = getattr(event, "reason", "") or getattr(getattr(event, "error", None), "message", "")
    return f"{text}: {reason}" if reason else text


__all__ = ["FIELDS", "Chronicle"]
