"""Says in words what data sets had to do with a placement: who has them, who would have to fetch them, how long."""

from __future__ import annotations

from collections.abc import Iterable

from server.domain.network import NodeNetwork
from server.domain.placement import WaitingTask

MOST_OTHERS = 1
"""So many other nodes are named."""


def told_of_data(task: WaitingTask, node: str, others: Iterable[str], network: NodeNetwork | None) -> str:
    """A clause for the reason of a placement on `node` rather than on `others`; empty where data played no part.

    "node b has the data set photos; a would fetch 4 GB, 40 s"
    """
    if network is None or not task.datasets:
        return ""
    has, lacks = _parted(task, node)
    said = []
    if has:
        names = ", ".join(has)
        said.append(f"node {node} has the data set{'s' if len(has) > 1 else ''} {names}")
    if lacks:
        said.append(f"node {node} fetches {_fetching(task, node, lacks, network)}")
    for other in [one for one in others if one != node][:MOST_OTHERS]:
        missing = _parted(task, other)[1]
        if missing and missing != lacks:
            said.append(f"{other} would fetch {_fetching(task, other, missing, network)}")
        elif not missing and lacks:
            said.append(f"{other} has {'them' if len(lacks) > 1 else 'it'}")
    return "; ".join(said)


def amount(size_bytes: float) -> str:
    """Bytes for people, in powers of ten: 4 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def _parted(task: WaitingTask, node: str) -> tuple[list[str], list[str]]:
    has = [one.name for one in task.datasets if node in one.nodes]
    return has, [one.name for one in task.datasets if node not in one.nodes]


def _fetching(task: WaitingTask, node: str, names: list[str], network: NodeNetwork) -> str:
    wanted = [one for one in task.datasets if one.name in names]
    size, seconds = sum(one.size_bytes for one in wanted), network.seconds({}, node, wanted)
    return f"{amount(size)}, {seconds:.3g} s"


__all__ = ["amount", "told_of_data"]
