"""Which runs are left out: drawn by their ids, so that the draw can be checked afterwards and nobody can steer it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_WHOLE = 2**64


@dataclass(frozen=True, slots=True)
class Holdout:
    """A share (0 to 1) of runs. Another salt draws others."""

    share: float = 0.0
    salt: str = ""

    def is_left_out(self, run_id: str) -> bool:
        """Whether this run goes to the platform's own scheduler; the same answer for the same id and salt."""
        digest = hashlib.sha256(f"{self.salt}\0{run_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.share * _WHOLE


NOBODY = Holdout()


def read_share(text: str) -> float:
    """`10%` or `0.1` as 0.1. Raises ValueError for anything else."""
    stripped = text.strip()
    number = float(stripped.removesuffix("%")) / (100 if stripped.endswith("%") else 1)
    if not 0 <= number <= 0.9:
        raise ValueError("a holdout is a share between 0 and 90 %")
    return number


__all__ = ["NOBODY", "Holdout", "read_share"]
