"""Getting a pipeline out of a definition file, in a process of its own: the command never runs user code itself."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlopx.errors import DefinitionError, UsageError
from mlopx.remote.foreign import ForeignPipeline, checked, compile_function, read_foreign
from mlopx.spec import PipelineSpec, parse_spec, read_json

FOREIGN_ENDINGS = (".yaml", ".yml")


def load_spec(file: Path, name: str | None = None) -> PipelineSpec:
    """The spec that a definition file builds, or that a spec file holds. Raises UsageError or DefinitionError."""
    found = load_pipeline(file, name)
    if isinstance(found, PipelineSpec):
        return found
    raise UsageError(
        f"{file} holds a pipeline of Kubeflow; here a definition file (.py) or a spec (.json) of ours is needed",
        hint="`mlopx submit`, `mlopx plan` and `mlopx-server place` take it",
    )


def load_pipeline(file: Path, name: str | None = None) -> PipelineSpec | ForeignPipeline:
    """The pipeline of a definition file, of a spec file, or of a compiled Kubeflow pipeline (.yaml).

    A definition file may also define it with Kubeflow's own SDK; then that SDK compiles it. Raises UsageError or
    DefinitionError.
    """
    if not file.exists():
        raise UsageError(f"there is no file {file}")
    if file.suffix in FOREIGN_ENDINGS:
        return read_foreign(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if file.suffix == ".json":
        return read_foreign(file) if _is_foreign(content) else parse_spec(content)
    command = [sys.executable, "-P", "-m", "mlopx.cli.loading", str(file), name or ""]
    result = subprocess.run(command, capture_output=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = result.stderr.decode(errors="replace").rstrip()[-3000:]
        raise DefinitionError(
            f"{file} could not be loaded: its process ended with {result.returncode}" + (f":\n{said}" if said else ""),
            hint=f"does `python {file} --dry-run` work?",
        ) from None
    if "error" in answer:
        raise DefinitionError(answer["error"], hint=answer.get("hint"), where=answer.get("where"))
    if "foreign" in answer:
        return checked(ForeignPipeline(**answer["foreign"]))
    return parse_spec(json.dumps(answer["spec"]))


def _is_foreign(content: bytes) -> bool:
    """Whether JSON is a compiled Kubeflow pipeline."""
    try:
        found = read_json(content)
    except ValueError:
        return False
    return isinstance(found, dict) and "kind" not in found and {"root", "schemaVersion"} <= set(found)


def _main(path: str, name: str) -> None:
    """In the other process: load the file and print its pipeline's spec, or what is wrong, as JSON.

    The folders of the file and of the caller are searched for modules only now, after ours are loaded: what lies there
    may be called as they are.
    """
    import importlib.util
    import os

    from mlopx.cli.unloadable import why
    from mlopx.dsl import Pipeline
    from mlopx.errors import MlopxError

    answer_to = os.dup(1)
    os.dup2(2, 1)
    answer: dict[str, Any]
    try:
        sys.path[:0] = [str(Path(path).resolve().parent), str(Path.cwd())]
        spec = importlib.util.spec_from_file_location("mlopx_definition", path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules["mlopx_definition"] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            if isinstance(error, MlopxError):
                raise
            raise why(error, path) from error
        found = [
            one
            for one in vars(module).values()
            if isinstance(one, Pipeline) and one.function.__module__ == "mlopx_definition"
        ]
        foreign = [] if found else _kubeflow_pipelines(vars(module))
        if foreign:
            chosen = _choose(foreign, name, path)
            answer = {"foreign": dataclasses.asdict(compile_function(chosen.component))}
        else:
            answer = {"spec": _choose(found, name, path).build().model_dump(mode="json")}
    except MlopxError as error:
        answer = {"error": error.message, "hint": error.hint, "where": error.where}
    os.write(answer_to, b"\n" + json.dumps(answer).encode() + b"\n")


@dataclasses.dataclass(frozen=True)
class _KubeflowPipeline:
    """A `@kfp.dsl.pipeline` function, as `_choose` looks at pipelines."""

    name: str
    function: Any
    component: Any


def _kubeflow_pipelines(names: dict[str, Any]) -> list[_KubeflowPipeline]:
    """The pipelines that a module defines with Kubeflow's SDK; none where it did not import that."""
    if "kfp" not in sys.modules:
        return []
    from kfp.dsl.graph_component import GraphComponent

    return [
        _KubeflowPipeline(str(one.name), one.pipeline_func, one)
        for one in {id(one): one for one in names.values()}.values()
        if isinstance(one, GraphComponent) and one.pipeline_func.__module__ == "mlopx_definition"
    ]


def _choose(found: list[Any], name: str, path: str) -> Any:
    unique = list({id(one): one for one in found}.values())
    if name:
        chosen = [one for one in unique if name in (one.name, one.function.__name__)]
        if len(chosen) == 1:
            return chosen[0]
    elif len(unique) == 1:
        return unique[0]
    elif unique:
        outermost = [one for one in unique if not _is_nested(one, unique)]
        if len(outermost) == 1:
            return outermost[0]
    if not unique:
        raise UsageError(f"{path} defines no pipeline", hint="decorate the function that makes it with @pipeline")
    names = ", ".join(one.name for one in unique)
    hint = "say which with --pipeline NAME"
    if name:
        raise UsageError(f"{path} defines no pipeline {name!r}, but these: {names}", hint=hint)
    raise UsageError(f"{path} defines these pipelines: {names}", hint=hint)


def _is_nested(one: Any, others: list[Any]) -> bool:
    """Whether another pipeline of the file calls this one."""
    return any(one.function.__name__ in other.function.__code__.co_names for other in others if other is not one)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
