"""Getting a pipeline out of a definition file, in a process of its own: the command never runs user code itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlopx.errors import DefinitionError, UsageError
from mlopx.spec import PipelineSpec, parse_spec


def load_spec(file: Path, name: str | None = None) -> PipelineSpec:
    """The spec that a definition file builds, or that a spec file holds. Raises UsageError or DefinitionError."""
    if not file.exists():
        raise UsageError(f"there is no file {file}")
    if file.suffix == ".json":
        return parse_spec(file.read_bytes())
    if file.suffix in (".yaml", ".yml"):
        raise UsageError(
            f"{file} is a YAML file; this version takes definition files (.py) and specs (.json)",
            hint="submit the Python file that defines the pipeline",
        )
    command = [sys.executable, "-m", "mlopx.cli.loading", str(file), name or ""]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise DefinitionError(
            f"{file} could not be loaded:\n{result.stderr.rstrip()[-3000:]}",
            hint=f"does `python {file} --dry-run` work?",
        ) from None
    if "error" in answer:
        raise DefinitionError(answer["error"], hint=answer.get("hint"), where=answer.get("where"))
    return parse_spec(json.dumps(answer["spec"]))


def _main(path: str, name: str) -> None:
    """In the other process: load the file and print its pipeline's spec, or what is wrong, as JSON."""
    import importlib.util
    import os

    from mlopx.dsl import Pipeline
    from mlopx.errors import MlopxError

    answer_to = os.dup(1)
    os.dup2(2, 1)
    answer: dict[str, Any]
    try:
        sys.path.insert(0, str(Path(path).resolve().parent))
        spec = importlib.util.spec_from_file_location("mlopx_definition", path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules["mlopx_definition"] = module
        spec.loader.exec_module(module)
        found = [
            one
            for one in vars(module).values()
            if isinstance(one, Pipeline) and one.function.__module__ == "mlopx_definition"
        ]
        answer = {"spec": _choose(found, name, path).build().model_dump(mode="json")}
    except MlopxError as error:
        answer = {"error": error.message, "hint": error.hint, "where": error.where}
    os.write(answer_to, b"\n" + json.dumps(answer).encode() + b"\n")


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
    names = ", ".join(one.name for one in unique) or "none"
    raise UsageError(f"{path} defines these pipelines: {names}", hint="say which with --pipeline NAME")


def _is_nested(one: Any, others: list[Any]) -> bool:
    """Whether another pipeline of the file calls this one."""
    return any(one.function.__name__ in other.function.__code__.co_names for other in others if other is not one)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
