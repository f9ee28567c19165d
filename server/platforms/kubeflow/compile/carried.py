"""The command that a pod runs: our runtime and the user's source, packed into it. Nothing is installed at its start."""

from __future__ import annotations

import base64
import functools
import json
import zlib
from pathlib import Path
from typing import Any

from mlopx.runtime import source as runtime_source
from mlopx.spec import ArtifactInput, Component, FunctionCode

BOOT = (
    "import base64,sys,zlib\n"
    "n={{'__name__':'mlopx','__file__':'<mlopx>'}}\n"
    "exec(compile(zlib.decompress(base64.b64decode('{program}')),'<mlopx>','exec'),n)\n"
    "n['pod'](sys.argv[1:])  # stands in for kfp.dsl.executor_main\n"
)
"""Base64, since base85 has braces and dollars, in which Kubeflow and Argo see placeholders. `kfp.local` runs a command
only if it names the SDK's own executor."""


def command_of(component: Component, facts: dict[str, str]) -> tuple[list[str], list[str]]:
    """Command and arguments for a function component. `facts`: input -> what of the run's end it is told.

    They say nothing of the task, so equal components give equal texts, which Kubeflow stores once.
    """
    return (
        ["python3", "-c", _boot()],
        [_packed(payload_of(component, facts)), "{{$}}", "{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}"],
    )


def payload_of(component: Component, facts: dict[str, str]) -> dict[str, Any]:
    """What the pod needs to know of the component."""
    code = component.code
    assert isinstance(code, FunctionCode), "containers bring their own command"
    found: dict[str, Any] = {"entrypoint": code.entrypoint, "source": code.source, "file": code.file, "line": code.line}
    found["inputs"] = {name: _input(port) for name, port in component.inputs.items() if name not in facts}
    found["outputs"] = {name: {"kind": port.kind, "type": port.type} for name, port in component.outputs.items()}
    if component.packages:
        found["packages"] = list(component.packages)
    if facts:
        found["facts"] = facts
    return found


def program() -> str:
    """The program that travels: the runtime, and what makes it at home in a pod."""
    return (
        runtime_source().replace('\nif __name__ == "__main__":\n    sys.exit(main(sys.argv))\n', "\n") + _pod_source()
    )


def carried_bytes(container: dict[str, Any]) -> int:
    """How large a container's command and arguments are as carried."""
    return sum(len(str(part).encode()) for part in (*container.get("command", ()), *container.get("args", ())))


def unpacked(text: str) -> str:
    """A packed text (the program or a payload), for people."""
    return zlib.decompress(base64.b64decode(text)).decode()


def _input(port: Any) -> dict[str, Any]:
    found = {"kind": port.kind, "type": port.type}
    return {**found, "is_list": True} if isinstance(port, ArtifactInput) and port.is_list else found


@functools.cache
def _boot() -> str:
    return BOOT.format(program=_pack(program()))


def _packed(document: dict[str, Any]) -> str:
    return _pack(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


@functools.cache
def _pod_source() -> str:
    return Path(__file__).with_name("pod.py").read_text(encoding="utf-8")


__all__ = ["carried_bytes", "command_of", "payload_of", "program", "unpacked"]
