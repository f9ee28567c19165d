"""Loops taken apart before the run begins, for platforms that drive their own graph but can place single iterations.

Only loops that lie in no other loop and run over a list that is written, or given as a parameter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlopx.spec import Const, LoopScope, Param
from server.domain.events import Event, LoopExpanded
from server.domain.run import Expansion, Run, TaskKey, TaskRun, loop_key

MOST_ITEMS = 500
"""Loops over more items than this are left to the platform as a whole."""


def unrolled(run: Run, paths: Collection[str], at: datetime) -> tuple[Run, list[Event]]:
    """The run with a task for each iteration of those at `paths` whose items are known."""
    tasks, expansions, events = dict(run.tasks), dict(run.expansions), list[Event]()
    for path in run.graph.order:
        loops = run.graph.loops[path]
        items = _items(run, loops[0]) if path in paths and len(loops) == 1 else None
        if items is None or len(items) > MOST_ITEMS:
            continue
        key = loop_key(loops[0], ())
        if key not in expansions:
            expansions[key] = Expansion(tuple(items))
            events.append(LoopExpanded(at=at, loop=key, count=len(items), reason=""))
        for index in range(len(items)):
            one = TaskKey(path, (index,))
            tasks[one] = TaskRun(one)
    return replace(run, tasks=tasks, expansions=expansions), events


def _items(run: Run, loop: str) -> list[Any] | None:
    scope = run.graph.spec.scopes[loop]
    items = scope.items if isinstance(scope, LoopScope) else None
    value = items.value if isinstance(items, Const) else None
    if isinstance(items, Param):
        value = run.parameters.get(items.name)
    return list(value) if isinstance(value, list | tuple) else None


__all__ = ["MOST_ITEMS", "unrolled"]
