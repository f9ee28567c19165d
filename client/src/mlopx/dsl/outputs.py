"""Outputs by name: of a task, or of a nested pipeline."""

from __future__ import annotations

import difflib

from mlopx.dsl.handles import Handle
from mlopx.dsl.where import here
from mlopx.errors import DefinitionError


class Outputs:
    """A task's outputs by name: `train.outputs["model"]` or `train.outputs.model`."""

    def __init__(self, owner: str, handles: dict[str, Handle]) -> None:
        self._owner, self._handles = owner, handles

    def __getitem__(self, name: str) -> Handle:
        if name not in self._handles:
            close = difflib.get_close_matches(str(name), self._handles, 1)
            known = ", ".join(self._handles) or "none"
            raise DefinitionError(
                f"{self._owner} has no output {name!r} (it has: {known})",
                hint=f"did you mean {close[0]!r}?" if close else None,
                where=here(),
            )
        return self._handles[name]

    def __getattr__(self, name: str) -> Handle:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


__all__ = ["Outputs"]
