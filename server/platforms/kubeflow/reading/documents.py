"""The documents of a compiled pipeline: found, checked for their shape, and kept word for word.

Everything that cannot be used is refused here, with the file, the place in it, and what to do: pipelines of Kubeflow 1,
of the betas before 2.0, job wrappers, documents that are broken or misspelt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.reading import fields, shape
from server.platforms.kubeflow.reading.yaml_text import Loaded, UnreadableYamlError, load_all

SCHEMA_VERSION = "2.1.0"
MAX_BYTES = 32 << 20
"""Kubeflow itself takes no larger file."""

_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")
MAX_SHOWN = 8
RECOMPILE = "compile the pipeline again with a current SDK (kfp 2.x): kfp.compiler.Compiler().compile(...)"


@dataclass(frozen=True, slots=True)
class Documents:
    """A compiled pipeline. `text` is the original, `pipeline` and `platform` its documents as plain values.

    Whoever edits must copy first: the values are shared. `pipeline_text` is the part of `text` that holds the
    pipeline's document, to be kept while only the platform's changes; None where the two cannot be told apart by lines.
    """

    name: str
    text: str
    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any] | None = None
    pipeline_text: str | None = None


def read_documents(text: str | bytes, name: str = "the pipeline file") -> Documents:
    """Read a compiled pipeline. `name` is what messages call the file.

    Raises:
        InvalidSubmissionError: it is no compiled pipeline of Kubeflow 2, or broken; the message says what and where.
    """
    decoded = _decoded(text, name)
    try:
        loaded = load_all(decoded)
    except UnreadableYamlError as error:
        where = f" at line {error.line}" if error.line else ""
        raise refused(name, f"cannot be read as YAML{where}: {error}") from error
    found = [document for document in loaded.values if document is not None]
    pipelines = [document for document in found if not _is_platform(document)]
    platforms = [document for document in found if _is_platform(document)]
    if not pipelines:
        what = "holds only a platform document" if platforms else "is empty"
        raise refused(name, f"{what}; the pipeline's own document is missing", RECOMPILE)
    for document in pipelines:
        _require_recognised(name, document)
    if len(pipelines) > 1 or len(platforms) > 1:
        kind, count = ("pipeline", len(pipelines)) if len(pipelines) > 1 else ("platform", len(platforms))
        raise refused(name, f"holds {count} {kind} documents; there must be one", "write one pipeline to one file")
    platform = platforms[0] if platforms else None
    _require_shape(name, pipelines[0], platform)
    return Documents(name, decoded, pipelines[0], platform, _pipeline_text(decoded, loaded))


def refused(name: str, what: str, hint: str | None = None, details: tuple[str, ...] = ()) -> InvalidSubmissionError:
    """The refusal of a file, in one form."""
    return InvalidSubmissionError(f"{name}: {what}", hint=hint, details=details)


def _pipeline_text(text: str, loaded: Loaded) -> str | None:
    """The lines of the first document, if it is the pipeline's and what follows begins with a plain `---`."""
    if loaded.starts is None or len(loaded.values) > 2 or _is_platform(loaded.values[0]):
        return None
    if len(loaded.values) == 1:
        return text if text.endswith("\n") else None
    start = text.find("\n---\n")
    while start >= 0:
        head = text[: start + 1]
        if head.count("\n") == loaded.starts[1]:
            return None if head.rstrip().endswith("...") or _has_other_breaks(head) else head
        start = text.find("\n---\n", start + 1)
    return None


def _has_other_breaks(text: str) -> bool:
    """Whether lines end otherwise than with a plain newline; most files are plain ASCII, where that is quick."""
    return "\r" in text if text.isascii() else _OTHER_BREAKS.search(text) is not None


def _decoded(text: str | bytes, name: str) -> str:
    if len(text) > MAX_BYTES:
        raise refused(name, f"is larger than {MAX_BYTES >> 20} MiB, the most that Kubeflow takes")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(name, f"is not UTF-8 text at byte {error.start}") from error


def _is_platform(document: object) -> bool:
    return isinstance(document, dict) and "platforms" in document and "root" not in document


def _require_recognised(name: str, document: object) -> None:
    """Say what it is, if it is something else than a compiled pipeline of Kubeflow 2."""
    if not isinstance(document, dict):
        raise refused(name, f"is no pipeline: it holds {type(document).__name__}, not a mapping", RECOMPILE)
    if "argoproj.io" in str(document.get("apiVersion", "")) or document.get("kind") == "Workflow":
        raise refused(name, "is an Argo workflow, as Kubeflow Pipelines 1 compiled them", RECOMPILE)
    if document.get("kind") in ("Pipeline", "PipelineVersion"):
        raise refused(name, "is a Kubernetes manifest around a pipeline", "compile it as plain pipeline YAML")
    if "implementation" in document:
        raise refused(name, "is a component of Kubeflow Pipelines 1, not a compiled pipeline", RECOMPILE)
    if "pipelineSpec" in document or "pipeline_spec" in document:
        raise refused(name, "is a job around a pipeline", "give what stands in its pipelineSpec")
    if document.get("kind") == "mlopx.PipelineSpec":
        raise refused(name, "is a spec of MLOpX, not a compiled pipeline", "compile it: mlopx-server compile")
    if "apiVersion" in document and "kind" in document and "root" not in document:
        kind = str(document["kind"])[:60]
        raise refused(name, f"is a manifest of Kubernetes (kind {kind}), not a compiled pipeline", RECOMPILE)
    version = document.get("schemaVersion", document.get("schema_version"))
    if "root" not in document and version is None:
        keys = ", ".join(sorted(map(str, document))[:6])
        raise refused(name, f"is no compiled pipeline: it has no root (it has: {keys or 'nothing'})", RECOMPILE)
    if version != SCHEMA_VERSION:
        said = "has no schemaVersion" if version is None else f"is of schemaVersion {version}"
        raise refused(name, f"{said}; Kubeflow Pipelines 2 reads {SCHEMA_VERSION}", RECOMPILE)


def _require_shape(name: str, pipeline: dict[str, Any], platform: dict[str, Any] | None) -> None:
    found = [*shape.problems(pipeline, "PipelineSpec")]
    if platform is not None:
        found += shape.problems(platform, "PlatformSpec")
    if not found:
        found += _missing(pipeline)
    if found:
        more = (f"... and {len(found) - MAX_SHOWN} more",) if len(found) > MAX_SHOWN else ()
        raise refused(name, found[0] if len(found) == 1 else "is broken:", RECOMPILE, _rest(found) + more)


def _rest(found: list[str]) -> tuple[str, ...]:
    return tuple(found[:MAX_SHOWN]) if len(found) > 1 else ()


def _missing(pipeline: dict[str, Any]) -> list[str]:
    found = []
    if not fields.text(pipeline, "pipelineInfo", "name"):
        found.append("pipelineInfo.name: the pipeline has no name")
    if not fields.section(pipeline, "root", "dag", "tasks"):
        found.append("root.dag.tasks: the pipeline has no tasks")
    executors = fields.get(pipeline.get("deploymentSpec"), "executors", {})
    if not isinstance(executors, dict):
        found.append("deploymentSpec.executors: expects a mapping from names")
    for side in ("inputDefinitions", "outputDefinitions"):
        for port, declared in fields.section(pipeline, "root", side, "parameters").items():
            if not fields.text(declared, "parameterType"):
                found.append(f"root.{side}.parameters.{port}: has no parameterType, as before Kubeflow Pipelines 2.0")
    return found


__all__ = ["SCHEMA_VERSION", "Documents", "read_documents", "refused"]
