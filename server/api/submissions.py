"""Reading a submission: a pipeline's spec with its files, parameters and options, from JSON or from a form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mlopx.errors import MlopxError as ClientError
from mlopx.spec import DataHints, ModelHints, PipelineSpec, WorkloadHints, parse_spec, read_json
from server.api import examples
from server.components.pipeline_manager import Submission
from server.domain.errors import InvalidSubmissionError
from server.platforms.interface import ForeignFile

LONGEST_NAME = 255
MOST_FILES = 500
FOREIGN_ENDINGS = (".yaml", ".yml")


class Options(BaseModel):
    """How a run is to be treated; what is left out comes from the pipeline itself."""

    model_config = ConfigDict(extra="forbid")

    priority: int | None = Field(None, ge=-1000, le=1000)
    project: str | None = Field(None, min_length=1, max_length=63)
    deadline_seconds: float | None = Field(None, gt=0)
    deadline_at: datetime | None = None
    is_caching: bool | None = None
    labels: dict[str, str] = {}

    @field_validator("deadline_at")
    @classmethod
    def _has_a_zone(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("needs a time zone, such as 2026-01-31T12:00:00+00:00")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is outside the calendar") from None


class Foreign(BaseModel):
    """A pipeline in the platform's own format, to the letter: a compiled Kubeflow pipeline, say."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("pipeline.yaml", min_length=1, max_length=LONGEST_NAME, description="What messages call it.")
    text: str = Field(min_length=1)


class RunRequest(BaseModel):
    """A submission as JSON."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": examples.SUBMISSION})

    spec: dict[str, Any] | None = None
    foreign: Foreign | None = None
    parameters: dict[str, Any] = {}
    options: Options = Options()
    metadata: dict[str, Any] | None = None
    sources: dict[str, str] = {}


def from_json(body: RunRequest) -> Submission:
    """A submission from a JSON body."""
    spec = pipeline_of(body.spec, body.foreign)
    if spec is None:
        raise InvalidSubmissionError("there is no pipeline in it", hint="give a spec, or a foreign document")
    if isinstance(spec, PipelineSpec):
        spec = with_metadata(spec, body.metadata)
    sources = {safe_name(name): text.encode() for name, text in body.sources.items()}
    return _submission(spec, body.parameters, body.options, sources)


def pipeline_of(spec: dict[str, Any] | None, foreign: Foreign | None) -> PipelineSpec | ForeignFile | None:
    """The one pipeline of a request. Raises InvalidSubmissionError if there are two."""
    if foreign is None:
        return parse_spec(json.dumps(spec)) if spec is not None else None
    if spec is not None:
        raise InvalidSubmissionError("a spec and a foreign document are two pipelines", hint="send one of them")
    return ForeignFile(safe_name(foreign.name), foreign.text.encode())


def from_json_parts(spec: PipelineSpec | ForeignFile, parameters: Mapping[str, Any], options: Options) -> Submission:
    """A submission without files, for planning."""
    return _submission(spec, parameters, options, {})


def from_form(
    spec_text: bytes,
    *,
    file: str,
    parameters: str,
    options: str,
    metadata: bytes | None,
    files: Sequence[tuple[str, bytes]],
) -> Submission:
    """A submission from the seed's form: spec, component sources and metadata as files."""
    if len(files) > MOST_FILES:
        raise InvalidSubmissionError(f"{len(files)} component files are too many; at most {MOST_FILES} are taken")
    spec: PipelineSpec | ForeignFile
    if file.endswith(FOREIGN_ENDINGS):
        spec = ForeignFile(safe_name(file), spec_text)
    else:
        spec = with_metadata(parse_spec(spec_text), _object("metadata", metadata) if metadata else None)
    try:
        chosen = Options.model_validate(_object("options", options))
    except ValidationError as error:
        raise InvalidSubmissionError("the options are wrong", details=_sentences(error)) from error
    sources: dict[str, bytes] = {}
    for name, content in files:
        if sources.setdefault(safe_name(name), content) != content:
            raise InvalidSubmissionError(f"two different component files are called {name!r}", hint="rename one")
    return _submission(spec, _object("parameters", parameters), chosen, sources)


def _submission(
    spec: PipelineSpec | ForeignFile, parameters: Mapping[str, Any], options: Options, sources: Mapping[str, bytes]
) -> Submission:
    return Submission(
        spec=spec,
        parameters=parameters,
        priority=options.priority,
        project=options.project,
        deadline_seconds=options.deadline_seconds,
        deadline_at=options.deadline_at,
        is_caching=options.is_caching,
        labels=options.labels,
        sources=sources,
    )


def safe_name(name: str) -> str:
    """The name of an uploaded file, if it is a plain one. It is only ever shown, never used as a path."""
    parts = name.replace("\\", "/").split("/")
    if len(name) > LONGEST_NAME:
        raise InvalidSubmissionError(f"the file name {name[:40]!r}… has {len(name)} characters; at most {LONGEST_NAME}")
    if not name or name.startswith("/") or ".." in parts or "\0" in name or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise InvalidSubmissionError(
            f"{name!r} is not a usable file name", hint="give component files plain names, without folders above them"
        )
    return name


def with_metadata(spec: PipelineSpec, metadata: Mapping[str, Any] | None) -> PipelineSpec:
    """The spec with hints from the original's metadata file, where it has none of its own."""
    if not metadata:
        return spec
    unknown = sorted(set(metadata) - {"components_type", "dataset", "model"})
    if unknown:
        raise InvalidSubmissionError(
            f"the metadata has unknown entries: {', '.join(unknown)}",
            hint="it holds components_type, dataset and model",
        )
    try:
        dataset, model = metadata.get("dataset"), metadata.get("model")
        hints = spec.hints or WorkloadHints(
            dataset=DataHints.model_validate(dataset) if dataset is not None else None,
            model=ModelHints.model_validate(model) if model is not None else None,
        )
        kinds = metadata.get("components_type") or {}
        if not isinstance(kinds, dict):
            raise InvalidSubmissionError(
                f"components_type in the metadata must be an object, not {type(kinds).__name__}",
                hint='it says what a task is: {"train": "training"}',
            )
        tasks = {}
        for path, task in spec.tasks.items():
            kind = kinds.get(path, kinds.get(path.replace("-", "_")))
            if kind is not None and (task.hints is None or task.hints.task_kind is None):
                said = task.hints.model_dump() if task.hints else {}
                task = task.model_copy(update={"hints": WorkloadHints.model_validate({**said, "task_kind": kind})})
            tasks[path] = task
        return spec.model_copy(update={"hints": hints, "tasks": tasks})
    except ValidationError as error:
        raise InvalidSubmissionError("the metadata is wrong", details=_sentences(error)) from error
    except ClientError as error:
        raise InvalidSubmissionError(error.message, hint=error.hint) from error


def _object(name: str, text: str | bytes) -> dict[str, Any]:
    try:
        found = read_json(text or "{}")
    except ValueError as error:
        raise InvalidSubmissionError(f"{name} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidSubmissionError(f"{name} must be a JSON object, not {type(found).__name__}")
    return found


def _sentences(error: ValidationError) -> tuple[str, ...]:
    items = error.errors(include_url=False)
    return tuple(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in items)
