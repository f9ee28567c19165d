"""`mlopx-server profile-node`: how fast this machine is, per kind of work."""

from __future__ import annotations

import json as json_module
import os
import socket
from pathlib import Path
from typing import Annotated

import typer


def profile_node(
    node: Annotated[str | None, typer.Option(help="Name of the node; by default the host's.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder on the disk to measure.")] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu/--no-gpu", help="Whether to try an accelerator (idle nodes only).")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Folder to write NODE.json into, for NODE_PROFILES.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a line for `estimate --profiles` instead of JSON.")] = False,
) -> None:
    """Measure this machine in about ten seconds: arithmetic, matrix products, memory, disk, accelerator."""
    from server.cluster.profiling import UNITS, profile

    if folder is not None and not folder.is_dir():
        typer.echo(f"error: --folder {folder} is not a folder", err=True)
        raise SystemExit(2)
    found = profile(node or os.environ.get("NODE_NAME") or socket.gethostname(), folder, is_gpu_wanted=gpu)
    for note in found.notes:
        typer.echo(f"note: not measured: {note}", err=True)
    text = json_module.dumps(found.document(), indent=1)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{found.node}.json").write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            typer.echo(f"error: {out} cannot be written: {error.strerror}", err=True)
            raise SystemExit(2) from None
    if not csv:
        typer.echo(text)
        return
    speeds = found.speeds
    typer.echo(",".join(["node", "cpus", "memory_bytes", *(f"speed_{kind}" for kind in UNITS)]))
    cells = [found.node, found.cpus, found.memory_bytes, *(speeds.get(kind, "") for kind in UNITS)]
    typer.echo(",".join(str(cell) for cell in cells))
