"""What the reference library finds for a problem file: run here where it can be installed, else as recorded there.

It needs Python 3.12 or newer; an environment of its own is made once, in `results/bench/environments/saga`.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIBRARY = "anrg-saga==2.1.0"
PYTHONS = ("python3.14", "python3.13", "python3.12")
SIDE = Path(__file__).with_name("reference_side.py")
SPEED = Path(__file__).with_name("reference_speed.py")
LONGEST_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Reference:
    """The makespan of every algorithm that gave a valid schedule, and the CPU seconds of those that ran here."""

    makespans: dict[str, float]
    cpu_seconds: dict[str, float]

    @property
    def best(self) -> float:
        """The shortest makespan of all; infinite where there is none."""
        return min(self.makespans.values(), default=float("inf"))


def measured(paths: Sequence[Path], environments: Path) -> dict[Path, Reference] | None:
    """What the library finds now; None where it cannot be installed."""
    python = _environment(environments / "saga")
    if python is None:
        return None
    ended = subprocess.run(
        [python, SIDE, *paths],
        env={**os.environ, "PYTHONHASHSEED": "0"},  # it breaks ties by the order of a set
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST_SECONDS * len(paths),
    )
    found = {}
    for line in ended.stdout.splitlines():
        answer = json.loads(line)
        valid = {name: one for name, one in answer["results"].items() if "makespan" in one}
        found[Path(answer["file"])] = Reference(
            {name: one["makespan"] for name, one in valid.items()},
            {name: one["cpu_seconds"] for name, one in valid.items()},
        )
    return found


def heft_seconds(tasks: int, nodes: int, seeds: Sequence[int], environments: Path) -> list[float] | None:
    """CPU seconds of the library's HEFT now, one graph of that size per seed; None where it cannot be installed."""
    python = _environment(environments / "saga")
    if python is None:
        return None
    command = [python, SPEED, *map(str, (tasks, nodes, *seeds))]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS)
    found: list[float] = json.loads(ended.stdout)
    return found


def recorded(path: Path) -> Reference:
    """What the file says that the library found; empty where it says nothing."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        said = json.load(file).get("reference", {})
    return Reference({name.removesuffix("Scheduler"): makespan for name, makespan in said.items()}, {})


@cache
def _environment(folder: Path) -> Path | None:
    """An interpreter that has the library; None if there is no Python for it or it cannot be installed."""
    python = folder / "bin" / "python"
    if (
        python.exists()
        and subprocess.run([python, "-c", "import saga"], check=False, capture_output=True).returncode == 0
    ):
        return python
    for name in PYTHONS:
        found = shutil.which(name)
        if found is None or subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode != 0:
            continue
        made = subprocess.run([found, "-m", "venv", "--clear", folder], check=False, capture_output=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LIBRARY]
        if made.returncode == 0 and subprocess.run(install, check=False, capture_output=True).returncode == 0:
            return python
    return None


__all__ = ["Reference", "heft_seconds", "measured", "recorded"]
