"""`mlopx rerun --local`: one task of a run, here, with the inputs it had; `--pdb` stops in the debugger."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from mlopx.cli.finding import find_run
from mlopx.errors import RunFailedError, UsageError
from mlopx.remote import Client


def rerun(client: Client, run: str, task: str, *, with_debugger: bool) -> None:
    """Fetch what the task was given, and run it in this process. Raises RunFailedError if it fails."""
    from mlopx.runtime import task as runtime

    name = find_run(client, run)
    launch = client.get(f"/api/v1/runs/{name}/launch", task=task)
    code = launch["component"]["code"]
    if code["kind"] != "function":
        raise UsageError(f"task {task} is a container's command; only Python functions can be run here")
    folder = Path(tempfile.mkdtemp(prefix="mlopx-rerun-"))
    manifest = {
        "manifest_version": 1,
        "run_id": name,
        "task": task,
        "attempt": launch["attempt"],
        "node": "here",
        "option": launch["option"],
        "entrypoint": code["entrypoint"],
        "source": code["source"],
        "file": code.get("file"),
        "line": code.get("line"),
        "inputs": {port: _input(client, folder, launch, port, given) for port, given in launch["arguments"].items()},
        "outputs": _outputs(launch["component"].get("outputs", {}), folder),
        "result_path": str(folder / "result.json"),
    }
    sys.stdout.write(f"running {task} of {name} here, in {folder}\n")
    sys.stdout.flush()
    if with_debugger:
        _debug(runtime, manifest)
        return
    result = runtime.run(manifest)
    if result["state"] != "succeeded":
        error = result["error"]
        raise RunFailedError(
            f"task {task} failed here too: {error['message']}",
            hint=error["hint"] or f"stop where it fails: mlopx rerun {name} {task} --local --pdb",
        )
    values = {port: output.get("value", output.get("path")) for port, output in result["outputs"].items()}
    sys.stdout.write(f"it succeeded: {json.dumps(values)}\n")


def _debug(runtime: Any, manifest: dict[str, Any]) -> None:
    import pdb
    import traceback

    try:
        runtime._run(manifest)
    except Exception:
        traceback.print_exc()
        pdb.post_mortem(sys.exc_info()[2])
    else:
        sys.stdout.write("it succeeded here\n")


def _input(client: Client, folder: Path, launch: dict[str, Any], port: str, given: dict[str, Any]) -> dict[str, Any]:
    if given["kind"] == "artifact":
        return {"kind": "artifact", **_fetch(client, folder / "inputs" / port, given)}
    if given["kind"] == "artifacts":
        items = [
            _fetch(client, folder / "inputs" / f"{port}-{index}", item) for index, item in enumerate(given["items"])
        ]
        return {"kind": "artifacts", "type": items[0]["type"], "items": items}
    if given["kind"] == "volume-path":
        return {"kind": "parameter", "type": "str", "value": _volume_path(given)}
    declared = launch["component"]["inputs"][port]
    if declared["kind"] == "artifact":
        return {"kind": "artifacts", "type": declared["type"], "items": []}
    return {"kind": "parameter", "type": declared["type"], "value": given["value"]}


def _fetch(client: Client, path: Path, given: dict[str, Any]) -> dict[str, Any]:
    content, media_type = client.download(given["download"])
    path.parent.mkdir(parents=True, exist_ok=True)
    if media_type in ("application/x-tar", "application/gzip"):  # a folder; files have neither type
        path.mkdir()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(path, filter="data")
    else:
        path.write_bytes(content)
    return {"type": given["type"], "path": str(path), "metadata": given["metadata"]}


def _volume_path(given: dict[str, Any]) -> str:
    """Where a volume's file lies here: below MLOPX_VOLUME_NAME, else the data folder of a checkout."""
    import os

    variable = f"MLOPX_VOLUME_{given['volume'].upper().replace('-', '_')}"
    for root in (os.environ.get(variable), "data"):
        if root is not None and (Path(root) / given["path"]).exists():
            return str((Path(root) / given["path"]).resolve())
    raise UsageError(
        f"volume {given['volume']!r} has no {given['path']!r} on this machine", hint=f"set {variable} to its folder"
    )


def _outputs(declared: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = {}
    for port, output in declared.items():
        found[port] = dict(output)
        if output["kind"] == "artifact":
            found[port]["path"] = str(folder / "outputs" / port)
    return found
