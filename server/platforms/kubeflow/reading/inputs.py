"""The artifacts that a pipeline itself takes as inputs.

Kubeflow's run request has parameters only, so a task that reads such an input fails in its driver. A run of ours is
given the artifact's address instead, and the copy that is sent reads it with an importer (`placing.importers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.platforms.kubeflow.reading.documents import Documents
from server.platforms.kubeflow.reading.doubts import FINISHED
from server.platforms.kubeflow.reading.fields import get, section, text

SHOWN_USERS = 3


@dataclass(frozen=True, slots=True)
class InputArtifact:
    """An artifact that the pipeline takes: its type's title, and the outermost tasks that read it.

    One that is optional, or that no task reads, may be left out. `hinders` says why its address is of no use.
    """

    name: str
    title: str
    readers: tuple[str, ...] = ()
    is_optional: bool = False
    hinders: str = ""

    @property
    def is_required(self) -> bool:
        """Whether a run fails without it."""
        return bool(self.readers) and not self.is_optional

    @property
    def problem(self) -> str:
        """Why no run can be given what it needs, as a sentence with what to do; an empty text if one can."""
        if not self.hinders or not self.is_required:
            return ""
        more = f" and {len(self.readers) - SHOWN_USERS} more" if len(self.readers) > SHOWN_USERS else ""
        return (
            f"its input {self.name!r} is an artifact that task {', '.join(self.readers[:SHOWN_USERS])}{more} needs, and"
            f" Kubeflow gives runs parameters only; {self.hinders}: take the artifact's address as a parameter, and"
            " read it with an importer in the pipeline"
        )


def input_artifacts(documents: Documents) -> dict[str, InputArtifact]:
    """The artifacts that the pipeline takes, by name."""
    root = section(documents.pipeline, "root")
    declared = section(root, "inputDefinitions", "artifacts")
    return _read(root, declared) if declared else {}


def _read(root: Mapping[str, object], declared: Mapping[str, object]) -> dict[str, InputArtifact]:
    parameters = section(root, "inputDefinitions", "parameters")
    readers: dict[str, list[str]] = {}
    hinders = {name: "a parameter has the same name" for name in declared if name in parameters}
    for task, definition in section(root, "dag", "tasks").items():
        is_exit = text(definition, "triggerPolicy", "strategy") == FINISHED
        for given in section(definition, "inputs", "artifacts").values():
            name = text(given, "componentInputArtifact")
            readers.setdefault(name, []).append(task)
            if is_exit and name in declared:
                hinders[name] = f"task {task} runs at the end whatever happened, and could not wait for an importer"
    return {
        name: InputArtifact(
            name,
            text(one, "artifactType", "schemaTitle") or "system.Artifact",
            tuple(readers.get(name, ())),
            get(one, "isOptional") is True,
            hinders.get(name, ""),
        )
        for name, one in declared.items()
    }


__all__ = ["InputArtifact", "input_artifacts"]
