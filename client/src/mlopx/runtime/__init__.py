"""Runs one task anywhere, with the standard library only. `task.py` is the single file that travels."""

from mlopx.runtime.embed import compressed, source
from mlopx.runtime.task import run

__all__ = ["compressed", "run", "source"]
