"""`mlopx-server check`: could the server start here, and what does it know of the nodes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from server.cli.rbac import check_kubeflow
from server.cluster.interface import NodesSeen
from server.components.clock import SteadyClock
from server.components.decision_unit import load_placer, placers
from server.domain.errors import ConfigurationError, MlopxError
from server.platforms.local.cluster_file import default_cluster, read_cluster, usable_cores, usable_memory_bytes
from server.settings import Settings, load
from server.stores.engines import open_engine

Row = tuple[str, bool, str]


def check_all() -> list[Row]:
    """What was looked at, whether it is fine, and the detail."""
    try:
        settings, _ = load()
    except MlopxError as error:
        return [("settings", False, str(error))]
    looks = {"state": _state, "database": _database, "platform": _platform, "placer": _placer}
    return [
        ("settings", True, "readable"),
        *(_row(name, look, settings) for name, look in looks.items()),
        *_nodes(settings),
        *_loads(settings),
    ]


def _row(name: str, look: Callable[[Settings], str], settings: Settings) -> Row:
    try:
        return (name, True, look(settings))
    except MlopxError as error:
        return (name, False, str(error))


def _state(settings: Settings) -> str:
    from server.state_folder import prepare_state

    return str(prepare_state(settings.state_dir))


def _platform(settings: Settings) -> str:
    from server.connecting import require_platform

    return require_platform(settings)


def _database(settings: Settings) -> str:
    engine = open_engine(settings.database)
    try:
        with engine.connect() as connection:
            return f"{connection.dialect.name} answers"
    except Exception as error:
        raise ConfigurationError(f"the database does not answer: {error}") from error
    finally:
        engine.dispose()


def _placer(settings: Settings) -> str:
    found = placers.get(settings.placer) or load_placer(settings.placer)
    return f"{settings.placer}: {found.summary}"


def _nodes(settings: Settings) -> list[Row]:
    if settings.platform_name != "local":
        return [check_kubeflow(settings), *_cluster()]
    try:
        if settings.cluster_file is not None:
            cluster = read_cluster(settings.cluster_file, usable_cores())
        else:
            cluster = default_cluster(usable_cores(), usable_memory_bytes())
    except MlopxError as error:
        return [("nodes", False, str(error))]
    rows = []
    for node in cluster.nodes:
        has = node.allocatable
        text = f"{has.cpu_millicores / 1000:g} cpus at speed {node.speed:g}, {has.memory_bytes / 2**30:.1f} GiB"
        rows.append((f"node {node.name}", True, text))
    return [*rows, *[("nodes", False, warning) for warning in cluster.warnings]]


def _cluster() -> list[Row]:
    """What the Kubernetes API tells now: each node, and what the namespace's quotas leave."""
    from server.cli.live_cluster import cluster_of

    try:
        seen = cluster_of(None, [])
    except MlopxError as error:
        return [("nodes", False, str(error))]
    held: dict[str, int] = {}
    for one in seen.occupancies:
        held[one.node] = held.get(one.node, 0) + one.requests.cpu_millicores
    rows = []
    for node in seen.nodes:
        has = node.allocatable
        text = f"{has.cpu_millicores / 1000:g} cpus ({held.get(node.name, 0) / 1000:g} held by pods)"
        text += f", {has.memory_bytes / 2**30:.1f} GiB, {node.architecture}, zone {node.zone or 'unknown'}"
        text += "" if node.is_ready else ", not ready"
        rows.append((f"node {node.name}", True, text + ("" if node.is_schedulable else ", cordoned")))
    left = seen.limits.left() if seen.limits is not None else {}
    rows += [(f"quota {name}", True, text) for name, text in left.items()]
    return [*rows, *[("kubernetes", False, problem) for problem in seen.problems]]


def _loads(settings: Settings) -> list[Row]:
    """What Prometheus measures now: the load of each node with its age and how the node was recognised."""
    if settings.prometheus_url is None:
        return []
    try:
        seen = asyncio.run(_look(settings))
    except MlopxError as error:
        return [("prometheus", False, str(error))]
    rows = [("prometheus", True, f"knows the load of {len(seen.loads)} nodes")]
    for name, found in sorted(seen.loads.items()):
        age = (seen.seen_at - found.measured_at).total_seconds()
        parts = {"cpu": found.cpu_fraction, "memory": found.memory_fraction}
        text = ", ".join(f"{part} {'unknown' if share is None else f'{share:.0%}'}" for part, share in parts.items())
        rows.append((f"load {name}", True, f"{text}, {age:.0f} s ago ({found.source})"))
    return [*rows, *[("prometheus", False, problem) for problem in seen.problems]]


async def _look(settings: Settings) -> NodesSeen:
    from server.connecting import measured_loads

    clock = SteadyClock(time.time, time.monotonic)  # noqa: TID251 - a command of its own, with the machine's clock
    async with contextlib.AsyncExitStack() as stack:
        (source,) = measured_loads(settings, clock.now, stack, known=list)
        return await source.look()
