"""Kubeflow's double in a process of its own: what is measured does not pay for it. It ends with its standard input.

It prints one JSON line with its addresses, and one for each run that is created: the instant, in seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from server.testing.kfp import KubeflowDouble, VirtualNode
from server.testing.kfp.records import RunRecord
from server.testing.kfp.workflow import Workflow

TASKS = 5
"""Tasks of each run that is there from the start."""

ROOT = Path(__file__).resolve().parent.parent


class Telling(KubeflowDouble):
    """A double that says when a run is created."""

    def create(self, body: Any, *, user: str = "") -> RunRecord:
        print(json.dumps({"created": time.time()}), flush=True)
        return super().create(body, user=user)


@contextmanager
def double(folder: Path, runs: int = 0) -> Iterator[tuple[Popen[str], dict[str, str]]]:
    """The process and its addresses (`kfp`, `kube`), with so many active runs in it, called `run-0` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.kubeflow_double", str(folder), str(runs)]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def task_names() -> list[str]:
    """The tasks of each run that is there from the start."""
    return [f"task-{number}" for number in range(TASKS)]


async def _main(folder: Path, runs: int) -> None:
    nodes = [VirtualNode(f"node-{number}", cpu="8") for number in range(8)]
    found = Telling(folder, nodes, now=_now)
    async with found.serve() as (url, kube_url):
        for number in range(runs):
            _add(found, number)
        print(json.dumps({"kfp": url, "kube": kube_url}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _add(found: KubeflowDouble, number: int) -> None:
    """A run of ours in the middle: its first task is done, the second runs, the others wait."""
    record = RunRecord(f"kfp-{number}", f"bench mlopx/run-{number}", _now(), namespace="kubeflow", state="RUNNING")
    found.runs[record.id] = record
    workflow = Workflow(found.kube.objects, f"bench-{number}", "kubeflow", record.id, _now())
    for name, phase in zip(task_names()[:2], ("Succeeded", "Running"), strict=True):
        workflow.put(f"root.{name}.executor", "Pod", phase, _now(), hostNodeName=f"node-{number % 8}")


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
