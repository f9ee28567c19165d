"""Importers for the artifacts that a run is given by their addresses, in the copy of the pipeline that is sent.

The input becomes a parameter of the same name, an importer reads the address, and who read the input reads what the
importer hands out. Everything else stays as it is, tasks' names among it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from mlopx.spec import slug
from server.platforms.kubeflow.placing.editing import copied, drop, enter, free_name, listed, put
from server.platforms.kubeflow.reading.documents import Documents
from server.platforms.kubeflow.reading.fields import get, section, text
from server.platforms.kubeflow.reading.inputs import input_artifacts

DEFAULT_TYPE = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
OUTPUT, ADDRESS = "artifact", "uri"


def with_importers(documents: Documents, given: Collection[str]) -> Documents:
    """The documents with an importer for each of the artifacts `given` by name; the same ones if there is none."""
    names = [name for name, one in input_artifacts(documents).items() if name in given and not one.hinders]
    if not names:
        return documents
    pipeline = copied(documents.pipeline)
    for name in names:
        _import(pipeline, name)
    return replace(documents, pipeline=pipeline, pipeline_text=None)


def _import(pipeline: dict[str, Any], name: str) -> None:
    root = enter(pipeline, "root")
    definitions = enter(root, "inputDefinitions")
    kind = section(enter(definitions, "artifacts").pop(name), "artifactType") or DEFAULT_TYPE
    if not enter(definitions, "artifacts"):
        drop(definitions, "artifacts")
    about = f"the address of an artifact ({text({'type': kind}, 'type', 'schemaTitle')})"
    enter(definitions, "parameters")[name] = {"description": about, "parameterType": "STRING"}
    tasks, components = enter(root, "dag", "tasks"), enter(pipeline, "components")
    executors = enter(pipeline, "deploymentSpec", "executors")
    key = free_name(f"import-{slug(name)}", tasks)
    component = free_name(f"comp-{key}", components)
    label = free_name(f"exec-{key}", executors)
    for task in tasks.values():
        _read_from(task, name, key)
    executors[label] = {"importer": {"artifactUri": {"runtimeParameter": ADDRESS}, "typeSchema": kind}}
    components[component] = {
        "executorLabel": label,
        "inputDefinitions": {"parameters": {ADDRESS: {"parameterType": "STRING"}}},
        "outputDefinitions": {"artifacts": {OUTPUT: {"artifactType": kind}}},
    }
    tasks[key] = {
        "cachingOptions": {},
        "componentRef": {"name": component},
        "inputs": {"parameters": {ADDRESS: {"componentInputParameter": name}}},
        "taskInfo": {"name": key},
    }


def _read_from(task: object, name: str, importer: str) -> None:
    if not isinstance(task, dict):
        return
    is_reader = False
    for given in section(task, "inputs", "artifacts").values():
        if isinstance(given, dict) and get(given, "componentInputArtifact") == name:
            drop(given, "componentInputArtifact")
            put(given, "taskOutputArtifact", {"outputArtifactKey": OUTPUT, "producerTask": importer})
            is_reader = True
    if is_reader:
        listed(task, "dependentTasks").append(importer)


__all__ = ["with_importers"]
