"""What only events tell of a pod that waits on its node: a volume that cannot be mounted, a network that is not made.

The pod itself then says `ContainerCreating` and nothing more. Events are asked for only while such a pod is silent, and
for all silent pods of a namespace with one list of its warnings. Where they may not be read, that is said once.

Source: events of the kubelet and of the attach-detach controller (core/v1); both say a trouble again while it lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.domain.errors import MlopxError
from server.kube.client import KubeClient, Object
from server.kube.reading import PodSeen, instant
from server.kube.resources import EVENTS

log = logging.getLogger(__name__)

SILENT = timedelta(seconds=15)
"""So long a pod may get its volumes and its network without anybody being asked why."""

STALE = timedelta(minutes=5)
"""A trouble that was not told again for this long is taken as over: the kubelet repeats one every two minutes or so."""

REFUSED_AGAIN = timedelta(minutes=10)
"""When events that may not be read are asked for again."""

VOLUME_REASONS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
SETUP_REASONS = frozenset({"FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer"})
SILENT_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})
WARNINGS = "involvedObject.kind=Pod,type=Warning"
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an event says of a pod."""

    namespace: str
    pod: str
    reason: str
    message: str
    at: datetime | None


class PodEvents:
    """The newest troubles of silent pods, by namespace and name."""

    def __init__(self, kube: KubeClient, now: Callable[[], datetime]) -> None:
        self._kube, self._now = kube, now
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._refused_at: dict[str, datetime] = {}
        self.problems: dict[str, str] = {}

    def said_of(self, pod: PodSeen) -> str | None:
        """Why a pod waits on its node, as one sentence, if an event tells."""
        trouble = self._troubles.get((pod.namespace, pod.name))
        if trouble is None or pod.node is None:
            return None
        if trouble.at is not None and self._now() - trouble.at > STALE:
            return None
        kind = "volume" if trouble.reason in VOLUME_REASONS else "container"
        return f"{kind}: {trouble.reason} on node {pod.node}: {trouble.message}"

    async def look(self, silent: Iterable[PodSeen]) -> None:
        """Read what is said of these pods: one list for each of their namespaces, however many they are."""
        names: dict[str, set[str]] = {}
        for pod in silent:
            names.setdefault(pod.namespace, set()).add(pod.name)
        for namespace, pods in names.items():
            await self._look(namespace, pods)

    async def _look(self, namespace: str, pods: set[str]) -> None:
        refused_at = self._refused_at.get(namespace)
        if refused_at is not None and self._now() - refused_at < REFUSED_AGAIN:
            return
        try:
            listing = await self._kube.list(EVENTS, namespace=namespace, fields=WARNINGS)
        except MlopxError as error:
            self._failed(namespace, error)
            return
        self._refused_at.pop(namespace, None)
        self.problems.pop(namespace, None)
        kept = {key: one for key, one in self._troubles.items() if key[0] != namespace}
        for item in listing.items:
            trouble = read_trouble(item)
            if trouble is None or trouble.pod not in pods:
                continue
            before = kept.get((namespace, trouble.pod))
            if before is None or before.at is None or (trouble.at is not None and trouble.at >= before.at):
                kept[namespace, trouble.pod] = trouble
        self._troubles = kept

    def _failed(self, namespace: str, error: MlopxError) -> None:
        said = f"{error.message}; why volumes are not mounted is not told"
        if self.problems.get(namespace) != said:
            log.warning("events: %s", said)
        self.problems[namespace] = said
        if getattr(error, "status_code", None) in (401, 403):
            self._refused_at[namespace] = self._now()


def is_silent(pod: PodSeen, now: datetime) -> bool:
    """Whether a pod is on its node for a while, and no container of it has begun or says why not."""
    since = pod.scheduled_at or pod.created_at
    if pod.node is None or pod.is_over or pod.is_leaving or since is None or now - since < SILENT:
        return False
    return all(one.started_at is None and one.reason in SILENT_REASONS for one in pod.containers)


def read_trouble(item: Object) -> Trouble | None:
    """What a warning says of a pod that does not get going; None for warnings of another kind."""
    reason, about = str(item.get("reason") or ""), item.get("involvedObject") or {}
    if reason not in VOLUME_REASONS | SETUP_REASONS or not about.get("name"):
        return None
    return Trouble(
        namespace=str(about.get("namespace") or ""),
        pod=str(about["name"]),
        reason=reason,
        message=" ".join(str(item.get("message") or "").split())[:LONGEST],
        at=_last(item),
    )


def _last(item: Mapping[str, Any]) -> datetime | None:
    """When it was said last; older and newer reporters write it to different fields."""
    times = (
        (item.get("series") or {}).get("lastObservedTime"),
        item.get("lastTimestamp"),
        item.get("eventTime"),
        (item.get("metadata") or {}).get("creationTimestamp"),
    )
    known = [at for at in map(instant, times) if at is not None]
    return max(known, default=None)


__all__ = ["PodEvents", "Trouble", "is_silent", "read_trouble"]
