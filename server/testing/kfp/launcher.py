"""What KFP's launcher does inside a pod: executor input, placeholders, the user's command, outputs read back.

Source: the launcher of KFP 2 (`launcher_v2`) and the placeholders of IR 2.1.0. The command runs as a child process of
the double; paths under a volume's mount point are replaced by the folder that stands for the volume.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.testing.kfp.values import Document, Values, plain, shown, typed

_PLACEHOLDER = re.compile(r"\{\{\$(?:\.([^{}]*))?\}\}")
_INPUT = re.compile(r"inputs\.(parameters|artifacts)\[['\"]([^'\"]+)['\"]\](?:\.(\w+)(?:\[['\"]([^'\"]+)['\"]\])?)?")
_OUTPUT = re.compile(r"outputs\.(parameters|artifacts)\[['\"]([^'\"]+)['\"]\]\.(\w+)")


@dataclass(frozen=True, slots=True)
class Job:
    """One pod's main container."""

    component: Document
    container: Document
    inputs: Values
    folder: Path
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    facts: Mapping[str, str]
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended. `message` is what the container left in its termination log."""

    exit_code: int
    outputs: Values
    log: bytes
    message: str = ""
    reason: str = ""


async def launch(job: Job) -> Result:
    """Run the command. Cancelling this kills it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    given = executor_input(job)
    parts = [*(job.container.get("command") or []), *(job.container.get("args") or [])]
    command = [text for part in parts for text in _filled(part, given, job)]
    log, note = job.folder / "log", job.folder / "termination-log"
    note.touch()
    code, reason = await _run(command, job, log, note)
    message = note.read_text(errors="replace")[:4096]
    if code:
        return Result(code, Values(), log.read_bytes(), message, reason or "Error")
    try:
        outputs = _outputs(job, given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = log.read_bytes() + f"failed to execute component: {error}\n".encode()
        return Result(1, Values(), text, message, "Error")
    return Result(0, outputs, log.read_bytes(), message, "Completed")


def executor_input(job: Job) -> dict[str, Any]:
    """The JSON that stands for `{{$}}`."""
    declared = job.component.get("outputDefinitions") or {}
    artifacts = {}
    for name, port in (declared.get("artifacts") or {}).items():
        uri = str(job.folder / name)
        one = {"name": name, "type": port.get("artifactType") or {}, "uri": uri, "metadata": port.get("metadata") or {}}
        artifacts[name] = {"artifacts": [one]}
    parameters = {
        name: {"outputFile": str(job.folder / "parameters" / name)} for name in declared.get("parameters") or {}
    }
    (job.folder / "parameters").mkdir(exist_ok=True)
    outputs = {"parameters": parameters, "artifacts": artifacts, "outputFile": str(job.folder / "executor_output.json")}
    inputs = {
        "parameters": {},
        "parameterValues": _mounted(plain(job.inputs.parameters), job.mounts),
        "artifacts": {name: {"artifacts": found} for name, found in job.inputs.artifacts.items()},
    }
    return {"inputs": inputs, "outputs": outputs}


def _mounted(value: Any, mounts: Mapping[str, Path]) -> Any:
    """Values with paths under a mount point led to the folder behind it."""
    if isinstance(value, dict):
        return {key: _mounted(item, mounts) for key, item in value.items()}
    if isinstance(value, list):
        return [_mounted(item, mounts) for item in value]
    if isinstance(value, str):
        for path, folder in mounts.items():
            if value == path or value.startswith(path.rstrip("/") + "/"):
                return str(folder) + value[len(path.rstrip("/")) :]
    return value


def _filled(part: str, given: Document, job: Job) -> list[str]:
    """A part of the command with its placeholders replaced; `Concat` and `IfPresent` may yield none or several."""
    if part.startswith(('{"Concat"', '{"IfPresent"')):
        return _structured(json.loads(part), given, job)
    return [_PLACEHOLDER.sub(lambda found: _value(found.group(1), given, job), part)]


def _structured(part: Any, given: Document, job: Job) -> list[str]:
    if isinstance(part, str):
        return _filled(part, given, job)
    if isinstance(part, list):
        return [text for one in part for text in _structured(one, given, job)]
    if "Concat" in part:
        return ["".join(text for one in part["Concat"] for text in _structured(one, given, job))]
    chosen = part["IfPresent"]
    name = chosen["InputName"]
    is_there = name in job.inputs.parameters or name in job.inputs.artifacts
    return _structured(chosen.get("Then" if is_there else "Else") or [], given, job)


def _value(path: str | None, given: Document, job: Job) -> str:
    if path is None:
        return json.dumps(given)
    if path.startswith("json_escape"):
        return json.dumps(json.dumps(given))[1:-1]
    found = _INPUT.fullmatch(path)
    if found is not None:
        return _input_value(found, given)
    found = _OUTPUT.fullmatch(path)
    if found is None:
        return job.facts.get(path, "{{$." + path + "}}")
    kind, name, _ = found.groups()
    port = given["outputs"][kind][name]
    return str(port["outputFile"] if kind == "parameters" else port["artifacts"][0]["uri"])


def _input_value(found: re.Match[str], given: Document) -> str:
    kind, name, what, key = found.groups()
    if kind == "parameters":
        return shown(given["inputs"]["parameterValues"].get(name, ""))
    artifacts = given["inputs"]["artifacts"].get(name, {}).get("artifacts") or [{}]
    if what == "metadata":
        metadata = artifacts[0].get("metadata") or {}
        return shown(metadata.get(key, "") if key else metadata)
    return str(artifacts[0].get("uri" if what in ("uri", "path") else str(what), ""))


async def _run(command: list[str], job: Job, log: Path, note: Path) -> tuple[int, str]:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(job.folder),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
        "MLOPX_TERMINATION_LOG": str(note),
        **job.environment,
    }
    with open(log, "wb") as file:
        if not command:
            file.write(b"the image's own command is not known here\n")
            return 128, "StartError"
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=file, stderr=file, cwd=job.folder, env=environment, start_new_session=True
            )
        except (OSError, ValueError) as error:
            file.write(f"the command cannot be started: {error}\n".encode())
            return 128, "StartError"
        try:
            async with asyncio.timeout(job.timeout_seconds):
                return await process.wait(), ""
        except TimeoutError:
            return 143, "DeadlineExceeded"
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def _outputs(job: Job, given: Document) -> Values:
    """Executor output first, then files of parameters; artifacts with the metadata that the task added."""
    declared = job.component.get("outputDefinitions") or {}
    path = Path(given["outputs"]["outputFile"])
    told = json.loads(path.read_text()) if path.exists() else {}
    found = Values()
    for name, port in (declared.get("parameters") or {}).items():
        file = Path(given["outputs"]["parameters"][name]["outputFile"])
        if name in (told.get("parameterValues") or {}):
            found.parameters[name] = told["parameterValues"][name]
        elif file.exists():
            found.parameters[name] = typed(file.read_text(), port.get("parameterType", "STRING"))
        elif not port.get("isOptional"):
            raise ValueError(f"output parameter {name!r} was not written")
    for name, port in given["outputs"]["artifacts"].items():
        said = (told.get("artifacts") or {}).get(name, {}).get("artifacts") or [{}]
        merged = {**port["artifacts"][0], **{key: value for key, value in said[0].items() if value}}
        found.artifacts[name] = [merged]
    return found
