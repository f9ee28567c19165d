"""Giving every task a component and an executor of its own.

Kubeflow finds a task's Kubernetes configuration through its component's executor, so two tasks that share one cannot be
placed apart. The first use keeps its names (a custom cache key hashes the component's name); every further use gets a
copy of the component, of what is in it, of the executor, and of the executor's configuration on every platform.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.platforms.kubeflow.placing.editing import copied, enter, free_name, put
from server.platforms.kubeflow.reading.fields import get, section, text


def split(pipeline: dict[str, Any], platform: dict[str, Any] | None) -> dict[str, str]:
    """Split in place; returns task path -> executor label. The components must not contain themselves."""
    splitter = _Splitter(pipeline, platform)
    splitter.dag(pipeline["root"], ())
    return splitter.labels


class _Splitter:
    """Walks the tasks once, and copies what was met before."""

    def __init__(self, pipeline: dict[str, Any], platform: dict[str, Any] | None) -> None:
        self.components: dict[str, Any] = enter(pipeline, "components")
        self.executors: dict[str, Any] = enter(pipeline, "deploymentSpec", "executors")
        self.configs = list(_configs(platform)) + [
            one for component in self.components.values() for one in _own_configs(component)
        ]
        self.used_components: set[str] = set()
        self.used_executors: set[str] = set()
        self.labels: dict[str, str] = {}

    def dag(self, component: dict[str, Any], prefix: tuple[str, ...]) -> None:
        """Split everything in one DAG."""
        for key, task in section(component, "dag", "tasks").items():
            if isinstance(task, dict):
                self._task(task, (*prefix, key))

    def _task(self, task: dict[str, Any], path: tuple[str, ...]) -> None:
        name = text(task, "componentRef", "name")
        component = self.components.get(name)
        if not isinstance(component, dict):
            return
        if not section(component, "dag") and not text(component, "executorLabel"):
            self.labels["/".join(path)] = ""  # the SDK leaves such components behind: nothing runs, nothing to split
            return
        if name in self.used_components:
            component = copied(component)
            name = free_name(name, self.components)
            self.components[name] = component
            enter(task, "componentRef")["name"] = name
        self.used_components.add(name)
        if section(component, "dag"):
            self.dag(component, path)
            return
        label = text(component, "executorLabel")
        if label in self.used_executors:
            label = self._copy_executor(label)
            put(component, "executorLabel", label)
        self.used_executors.add(label)
        self.labels["/".join(path)] = label

    def _copy_executor(self, label: str) -> str:
        copy = free_name(label, self.executors)
        if label in self.executors:
            self.executors[copy] = copied(self.executors[label])
        for configs in self.configs:
            if isinstance(configs.get(label), dict):
                configs[copy] = copied(configs[label])
        return copy


def _configs(platform: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    for one in section(platform, "platforms").values():
        found = section(one, "deploymentSpec", "executors")
        if found:
            yield found


def _own_configs(component: object) -> Iterator[dict[str, Any]]:
    for one in get(component, "singlePlatformSpecs", []) or []:  # type: ignore[attr-defined]  # a list, by its shape
        found = section(one, "deploymentSpec", "executors")
        if found:
            yield found


__all__ = ["split"]
