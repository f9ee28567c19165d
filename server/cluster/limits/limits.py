"""What a Kubernetes cluster confines tasks to, kept up to date: the face of this package.

Tasks are confined where strategies look (`confining`), runs wait for a quota (`waits`), and what could never run is
refused when it is submitted (`refusals`). What may not be read (RBAC) confines nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mlopx.spec import ForeignCode, PipelineSpec, PvcSource, Task
from mlopx.spec import Resources as RequestedResources
from server.cluster.kubernetes import KubernetesNodes, PodHeld
from server.cluster.limits.images import ImageBuilds, spellings
from server.cluster.limits.quotas import (
    QuotaSeen,
    RangeSeen,
    filled,
    left_text,
    never,
    not_now,
    read_quota,
    read_range,
)
from server.cluster.limits.volumes import ClaimSeen, VolumeSeen, place_of, read_claim, read_volume
from server.domain.confines import ImageBuild, VolumePlace
from server.domain.errors import MlopxError
from server.domain.placement import TaskOption, WaitingRun, WaitingTask
from server.domain.request import Confining, kubernetes_defaults, options_of
from server.domain.resources import NOTHING, Resources
from server.kube.client import KubeClient
from server.kube.mirror import Mirror, Name, readable
from server.kube.resources import CLAIMS, LIMIT_RANGES, QUOTAS, VOLUMES

LOOKING_SECONDS = 15.0
"""So long a run waits at most until it is known what its images are made for."""

UNCOUNTED_SECONDS = 30.0
"""So long after a run was let go its first pods may still be missing in what a quota counts."""

LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _LetGo:
    at: datetime
    requests: Resources


class KubernetesLimits:
    """What confines tasks in one namespace.

    Args:
        nodes: the cluster's nodes and pods.
        images: what is known of images; None: nothing is asked.
        default_image: what tasks run in that name no image.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        nodes: KubernetesNodes,
        images: ImageBuilds | None,
        default_image: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.namespace, self._nodes, self._images, self._default_image = namespace, nodes, images, default_image
        self._now, self._sleep = now, sleep
        self.claims: Mirror[ClaimSeen] = Mirror(
            client, CLAIMS, reduce=readable(read_claim), now=now, namespace=namespace, sleep=sleep
        )
        self.volumes: Mirror[VolumeSeen] = Mirror(client, VOLUMES, reduce=readable(read_volume), now=now, sleep=sleep)
        self.quotas: Mirror[QuotaSeen] = Mirror(
            client, QUOTAS, reduce=readable(read_quota), now=now, namespace=namespace, sleep=sleep
        )
        self.ranges: Mirror[RangeSeen] = Mirror(
            client, LIMIT_RANGES, reduce=readable(read_range), now=now, namespace=namespace, sleep=sleep
        )
        self._users: dict[str, dict[Name, str]] = {}
        self._claims_of: dict[Name, PodHeld] = {}
        self._version = 0
        self._answers: dict[tuple[str, str], object] = {}
        self._turn = threading.Lock()
        self._let_go: dict[str, _LetGo] = {}
        self._asked_at: dict[str, datetime] = {}
        self._on_change: Callable[[], None] = lambda: None
        nodes.pods.listen(self._pod)
        nodes.nodes.listen(lambda name, kept: self.changed())
        for mirror in (self.claims, self.volumes, self.ranges):
            mirror.listen(lambda name, kept: self.changed())

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when tasks may be confined otherwise than before."""
        self._on_change = callback

    def changed(self) -> None:
        """Something that confines tasks is not what it was."""
        with self._turn:
            self._version += 1
            self._answers.clear()
        self._on_change()

    async def run_forever(self) -> None:
        """Follow everything by watching, until cancelled."""
        mirrors = (self.claims, self.volumes, self.quotas, self.ranges)
        try:
            await asyncio.gather(*(mirror.run_forever() for mirror in mirrors), self._look_forever())
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close what connects to registries."""
        if self._images is not None:
            await self._images.aclose()

    async def look_once(self, images: Sequence[str] = ()) -> list[str]:
        """Read everything once; what could not be seen, in words. For commands that do not stay."""
        problems = []
        for mirror in (self.claims, self.volumes, self.quotas, self.ranges):
            try:
                await mirror.sync()
            except MlopxError as error:
                problems.append(error.message)
        if self._images is not None and self._is_mixed:
            for image in images:
                self._build(image)
            await self._images.look_up()
            self.changed()
        return problems

    @property
    def confining(self) -> Confining:
        """For `domain.request`: requests as they will be filled in, and tasks as they are confined."""
        return Confining(self.fill, self.confine, lambda: self._version)

    @property
    def version(self) -> int:
        """Changes when tasks may be confined otherwise than before."""
        return self._version

    def fill(self, asked: RequestedResources, project: str = "") -> Resources:
        """The requests, with what the namespace's limit ranges fill in, whatever the project."""
        return filled(kubernetes_defaults(asked), self.ranges)

    def confine(self, task: WaitingTask, definition: Task, project: str = "") -> WaitingTask:
        """The task with what its images are made for and where its volumes can be used, whatever its project."""
        claims = [volume.source.claim for volume in definition.volumes if isinstance(volume.source, PvcSource)]
        return self.confined(task, claims)

    def confined(self, task: WaitingTask, claims: Sequence[str]) -> WaitingTask:
        """The same for a task of which the claims are known by name."""
        places = tuple(place for claim in claims if (place := self._place(claim)) is not None)
        options = tuple(self._with_build(option) for option in task.options)
        if not places and all(new is old for new, old in zip(options, task.options, strict=True)):
            return task
        return replace(task, volumes=places, options=options)

    def completed(self, task: WaitingTask, claims: Sequence[str]) -> WaitingTask:
        """A task that was read from a file: its requests filled in too."""
        ranges = list(self.ranges)
        options = tuple(replace(one, requests=filled(one.requests, ranges)) for one in task.options)
        return self.confined(replace(task, options=options), claims)

    def never(self, task: WaitingTask) -> str | None:
        """Why Kubernetes would never make a pod for the task there, with any option; None if it would."""
        quotas, ranges = list(self.quotas), list(self.ranges)
        reasons = [never(one.requests, quotas, ranges, self.namespace) for one in task.options]
        return None if None in reasons or not reasons else reasons[0]

    def refusals(self, spec: PipelineSpec, project: str = "") -> list[str]:
        """What of a pipeline Kubernetes would never let run there, whatever nodes and project, as sentences."""
        found = []
        quotas, ranges = list(self.quotas), list(self.ranges)
        for path, task in spec.tasks.items():
            component = spec.components[task.component]
            if isinstance(component.code, ForeignCode) and not component.code.placeable:
                continue
            reasons = [never(one.requests, quotas, ranges, self.namespace) for one in self._options(spec, task)]
            if reasons and all(reason is not None for reason in reasons):
                found.append(f"task {path} {reasons[0]}")
        return found

    def left(self) -> dict[str, str]:
        """What each quota leaves, in words, by its name."""
        return {quota.name: left_text(quota) for quota in self.quotas}

    def waits(self, runs: Sequence[WaitingRun]) -> dict[str, str]:
        """Why runs must not be handed over yet, by run id. Those that may go take their share of what is left."""
        now = self._now()
        quotas = list(self.quotas)
        self._forget(now, {run.run_id for run in runs})
        promised = sum((one.requests for one in self._let_go.values()), NOTHING)
        found = {}
        for run in runs:
            reason = self._images_reason(run, now)
            first = sum((task.options[0].requests for task in run.tasks if task.is_ready), NOTHING)
            if reason is None and run.run_id not in self._let_go:
                reason = not_now(first, quotas, promised, self.namespace) if quotas else None
                promised = promised + first if reason is None else promised
            if reason is not None:
                found[run.run_id] = reason
        return found

    def let_go(self, run: WaitingRun) -> None:
        """A run was handed over: its first pods will come, and are counted until a quota counts them."""
        first = sum((task.options[0].requests for task in run.tasks if task.is_ready), NOTHING)
        self._let_go[run.run_id] = _LetGo(self._now(), first)

    def _forget(self, now: datetime, waiting: set[str]) -> None:
        old = now - timedelta(seconds=UNCOUNTED_SECONDS)
        self._let_go = {run_id: one for run_id, one in self._let_go.items() if one.at > old}
        self._asked_at = {run_id: at for run_id, at in self._asked_at.items() if run_id in waiting}

    def _images_reason(self, run: WaitingRun, now: datetime) -> str | None:
        if self._images is None or not self._is_mixed:
            return None
        images = {option.image or self._default_image for task in run.tasks for option in task.options}
        unknown = sorted(image for image in images if not self._images.is_known(image))
        if not unknown:
            return None
        since = self._asked_at.setdefault(run.run_id, now)
        if now - since > timedelta(seconds=LOOKING_SECONDS):
            return None
        return f"waits until it is known for which processors {unknown[0]} is made: its registry is asked"

    def _options(self, spec: PipelineSpec, task: Task) -> tuple[TaskOption, ...]:
        return options_of(task, spec.components[task.component], self.fill)

    @property
    def _is_mixed(self) -> bool:
        """Whether there are nodes of another architecture than the usual one: else nothing needs to be asked."""
        return self._architectures() != frozenset({"amd64"}) and bool(self._architectures())

    def _architectures(self) -> frozenset[str]:
        found = self._answers.get(("architectures", ""))
        if not isinstance(found, frozenset):
            found = frozenset(node.architecture for node, _ in self._nodes.nodes)
            self._answers["architectures", ""] = found
        return found

    def _with_build(self, option: TaskOption) -> TaskOption:
        if self._images is None or not self._is_mixed:
            return option
        build = self._build(option.image or self._default_image)
        return option if build is None else replace(option, build=build)

    def _build(self, image: str) -> ImageBuild | None:
        known = self._answers.get(("image", image))
        if isinstance(known, ImageBuild):
            return known
        names = spellings(image)
        nodes = self._nodes.nodes
        seen_on = {node.architecture for node, images in nodes if images.has(names)}
        found = self._images.of(image, seen_on, self._architectures()) if self._images is not None else None
        if found is not None:
            self._answers["image", image] = found
        return found

    def _place(self, name: str) -> VolumePlace | None:
        claim = self.claims.get(self.namespace, name)
        if claim is None:
            return None
        users = {pod.node: which[1] for pod, which in self._pods_with(name)}
        return place_of(name, claim, self.volumes.get("", claim.volume), users)

    def _pods_with(self, claim: str) -> list[tuple[PodHeld, Name]]:
        return [(self._claims_of[which], which) for which in self._users.get(claim, {})]

    def _pod(self, name: Name, pod: PodHeld | None) -> None:
        """A pod came, changed or went: remember which claims of the namespace it uses."""
        if name[0] != self.namespace or not (name in self._claims_of or (pod is not None and pod.claims)):
            return
        before = self._claims_of.pop(name, None)
        for claim in before.claims if before is not None else ():
            self._users.get(claim, {}).pop(name, None)
        if pod is not None and pod.claims:
            self._claims_of[name] = pod
            for claim in pod.claims:
                self._users.setdefault(claim, {})[name] = pod.node
        self.changed()

    async def _look_forever(self) -> None:
        """Look up images as they are asked for."""
        while True:
            if self._images is not None and self._images.is_wanting:
                await self._images.look_up()
                self.changed()
            await self._sleep(LOOK_SECONDS)


__all__ = ["KubernetesLimits"]
