"""What a server without work costs: CPU and memory of its process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.definitions import single
from benchmarks.ground import serving
from benchmarks.measure import Measure
from benchmarks.overhead import NODES

SETTLE_SECONDS = 5.0
IDLE_SECONDS = 20.0
BARE = """
import pathlib, fastapi, sqlalchemy, pydantic, uvicorn
print(next(x for x in pathlib.Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS")).split()[1])
"""


def measure(folder: Path) -> Iterator[Measure]:
    """CPU share and resident memory of an idle server that has run something before."""
    with serving(folder / "idle", NODES) as server:
        server.ended(server.client.submit(single.build())["run_id"])
        time.sleep(SETTLE_SECONDS)
        before, begin = server.cpu_seconds(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        share = (server.cpu_seconds() - before) / (time.monotonic() - begin)
        resident = server.resident_mib()
    bare = int(subprocess.run([sys.executable, "-c", BARE], check=True, capture_output=True, text=True).stdout) / 1024
    yield Measure("idle server, CPU", share * 100, "% of a core", most=1)
    yield Measure(
        "server process, resident", resident, "MiB", most=150, baseline=bare, baseline_name="its imports alone"
    )
