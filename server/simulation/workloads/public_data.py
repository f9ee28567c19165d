"""Finds the folder with public traces, which come with nobody's licence to ship them: MLOPX_BENCH_DATA names it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from server.simulation.problems import ScenarioError

VARIABLE = "MLOPX_BENCH_DATA"


def data_path(*parts: str) -> Path:
    """A file or folder of the public data. Raises ScenarioError that says what is missing."""
    base = os.environ.get(VARIABLE)
    if not base:
        raise ScenarioError(
            f"this scenario reads {'/'.join(parts)} from the folder that {VARIABLE} names, and {VARIABLE} is not set",
            hint=f"set {VARIABLE} to the folder; docs/simulation.md says what must be in it",
        )
    path = Path(base, *parts)
    if not path.exists():
        raise ScenarioError(
            f"{path}: is not there", hint=f"{VARIABLE} is {base}; docs/simulation.md says what belongs in it"
        )
    return path


def read_document(path: Path) -> Any:
    """A JSON file. Raises ScenarioError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None


__all__ = ["VARIABLE", "data_path", "read_document"]
