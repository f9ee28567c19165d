"""Compiled Kubeflow pipelines on their way to a server: they travel word for word.

What can be seen without reading YAML is refused here already, with the place: files of old shape, several pipelines in
one file, what is no text. The server reads everything and has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx.errors import DefinitionError, UsageError

MOST_BYTES = 32 << 20
"""Kubeflow itself takes no larger file."""

SCHEMA = "2.1.0"
AGAIN = "compile the pipeline again with a current SDK (kfp 2.x): kfp.compiler.Compiler().compile(...)"
_KEY = re.compile(r"""(["']?)([A-Za-z_]\w*)\1\s*:(?:\s+(.*))?$""")


@dataclass(frozen=True, slots=True)
class ForeignPipeline:
    """A pipeline in Kubeflow's own format. `name` is what messages call it."""

    name: str
    text: str


def read_foreign(file: Path) -> ForeignPipeline:
    """A compiled pipeline from a file. Raises UsageError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text at byte {error.start}") from error
    return checked(ForeignPipeline(file.name, text))


def checked(pipeline: ForeignPipeline) -> ForeignPipeline:
    """The pipeline, if nothing speaks against sending it. Raises UsageError."""
    name, text = pipeline.name, pipeline.text
    if not text.strip():
        raise UsageError(f"{name} is empty")
    if len(text.encode()) > MOST_BYTES:
        raise UsageError(f"{name} is larger than {MOST_BYTES >> 20} MiB, the most that Kubeflow takes")
    documents = [found for found in _documents(text) if found]
    for keys in documents:
        _require_recognised(name, keys)
    count = sum("root" in keys for keys in documents)
    if count > 1:
        raise UsageError(f"{name} holds {count} pipelines; there must be one", hint="write one pipeline to one file")
    return pipeline


def compile_function(pipeline: Any) -> ForeignPipeline:
    """A `@kfp.dsl.pipeline` function, compiled by its own SDK. Raises UsageError or DefinitionError."""
    import tempfile

    try:
        from kfp import compiler
    except ImportError as error:
        raise UsageError(
            "Kubeflow's SDK is not installed, which compiles its pipelines",
            hint="install the client with its extra `kfp`, or submit a compiled file",
        ) from error
    name = str(getattr(pipeline, "name", "pipeline"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        try:
            compiler.Compiler().compile(pipeline, str(path))
        except Exception as error:
            raise DefinitionError(f"Kubeflow's SDK does not compile {name}: {error}") from error
        return ForeignPipeline(f"{name}.yaml", path.read_text(encoding="utf-8"))


def _documents(text: str) -> Iterator[dict[str, tuple[str, int]]]:
    """By document of the file: its outermost keys, with what stands behind each and its line. None of JSON's."""
    keys: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("---"):
            yield keys
            keys = {}
        elif found := _KEY.match(line):
            keys.setdefault(found[2], ((found[3] or "").strip().strip("\"'"), number))
    yield keys


def _require_recognised(name: str, keys: dict[str, tuple[str, int]]) -> None:
    version = keys.get("apiVersion", ("", 0))
    if "argoproj.io" in version[0]:
        raise UsageError(
            f"{name}, line {version[1]}: is an Argo workflow, as Kubeflow Pipelines 1 compiled them", hint=AGAIN
        )
    if "implementation" in keys and "root" not in keys:
        raise UsageError(
            f"{name}, line {keys['implementation'][1]}: is a component of Kubeflow Pipelines 1, not a pipeline",
            hint=AGAIN,
        )
    said = keys.get("schemaVersion")
    if said is not None and said[0] != SCHEMA:
        raise UsageError(
            f"{name}, line {said[1]}: is of schemaVersion {said[0]}; Kubeflow Pipelines 2 reads {SCHEMA}", hint=AGAIN
        )


__all__ = ["ForeignPipeline", "checked", "compile_function", "read_foreign"]
