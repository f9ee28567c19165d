"""Measures this machine in seconds: what one core and all of them compute, matrix products, memory, disk, accelerator.

Each figure is the best of a few short tries, so that a busy moment does not make a machine look slow. Speeds are
relative to `REFERENCE`, so that 2.0 means twice as fast. The next step is `server.cluster.profiles`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

PROFILE_VERSION = 1
UNITS: Mapping[str, str] = {
    "single": "million steps/s of one core",
    "multi": "million steps/s of all cores",
    "gemm": "GFLOP/s, float64, all cores",
    "memory": "GB/s copied",
    "disk": "MB/s written and flushed",
    "gpu": "GFLOP/s, float32, one accelerator",
}
REFERENCE: Mapping[str, float] = {
    "single": 12.0, "multi": 12.0, "gemm": 40.0, "memory": 8.0, "disk": 500.0, "gpu": 10_000.0,
}  # fmt: skip
"""What a speed of 1 is: one core of a usual cloud machine of 2023, its memory and disk; a mid-range accelerator."""

TRIES, TRY_SECONDS = 3, 0.6
GEMM_SIZE, GPU_SIZE = 768, 4096
COPY_BYTES, DISK_BYTES = 64 * 2**20, 96 * 2**20
BUSY = 0.5
"""Load per core above which a profile says that it was taken on a busy machine."""

STEPS = """
def steps(seconds, clock):
    done, value, end = 0, 1, clock() + seconds
    while clock() < end:
        for _ in range(20000):
            value = (value * 1103515245 + 12345) & 0x7FFFFFFF
        done += 20000
    return done / seconds / 1e6
"""


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What was measured, in the units of `UNITS`, and the speeds that follow; a kind that could not be is absent."""

    node: str
    cpus: int
    memory_bytes: int
    measured: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def speeds(self) -> dict[str, float]:
        """Relative speeds by kind of work."""
        return {kind: round(value / REFERENCE[kind], 4) for kind, value in self.measured.items()}

    def document(self) -> dict[str, object]:
        """The profile as JSON."""
        figures = {kind: {"value": round(value, 3), "unit": UNITS[kind]} for kind, value in self.measured.items()}
        return {
            "profile_version": PROFILE_VERSION,
            "node": self.node,
            "cpus": self.cpus,
            "memory_bytes": self.memory_bytes,
            "speeds": self.speeds,
            "measured": figures,
            "seconds": round(self.seconds, 1),
            "notes": list(self.notes),
        }


def profile(node: str, folder: Path | None = None, *, is_gpu_wanted: bool = True) -> NodeProfile:
    """Measure this machine, in well under 30 s. `folder` is where the disk is tried. What fails becomes a note."""
    began = perf_counter()
    kinds: dict[str, Callable[[], float]] = {
        "single": _single,
        "multi": _multi,
        "gemm": _gemm,
        "memory": _memory,
        "disk": lambda: _disk(folder),
    }
    if is_gpu_wanted:
        kinds["gpu"] = _gpu
    measured, notes = {}, _busy()
    for kind, measure in kinds.items():
        try:
            measured[kind] = measure()
        except Exception as error:  # a machine without one thing still has the others
            notes.append(f"{kind}: {type(error).__name__}: {error}")
    return NodeProfile(node, _cpus(), _memory_bytes(), measured, perf_counter() - began, tuple(notes))


def _busy() -> list[str]:
    load = os.getloadavg()[0] / _cpus() if hasattr(os, "getloadavg") else 0.0
    return [f"the machine was busy (load {load:.1f} per core); figures may be too low"] if load > BUSY else []


def _single() -> float:
    """By CPU time: who else runs does not count."""
    room: dict[str, Callable[[float, Callable[[], float]], float]] = {}
    exec(STEPS, room)  # the very text that the processes of `_multi` run
    return max(room["steps"](TRY_SECONDS, process_time) for _ in range(TRIES))


def _multi() -> float:
    """All cores at once, one process each, because threads of one interpreter would wait for each other."""
    best = f"max(steps({TRY_SECONDS}, perf_counter) for _ in range({TRIES}))"
    command = [sys.executable, "-c", f"from time import perf_counter\n{STEPS}\nprint({best})"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(_cpus())]
    return sum(float(process.communicate(timeout=20)[0]) for process in running)


def _gemm() -> float:
    import numpy as np

    left = np.random.default_rng(1).random((GEMM_SIZE, GEMM_SIZE))
    return _rate(lambda: left @ left, 2 * GEMM_SIZE**3 / 1e9)


def _memory() -> float:
    import numpy as np

    source, target = np.ones(COPY_BYTES // 8), np.empty(COPY_BYTES // 8)
    return _rate(lambda: np.copyto(target, source), 2 * COPY_BYTES / 1e9)


def _disk(folder: Path | None) -> float:
    block = os.urandom(2**20)

    def write() -> None:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for _ in range(DISK_BYTES // len(block)):
                file.write(block)
            os.fsync(file.fileno())

    return _rate(write, DISK_BYTES / 1e6, seconds=1.0)


def _gpu() -> float:
    """With torch or CuPy, whichever is there. Raises LookupError without an accelerator."""
    work = 2 * GPU_SIZE**3 / 1e9
    try:
        import torch
    except ImportError:
        torch = None
    if torch is not None and torch.cuda.is_available():
        left = torch.rand((GPU_SIZE, GPU_SIZE), device="cuda")

        def multiply() -> None:
            left @ left
            torch.cuda.synchronize()

        multiply()
        return _rate(multiply, work)
    try:
        import cupy
    except ImportError:
        raise LookupError("no torch with CUDA, and no CuPy") from None
    matrix = cupy.random.rand(GPU_SIZE, GPU_SIZE, dtype=cupy.float32)

    def product() -> None:
        matrix @ matrix
        cupy.cuda.Device().synchronize()

    product()
    return _rate(product, work)


def _rate(work: Callable[[], object], amount: float, seconds: float = TRY_SECONDS) -> float:
    """Amount per second in the quickest of several goes, for about this long."""
    best, end = 0.0, perf_counter() + seconds * TRIES
    while True:
        began = perf_counter()
        work()
        best = max(best, amount / max(perf_counter() - began, 1e-9))
        if perf_counter() > end:
            return best


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


__all__ = ["REFERENCE", "UNITS", "NodeProfile", "profile"]
