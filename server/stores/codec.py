"""Runs, tasks, events and decisions to JSON and back.

A run is kept as a header and one document per task, so that saving a change writes only the tasks that moved. The
pipeline's graph is not in there: it is compiled again from the spec's text, which is stored once per digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from mlopx.spec import parse_spec, to_json
from server.domain.events import EVENTS_BY_KIND, Event
from server.domain.graph import Graph, compile_graph
from server.domain.placement import Decision
from server.domain.run import Expansion, Offer, Output, Run, RunOptions, TaskKey, TaskRun
from server.domain.states import RunState

_TASK = TypeAdapter(TaskRun)
_OPTIONS = TypeAdapter(RunOptions)
_EXPANSIONS = TypeAdapter(dict[str, Expansion])
_OUTPUTS = TypeAdapter(dict[str, Output])
_OFFER = TypeAdapter(Offer)
_DECISION = TypeAdapter(Decision)
_INSTANT_FIELDS = ("submitted_at", "dispatched_at", "started_at", "finished_at", "cancel_requested_at")
_PLAIN_FIELDS = ("problems", "cancel_reason", "platform_run_id", "retry_of", "error", "late_events")


@lru_cache(maxsize=len(EVENTS_BY_KIND))
def _event_adapter(kind: str) -> TypeAdapter[Event]:
    return TypeAdapter(EVENTS_BY_KIND[kind])


@lru_cache(maxsize=256)
def graph_of(digest: str, text: str) -> Graph:
    """The compiled graph of a stored spec; equal specs share one."""
    return compile_graph(parse_spec(text))


def spec_text(graph: Graph) -> str:
    """The canonical text of a graph's spec."""
    return to_json(graph.spec)


def task_to_json(task: TaskRun) -> str:
    """One task run as a document."""
    return _TASK.dump_json(task, exclude_defaults=True).decode()


def task_from_json(text: str) -> TaskRun:
    """Read a task run."""
    return _TASK.validate_json(text)


def header_to_json(run: Run) -> str:
    """Everything of a run but its graph and tasks."""
    document: dict[str, Any] = {
        "parameters": dict(run.parameters),
        "options": _OPTIONS.dump_python(run.options, mode="json"),
        "expansions": _EXPANSIONS.dump_python(dict(run.expansions), mode="json"),
        "conditions": dict(run.conditions),
    }
    document.update({name: getattr(run, name) for name in _PLAIN_FIELDS})
    document["instants"] = {
        name: value.isoformat() for name in _INSTANT_FIELDS if (value := getattr(run, name)) is not None
    }
    if run.offer is not None:
        document["offer"] = _OFFER.dump_python(run.offer, mode="json")
    if run.replaced_by:
        document["replaced_by"] = run.replaced_by
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def run_from_json(
    run_id: str, header: str, *, graph: Graph, state: str, version: int, tasks: Mapping[TaskKey, TaskRun]
) -> Run:
    """Put a run together again. Tasks come in the order in which they were created."""
    document = json.loads(header)
    plain: dict[str, Any] = {name: document[name] for name in _PLAIN_FIELDS}
    plain["problems"] = tuple(plain["problems"])
    plain.update({name: datetime.fromisoformat(text) for name, text in document["instants"].items()})
    return Run(
        id=run_id,
        graph=graph,
        parameters=document["parameters"],
        options=_OPTIONS.validate_python(document["options"]),
        state=RunState(state),
        version=version,
        tasks=tasks,
        expansions=_EXPANSIONS.validate_python(document["expansions"]),
        conditions=document["conditions"],
        offer=_OFFER.validate_python(document["offer"]) if "offer" in document else None,
        replaced_by=document.get("replaced_by", ""),
        **plain,
    )


def event_to_json(event: Event) -> str:
    """An event without its kind, which is kept beside it."""
    return _event_adapter(event.kind).dump_json(event, exclude_defaults=True).decode()


def event_from_json(kind: str, text: str) -> Event:
    """Read an event."""
    return _event_adapter(kind).validate_json(text)


def decision_to_json(decision: Decision) -> str:
    """A decision record."""
    return _DECISION.dump_json(decision, exclude_defaults=True).decode()


def decision_from_json(text: str) -> Decision:
    """Read a decision record."""
    return _DECISION.validate_json(text)


def outputs_to_json(outputs: Mapping[str, Output]) -> str:
    """Outputs of a task, for the cache."""
    return _OUTPUTS.dump_json(dict(outputs)).decode()


def outputs_from_json(text: str) -> dict[str, Output]:
    """Read outputs."""
    return _OUTPUTS.validate_json(text)


def request_digest(run: Run) -> str:
    """Identity of what was asked for, for comparing two submissions with the same key."""
    options = run.options
    asked = json.dumps(
        [
            run.graph.digest,
            dict(run.parameters),
            options.priority,
            options.project,
            options.is_caching,
            dict(options.labels),
        ],
        sort_keys=True,
    )
    return hashlib.sha256(asked.encode()).hexdigest()
