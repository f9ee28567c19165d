"""The problem file: what `docs/problem.schema.json` describes and `docs/problem-files.md` explains.

Tasks and nodes are named, or numbered from 0 in their order; wherever one is referred to, either may be used. Seconds
count from the moment of the decision. What is left out is said under each field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, Strict

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Instant = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
Reference = Annotated[int, Field(ge=0)] | Name
RunSeconds = dict[str, Amount | None] | list[Amount | None]
Matrix = Annotated[list[list[Amount]], SkipValidation]
"""Checked as a whole when it is made an array: large ones have millions of entries."""
Table = Annotated[list[list[Amount | None]], SkipValidation]


class Part(BaseModel):
    """Nothing but what is described."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Requests(Part):
    """What a task holds while it runs."""

    cpus: Amount | None = Field(None, description="1 where left out; counted only on nodes that state their cpus.")
    memory_bytes: Amount = 0.0
    pods: Amount = Field(1.0, description="Counted only on nodes that state their pods.")
    accelerators: dict[Name, Amount] = Field(default_factory=dict, description="Kind to count.")


class NodeEntry(Part):
    """A machine. One that states neither cpus, memory, pods nor accelerators runs one task at a time."""

    name: Name | None = None
    exclusive: bool | None = Field(None, description="One task at a time, whatever it requests.")
    cpus: Amount | None = Field(None, description="Not counted where left out.")
    memory_bytes: Amount | None = Field(None, description="Not counted where left out.")
    pods: Amount | None = Field(None, description="Most tasks at a time; not counted where left out.")
    accelerators: dict[Name, Amount] = Field(default_factory=dict, description="Kind to count; none where left out.")
    opens_seconds: Amount = Field(0.0, description="When the node is there.")
    price_per_hour: Amount | None = None


class OptionEntry(Part):
    """One way in which a task can run."""

    name: Name
    run_seconds: RunSeconds
    requests: Requests | None = Field(None, description="The task's own where left out.")


class TaskEntry(Part):
    """A task. Its seconds stand here (by node name, or in the order of nodes), in its options, or in the table."""

    name: Name | None = None
    run_seconds: RunSeconds | None = Field(None, description="null, or a node left out: it cannot run there.")
    options: list[OptionEntry] = Field(
        default_factory=list, description="Instead of `run_seconds`; the first is the author's choice."
    )
    requests: Requests = Field(default_factory=lambda: Requests())
    release_seconds: Amount = Field(0.0, description="It cannot start before.")
    run: Reference | None = Field(None, description="The run it belongs to; the first where left out.")


class NetworkEntry(Part):
    """What transfers between two nodes cost: `latency_seconds` and `seconds_per_byte` for each byte."""

    kind: Literal["none", "uniform", "pairs", "cards"] = Field(
        description="none: data is free. uniform: one figure. pairs: from row to column. cards: of each node's network "
        "card, both directions at once; a transfer alone goes at the slower of its two."
    )
    seconds_per_byte: Annotated[
        Any,
        Field(
            json_schema_extra={
                "anyOf": [
                    {"type": "number", "minimum": 0},
                    {"type": "array", "items": {"type": "number", "minimum": 0}},
                    {"type": "array", "items": {"type": "array", "items": {"type": "number", "minimum": 0}}},
                ]
            }
        ),
    ] = None
    latency_seconds: Amount = 0.0
    sharing: Literal["contention_free", "one_port", "max_min"] = Field(
        "contention_free",
        description="contention_free: each transfer has its link for itself. one_port: a card does one transfer at a "
        "time in each direction. max_min: cards are shared fairly (searched as one_port, answered as predicted).",
    )


class RunEntry(Part):
    """A pipeline that some tasks belong to."""

    name: Name | None = None
    submitted_seconds: Instant = Field(0.0, description="Before the decision, so negative for what waits already.")
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    priority: int = Field(0, description="Higher goes first under every objective.")
    deadline_seconds: Instant | None = None
    project: Name = "default"
    done_seconds: Amount = Field(0.0, description="Node seconds it has had so far.")


class HeldEntry(Part):
    """What runs already, or will run whatever is planned."""

    node: Reference
    requests: Requests = Field(default_factory=lambda: Requests())
    from_seconds: Amount = Field(0.0, description="Above 0: it takes its room from then on, and has an end.")
    until_seconds: Amount | None = Field(None, description="null: no end is known.")


Pair = Annotated[tuple[Reference, Reference], Strict(False)]
Triple = Annotated[tuple[Reference, Reference, Amount], Strict(False)]
"""JSON knows lists only."""


class ProblemDocument(Part):
    """A placing problem."""

    format: Literal["mlopx-problem/1"] | None = None
    name: str | None = None
    description: str | None = None
    nodes: list[NodeEntry | Name] | None = Field(
        None, description="Where left out: as many as the table has columns, one task at a time each."
    )
    tasks: list[TaskEntry | Name] | None = Field(None, description="Where left out: as many as the table has rows.")
    run_seconds: Table | None = Field(None, description="[task][node], null where it cannot run.")
    edges: list[Pair | Triple] = Field(
        default_factory=list, description="[upstream, dependent] or [upstream, dependent, bytes]."
    )
    inputs: list[Triple] = Field(
        default_factory=list, description="[task, node, bytes]: what a task reads that lies on a node already."
    )
    network: NetworkEntry | None = Field(None, description="Where left out, data is free.")
    seconds_per_byte: Matrix | None = Field(None, description="Short for a network of kind pairs.")
    runs: list[RunEntry] = Field(default_factory=list, description="Where left out: one, submitted now.")
    held: list[HeldEntry] = Field(default_factory=list)


IGNORED = frozenset({"lower_bound", "heft", "peft", "cpop", "best_known", "proved_optimal", "reference"})
"""Results that benchmark files carry beside the problem."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a problem file."""
    found = ProblemDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "MLOpX problem file"}
