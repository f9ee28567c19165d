"""What a pipeline must be given before it can run, and no run can give it: artifacts."""

from __future__ import annotations

from server.platforms.kubeflow.reading.documents import Documents
from server.platforms.kubeflow.reading.fields import get, section, text

SHOWN_USERS = 3


def artifacts_missing(documents: Documents) -> list[str]:
    """The artifacts that the pipeline itself needs as inputs, as sentences with what to do.

    Kubeflow's run request has parameters only; a task that reads such an input fails in its driver. One that is
    optional, or that no task reads, hinders nothing.
    """
    root = section(documents.pipeline, "root")
    readers: dict[str, list[str]] = {}
    for task, definition in section(root, "dag", "tasks").items():
        for given in section(definition, "inputs", "artifacts").values():
            readers.setdefault(text(given, "componentInputArtifact"), []).append(task)
    return [
        f"its input {name!r} is an artifact that {_some(readers[name])} needs, and Kubeflow gives runs parameters only:"
        " take the artifact's address as a parameter, and read it with an importer in the pipeline"
        for name, declared in section(root, "inputDefinitions", "artifacts").items()
        if readers.get(name) and get(declared, "isOptional") is not True
    ]


def _some(tasks: list[str]) -> str:
    more = f" and {len(tasks) - SHOWN_USERS} more" if len(tasks) > SHOWN_USERS else ""
    return f"task {', '.join(tasks[:SHOWN_USERS])}{more}"


__all__ = ["artifacts_missing"]
