"""Whether the nodes of a cluster could ever run a pipeline, and what each of its tasks lacks where they cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from server.domain.feasibility import explain_unplaceable, feasible_nodes
from server.domain.graph import Graph
from server.domain.node import Node
from server.domain.placement import WaitingTask
from server.domain.request import waiting_task
from server.domain.run import Run, RunOptions, TaskKey, TaskRun
from server.domain.states import Binding
from server.platforms.interface import PlatformInterface

SHOWN_NODES = 5


def unplaceable(graph: Graph, nodes: Sequence[Node], platform: PlatformInterface) -> list[str]:
    """Sentences on the tasks that none of the nodes could ever hold. Nodes that are only down or cordoned count.

    Where whole runs are handed over, a cluster may grow nodes that nobody told of: only pins are judged there.
    """
    healthy = [replace(node, is_ready=True, is_schedulable=True) for node in nodes]
    problems = []
    for path in graph.order:
        task = _example(graph, path, platform)
        if platform.binding is Binding.AT_SUBMISSION and task.node is None:
            continue
        if not healthy or feasible_nodes(task, healthy):
            continue
        reasons = explain_unplaceable(task, healthy)
        text = "; ".join(f"{_some(names)}: {reason}" for reason, names in reasons.items())
        problems.append(f"task {path}: {text}")
    return problems


def _some(names: Sequence[str]) -> str:
    """Nodes by name, the first few of them: `node a`, `nodes a, b`, `nodes a, b, c and 7 more`."""
    more = f" and {len(names) - SHOWN_NODES} more" if len(names) > SHOWN_NODES else ""
    return f"node{'s' if len(names) > 1 else ''} {', '.join(names[:SHOWN_NODES])}{more}"


def _example(graph: Graph, path: str, platform: PlatformInterface) -> WaitingTask:
    """The task as it will wait, for asking who could ever run it."""
    shell = Run(
        id="",
        graph=graph,
        parameters={},
        options=RunOptions(),
        submitted_at=datetime.min.replace(tzinfo=UTC),
        tasks={},
        expansions={},
    )
    return waiting_task(shell, TaskRun(TaskKey(path)), platform.defaults)


__all__ = ["unplaceable"]
