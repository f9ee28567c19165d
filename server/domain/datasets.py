"""Data sets that somebody registered: how large they are, where they lie, which nodes hold copies, who reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlopx.spec import Const, Task, Volume, VolumePath


@dataclass(frozen=True, slots=True)
class DatasetCopy:
    """A node holds the whole data set, as was known at `seen_at` from `source` (`stated`, or `a task that read it`)."""

    node: str
    seen_at: datetime
    source: str = "stated"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A registered data set.

    Attributes:
        name: what people and hints call it.
        place: a folder, `nfs://server/export/path`, `pvc://claim/path`, or a URL of an object store.
        size_bytes: of all its files.
        digest: checksum as `algorithm:hex`, empty if unknown.
        registered_at: when it was made known, or changed last.
        bytes_per_second: how fast its place gives it away, None: as fast as a node can take it.
        is_kept_where_read: whether a node keeps a copy once a task has read it there.
        copies: by node's name.
    """

    name: str
    place: str
    size_bytes: int
    digest: str
    registered_at: datetime
    bytes_per_second: float | None = None
    is_kept_where_read: bool = False
    copies: tuple[DatasetCopy, ...] = ()

    @property
    def use(self) -> DatasetUse:
        """What a task that reads it finds."""
        nodes = tuple(sorted(one.node for one in self.copies))
        return DatasetUse(self.name, float(self.size_bytes), nodes, self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """A data set as a waiting task finds it: it lies on `nodes`, others fetch it whole from its place."""

    name: str
    size_bytes: float
    nodes: tuple[str, ...] = ()
    bytes_per_second: float | None = None


def uses_of(task: Task, parameters: Mapping[str, Any], datasets: Iterable[Dataset]) -> tuple[DatasetUse, ...]:
    """The data sets that a task reads: those that its hints name, and those in whose place one of its paths, volumes or
    texts lies. `parameters` are the arguments whose values are known."""
    places = [_normal(text) for text in _places(task, parameters)]
    hinted = task.hints.dataset.name if task.hints is not None and task.hints.dataset is not None else None
    return tuple(
        one.use
        for one in sorted(datasets, key=lambda one: one.name)
        if one.name == hinted or any(_is_within(place, _normal(one.place)) for place in places)
    )


def _places(task: Task, parameters: Mapping[str, Any]) -> Iterator[str]:
    volumes = {volume.name: volume for volume in task.volumes}
    used = set()
    for value in task.arguments.values():
        if isinstance(value, VolumePath) and value.volume in volumes:
            used.add(value.volume)
            yield f"{_root(volumes[value.volume])}/{value.path}"
        elif isinstance(value, Const) and isinstance(value.value, str):
            yield value.value
    yield from (value for value in parameters.values() if isinstance(value, str))
    yield from (_root(volume) for name, volume in volumes.items() if name not in used)


def _root(volume: Volume) -> str:
    source = volume.source
    base = f"pvc://{source.claim}" if source.kind == "pvc" else f"nfs://{source.server}{source.path}"
    return f"{base}/{volume.sub_path}"


def _normal(place: str) -> str:
    scheme, mark, rest = place.partition("://")
    path = rest if mark else place
    parts = "/".join(part for part in path.split("/") if part not in ("", "."))
    return f"{scheme}://{parts}" if mark else f"/{parts}" if place.startswith("/") else parts


def _is_within(place: str, of: str) -> bool:
    return place == of or place.startswith(f"{of}/")


__all__ = ["Dataset", "DatasetCopy", "DatasetUse", "uses_of"]
