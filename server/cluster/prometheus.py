"""What is measured on the nodes, from Prometheus: load, pressure, memory, disk, network, accelerators.

It adds to nodes that other sources name; it invents none. What is missing, stale or nonsense is unknown, never idle.
Figures are damped, so that one busy second does not move every task elsewhere.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from server.cluster.identity import Identities, Labels
from server.cluster.interface import NodeSourceInterface, NodesSeen
from server.domain.errors import ConfigurationError, UnavailableError
from server.domain.node import Load

MIB = 2**20
USED_UP = ("node_", "DCGM_", "cpu_idle", "cpus")
"""Figures from which others are made, and which are not shown themselves."""

DAMPING_SECONDS = 20.0
TIMEOUT_SECONDS = 5.0
MOST_NAMED = 5
SHARES = frozenset(
    {"cpu_pressure", "memory_pressure", "io_pressure", "disk_busy", "gpu_fraction", "gpu_memory_fraction"}
)
Series = tuple[Labels, float]


class PrometheusLoads(NodeSourceInterface):
    """Asks the queries that it is given, all at once. `known` names the nodes that other sources know.

    `stale_seconds` is how old a sample may be (or how far in the future, by another clock), `patience_seconds` how long
    an answer may take; `label` names the label that holds the node, where no usual one does.
    """

    name = "prometheus"

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        queries: Mapping[str, str],
        known: Callable[[], Iterable[str]],
        now: Callable[[], datetime],
        label: str | None = None,
        stale_seconds: float = 60.0,
        patience_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._client, self._queries, self._known, self._now = client, queries, known, now
        self._label, self._stale_seconds, self._patience_seconds = label, stale_seconds, patience_seconds
        self._last: dict[str, Load] = {}

    async def look(self) -> NodesSeen:
        answers = await asyncio.gather(*(self._ask(text) for text in self._queries.values()))
        found = dict(zip(self._queries, answers, strict=True))
        now = self._now()
        identities = Identities(self._known(), self._label, (labels for labels, _ in found["gauges"]))
        reading = _Reading(identities)
        for labels, value in found["ages"]:
            reading.note(labels, "measured_at", value)
        for labels, value in found["rates"]:
            reading.note(labels, labels.get("figure", ""), value)
        for labels, value in found["gauges"]:
            reading.note(labels, labels.get("__name__", ""), value)
        loads, stale, early = self._loads(reading, now)
        problems = reading.problems()
        if stale:
            problems.append(f"no fresh samples of {_listed(stale)}: their load is unknown")
        if early:
            problems.append(f"samples of {_listed(early)} are from the future: a clock is wrong, their load is unknown")
        self._last = loads
        return NodesSeen(seen_at=now, source=self.name, loads=loads, problems=problems)

    def _loads(self, reading: _Reading, now: datetime) -> tuple[dict[str, Load], list[str], list[str]]:
        """Loads by node, and the nodes whose samples are too old, or from the future."""
        loads: dict[str, Load] = {}
        stale: list[str] = []
        early: list[str] = []
        for node, figures in reading.figures.items():
            measured_at = max(figures.pop("measured_at", [0.0]))
            age = now.timestamp() - measured_at
            if not -self._stale_seconds <= age <= self._stale_seconds:
                (stale if age > 0 else early).append(node)
                continue
            load = _load(figures, datetime.fromtimestamp(measured_at, UTC), f"prometheus, by {reading.by[node]}")
            loads[node] = _damped(self._last.get(node), load)
        return loads, sorted(stale), sorted(early)

    async def _ask(self, query: str) -> list[Series]:
        """One instant query. Raises UnavailableError, saying what went wrong."""
        try:
            async with asyncio.timeout(self._patience_seconds):  # an answer that trickles in is none either
                answer = await self._client.post("/api/v1/query", data={"query": query})
        except TimeoutError as error:
            raise UnavailableError(f"Prometheus does not answer within {self._patience_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise UnavailableError(f"Prometheus does not answer: {type(error).__name__}: {error}") from error
        try:
            document = answer.json()
            if document["status"] != "success":
                raise UnavailableError(f"Prometheus refuses a query: {document.get('error', 'no reason given')}")
            return [_series(one) for one in document["data"]["result"]]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UnavailableError(
                f"Prometheus answered {answer.status_code} with something that is no result: {answer.text[:100]!r}"
            ) from error


def prometheus_client(url: str, *, token: str | None = None, ca_file: Path | None = None) -> httpx.AsyncClient:
    """A client for an address (which may hold user and password). Raises ConfigurationError."""
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"PROMETHEUS_URL {url!r} is no address", hint="it begins with http:// or https://")
    try:
        trust = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else True
    except OSError as error:
        raise ConfigurationError(f"PROMETHEUS_CA_FILE {ca_file} cannot be used: {error}") from error
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=TIMEOUT_SECONDS,
        verify=trust,
    )


class _Reading:
    """Figures by node, collected from series; remembers what belongs to no node, and doubles."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self.figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.by: dict[str, str] = {}
        self._instances: dict[str, set[str]] = defaultdict(set)
        self._nobody: set[str] = set()

    def note(self, labels: Labels, figure: str, value: float) -> None:
        """Take one series; what is no finite number is left out."""
        if figure.startswith("kube_") or figure in ("node_uname_info", "") or not math.isfinite(value):
            return
        identity = self._identities.of(labels)
        if identity is None:
            self._nobody.add(labels.get("instance", "?"))
            return
        self.by.setdefault(identity.node, identity.by)
        if figure == "measured_at":
            self._instances[identity.node].add(labels.get("instance", ""))
        self.figures[identity.node][figure].append(value)

    def problems(self) -> list[str]:
        """What people should know, in sentences."""
        found = []
        if self._nobody:
            found.append(
                f"series of {_listed(sorted(self._nobody))} belong to no known node (see PROMETHEUS_NODE_LABEL)"
            )
        doubles = sorted(node for node, instances in self._instances.items() if len(instances) > 1)
        if doubles:
            found.append(f"several exporters say that they are {_listed(doubles)}: the busiest figure counts")
        return found


def _load(figures: Mapping[str, Sequence[float]], measured_at: datetime, source: str) -> Load:
    total, free = _most(figures, "node_memory_MemTotal_bytes"), _least(figures, "node_memory_MemAvailable_bytes")
    idle, cpus, load1 = _least(figures, "cpu_idle"), _most(figures, "cpus"), _most(figures, "node_load1")
    gpu = _most(figures, "DCGM_FI_DEV_GPU_UTIL")
    used, left = (figures.get(f"DCGM_FI_DEV_FB_{name}", ()) for name in ("USED", "FREE"))
    extra = {
        "memory_available_bytes": free,
        "disk_available_bytes": _least(figures, "node_filesystem_avail_bytes"),
        "load_per_cpu": load1 / cpus if load1 is not None and cpus else None,
        "gpu_fraction": gpu / 100 if gpu is not None else _most(figures, "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
        "gpu_memory_fraction": sum(used) / (sum(used) + sum(left)) if used and left and sum(used) + sum(left) else None,
        "gpu_memory_available_bytes": sum(left) * MIB if left else None,
        **{
            name: _most(figures, name)
            for name in figures
            if not name.startswith(("node_", "DCGM_", "cpu_idle", "cpus"))
        },
    }
    return Load(
        measured_at=measured_at,
        cpu_fraction=_share(1 - idle if idle is not None else None),
        memory_fraction=_share(1 - free / total if free is not None and total else None),
        source=source,
        figures={
            name: value
            for name, value in extra.items()
            if value is not None and value >= 0 and (name not in SHARES or value <= 1.05)
        },
    )


def _damped(last: Load | None, new: Load) -> Load:
    """Move towards the new figures by the time that passed between the two measurements."""
    if last is None:
        return new
    passed = (new.measured_at - last.measured_at).total_seconds()
    step = 1 - math.exp(-max(passed, 0.0) / DAMPING_SECONDS)
    return Load(
        measured_at=new.measured_at,
        cpu_fraction=_towards(last.cpu_fraction, new.cpu_fraction, step),
        memory_fraction=new.memory_fraction,
        source=new.source,
        figures={
            name: value
            if name.endswith("_bytes") or name not in last.figures
            else _moved(last.figures[name], value, step)
            for name, value in new.figures.items()
        },
    )


def _towards(last: float | None, new: float | None, step: float) -> float | None:
    return new if last is None or new is None else _moved(last, new, step)


def _moved(last: float, new: float, step: float) -> float:
    return last + step * (new - last)


def _share(value: float | None) -> float | None:
    """A share between 0 and 1, a little rounding allowed; anything else is nonsense, hence unknown."""
    return None if value is None or not -0.05 <= value <= 1.05 else min(max(value, 0.0), 1.0)


def _most(figures: Mapping[str, Sequence[float]], name: str) -> float | None:
    return max(figures[name]) if figures.get(name) else None


def _least(figures: Mapping[str, Sequence[float]], name: str) -> float | None:
    return min(figures[name]) if figures.get(name) else None


def _series(one: Any) -> Series:
    return {str(name): str(value) for name, value in one["metric"].items()}, float(one["value"][1])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


__all__ = ["PrometheusLoads", "prometheus_client"]
