"""What KFP's backend cannot make a Workflow of: its create call answers 500 with the reason, each time it is asked.

Source: `argocompiler` of KFP 2.17 and Argo's validation, which the API server calls before it makes anything.
"""

from __future__ import annotations

from typing import Any

from server.testing.kfp.hooks import order_of
from server.testing.kfp.values import Document


class NotCompiledError(Exception):
    """The backend cannot compile the pipeline."""


def require_compiles(pipeline: Document, *, has_hooks: bool) -> None:
    """Raises NotCompiledError for what the backend's compiler and Argo refuse."""
    seen: set[str] = set()
    waiting = [pipeline["root"]]
    while waiting:
        tasks = (waiting.pop().get("dag") or {}).get("tasks") or {}
        try:
            order_of(tasks, has_hooks=has_hooks)
        except ValueError as error:
            raise NotCompiledError(str(error)) from error
        for name, task in tasks.items():
            component = _component(pipeline, name, task)
            if "dag" in component and task["componentRef"]["name"] not in seen:
                seen.add(task["componentRef"]["name"])
                waiting.append(component)


def _component(pipeline: Document, name: str, task: Document) -> dict[str, Any]:
    wanted = (task.get("componentRef") or {}).get("name", "")
    component: dict[str, Any] | None = (pipeline.get("components") or {}).get(wanted)
    if component is None:
        raise NotCompiledError(f'compiling task "{name}": component spec for "{wanted}" not found')
    if "artifactIterator" in task:
        raise NotCompiledError(f'compiling task "{name}": artifact iterator not implemented yet')
    executors = (pipeline.get("deploymentSpec") or {}).get("executors") or {}
    executor = executors.get(component.get("executorLabel")) or {}
    for kind in ("resolver", "customJob"):
        if kind in executor:
            raise NotCompiledError(f'compiling task "{name}": {kind} executors not implemented')
    if "importer" in executor and (task.get("triggerPolicy") or {}).get("condition"):
        raise NotCompiledError(f'compiling task "{name}": triggerPolicy.condition on importer task is not supported')
    return component


__all__ = ["NotCompiledError", "require_compiles"]
