"""`mlopx-server check`: could the server start here, and what does it know of the nodes."""

from __future__ import annotations

from collections.abc import Callable

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
    ]


def _row(name: str, look: Callable[[Settings], str], settings: Settings) -> Row:
    try:
        return (name, True, look(settings))
    except MlopxError as error:
        return (name, False, str(error))


def _state(settings: Settings) -> str:
    from server.bootstrap import prepare_state

    return str(prepare_state(settings.state_dir))


def _platform(settings: Settings) -> str:
    from server.bootstrap import require_platform

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
        return []
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
