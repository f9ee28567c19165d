"""Secrets of the local platform: one file per key, in one folder per secret."""

from __future__ import annotations

from pathlib import Path


def read_secret(folder: Path, name: str, key: str) -> str | None:
    """The value of a secret's key: the content of a file, or None."""
    path = folder / name / key
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return path.read_text().rstrip("\n")


__all__ = ["read_secret"]
