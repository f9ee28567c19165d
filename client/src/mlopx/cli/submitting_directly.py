"""`mlopx submit --direct`: the command of mlopx-server creates the run on Kubeflow; no server takes part."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from mlopx.errors import UsageError

COMMAND = "import sys; sys.path[:] = {path!r}; from server.cli import main; main()"
"""Looks for modules where this command found them: the folder it is called in may have a `server` of its own."""


def submit(
    file: Path,
    pairs: list[str],
    values: Mapping[str, object],
    flags: Mapping[str, bool],
    unknown: Mapping[str, object],
) -> NoReturn:
    """Run `mlopx-server submit`, and end with its exit code. Raises UsageError for what makes no sense there."""
    for name, value in unknown.items():
        if value is not None:
            raise UsageError(f"{name} means nothing with --direct: Kubeflow has no queue of ours", hint="leave it away")
    if importlib.util.find_spec("server") is None or importlib.util.find_spec("server.cli") is None:
        raise UsageError(
            "--direct compiles with the package mlopx-server, which is not installed here",
            hint="install it beside the client (no server needs to run), or submit to a server",
        )
    words = [str(file)]
    for pair in pairs:
        words += ["-p", pair]
    for name, value in values.items():
        words += [name, str(value)] if value is not None else []
    words += [name for name, is_on in flags.items() if is_on]
    program = COMMAND.format(path=sys.path)
    ended = subprocess.run([sys.executable, "-P", "-c", program, "submit", *words], check=False)
    raise SystemExit(ended.returncode)


__all__ = ["submit"]
