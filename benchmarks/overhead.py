"""What the control plane costs per task: a chain of tasks that do nothing, and the same pipeline under `kfp.local`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

from benchmarks.definitions import CHAIN_LENGTH, chain, three
from benchmarks.ground import BenchServer, serving
from benchmarks.measure import Measure
from mlopx import Pipeline

NODES = """
[agent]
preload = []
[[node]]
name = "full"
cpus = 2
memory = "1Gi"
"""
KFP = "kfp==2.14.6"
KFP_SCRIPT = Path(__file__).with_name("kfp_local.py")
ROUNDS = 5


def measure(folder: Path, environments: Path) -> Iterator[Measure]:
    """Overhead per task of ours, of bare processes, and of `kfp.local` in an environment of its own."""
    with serving(folder / "overhead", NODES, ENABLE_CACHING="false", PLACER="fifo_greedy") as server:
        chained = _turnaround(server, chain) / CHAIN_LENGTH
        bare = _bare_process_seconds()
        yield Measure(
            f"chain of {CHAIN_LENGTH} no-ops, per task",
            chained * 1000,
            "ms",
            most=60,
            baseline=bare * 1000,
            baseline_name="python -c pass",
        )
        ours = median(_turnaround(server, three) / 3 for _ in range(ROUNDS))
    theirs = _kfp_local_seconds(environments)
    yield Measure(
        "three-task pipeline, per task",
        ours * 1000,
        "ms",
        baseline=theirs["bare"] * 1000,
        baseline_name="kfp.local without its package check",
    )
    yield Measure("kfp.local as it comes, per task, over ours", theirs["default"] / ours, "times", least=10)


def _turnaround(server: BenchServer, definition: Pipeline) -> float:
    run = server.ended(server.client.submit(definition.build())["run_id"])
    return (datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["submitted_at"])).total_seconds()


def _bare_process_seconds() -> float:
    def once() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return time.perf_counter() - begin

    return median(once() for _ in range(20))


def _kfp_local_seconds(environments: Path) -> dict[str, float]:
    folder = environments / "kfp" / "bin"
    python = str(folder / "python")
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", str(environments / "kfp")], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", KFP], check=True)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # its tasks call `python3`, which must be the one with kfp
    answer = subprocess.run(
        [python, str(KFP_SCRIPT)], check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found
