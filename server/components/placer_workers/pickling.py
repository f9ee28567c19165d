"""How requests are pickled: what is frequent in them is taken apart several times quicker than by default."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from server.components.collecting import uncollected
from server.domain.node import Load, Node, Occupancy, Snapshot, Taint
from server.domain.packing import packed, unpacked
from server.domain.placement import (
    BoundTask,
    Estimate,
    Estimates,
    PlacementRequest,
    Promise,
    TaskOption,
    WaitingRun,
    WaitingTask,
)
from server.domain.resources import Resources
from server.domain.run import TaskKey
from server.domain.starting import Starts, Wait


def pickled(value: object) -> bytes:
    """A request, or what is made of one, as bytes: what is frequent in it is taken apart quickly."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    with uncollected():
        pickler.dump(value)
    return buffer.getvalue()


def _by_constructor(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Take a value apart into its constructor's arguments: several times quicker than a slotted dataclass' own way."""
    names = [field.name for field in fields(kind)]
    values = attrgetter(*names)
    if len(names) == 1:
        return lambda value: (kind, (values(value),))
    return lambda value: (kind, values(value))


_FREQUENT = (
    BoundTask,
    Estimate,
    Load,
    Node,
    Occupancy,
    PlacementRequest,
    Promise,
    Resources,
    Snapshot,
    Starts,
    Taint,
    TaskKey,
    TaskOption,
    Wait,
    WaitingRun,
    WaitingTask,
)
_REDUCERS: dict[type[Any], Callable[[Any], Any]] = {
    **copyreg.dispatch_table,
    **{kind: _by_constructor(kind) for kind in _FREQUENT},
    Estimates: lambda value: (unpacked, (value.profile_of, value.column_of, *packed(value), value.starts)),
}


__all__ = ["pickled"]
