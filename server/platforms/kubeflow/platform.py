"""Kubeflow Pipelines as a platform: it takes whole placed runs, drives their graphs itself, and is followed from here.

Flow: `submitting` compiles, places and creates; `watching` sees what becomes of it and fills the `outbox`; the tracker
reads `events()`. Nodes come from the Kubernetes API, which placing needs; without it runs are followed as a whole only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from mlopx.spec import PipelineSpec
from server.domain.errors import ConflictError, NotFoundError, PlatformError, UnauthorizedError
from server.domain.launch import Launch
from server.domain.node import Node
from server.domain.request import Defaults, kubernetes_defaults
from server.domain.run import Run, TaskKey
from server.domain.states import Binding, RunState
from server.kube.client import KubeClient
from server.kube.errors import KubeError
from server.kube.own_runs import OwnRuns
from server.kube.resources import PODS
from server.platforms.interface import (
    ArtifactContent,
    Delivery,
    ForeignFile,
    LogChunk,
    PlannedPlacement,
    PlatformInterface,
)
from server.platforms.kubeflow.adopting import adopt
from server.platforms.kubeflow.artifacts import ArtifactProxy
from server.platforms.kubeflow.background import Background
from server.platforms.kubeflow.callers import Callers
from server.platforms.kubeflow.client import Health, KfpClient
from server.platforms.kubeflow.errors import GoneError
from server.platforms.kubeflow.follower import Ending, Follower
from server.platforms.kubeflow.identity import Headers
from server.platforms.kubeflow.logs import Logs
from server.platforms.kubeflow.modes import PLACE, Modes
from server.platforms.kubeflow.namespaces import in_kubernetes
from server.platforms.kubeflow.options import KubeflowOptions
from server.platforms.kubeflow.outbox import Outbox
from server.platforms.kubeflow.polling import Poller
from server.platforms.kubeflow.reuse import CacheMemory
from server.platforms.kubeflow.submitting import CompilerPort, Submitter
from server.platforms.kubeflow.versions import Version, said_of, taken_as
from server.platforms.kubeflow.watchdog import annotation
from server.platforms.kubeflow.watching import Watcher

log = logging.getLogger(__name__)

SURROUNDINGS_SECONDS = 30.0


class KubeflowPlatform(PlatformInterface):
    """Runs on Kubeflow Pipelines. `forbids` says what of a pipeline its project's namespace would never
    let run; `own_runs` is told which runs are on their way."""

    name: ClassVar[str] = "kubeflow"
    binding: ClassVar[Binding] = Binding.AT_SUBMISSION

    def __init__(
        self,
        *,
        client: KfpClient,
        compiler: CompilerPort,
        kube: KubeClient | None,
        nodes: Callable[[], Awaitable[Sequence[Node]]] | None,
        options: KubeflowOptions,
        folder: Path,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        defaults: Defaults = kubernetes_defaults,
        forbids: Callable[[PipelineSpec, str], list[str]] = lambda spec, project: [],
        own_runs: OwnRuns | None = None,
    ) -> None:
        self._cache = CacheMemory(folder / "cache.txt")
        self.defaults, self._forbids = self._cache.completing(defaults), forbids
        self.client, self._nodes = client, nodes
        self._compiler, self._kube, self._options, self._now, self._sleep = compiler, kube, options, now, sleep
        self.health: Health | None = None
        self._own_runs = own_runs or OwnRuns()
        self._outbox = Outbox(now)
        self._logs = Logs(folder / "logs", kube, sleep=sleep)
        self._submitter = Submitter(
            client,
            compiler,
            namespaces=options.namespaces,
            experiment=options.experiment,
            service_account=options.service_account,
            now=now,
            settle_seconds=options.settle_seconds,
        )
        self.watcher = Watcher(
            kube=kube,
            pollers={name: Poller(client, namespace=name, now=now) for name in options.namespaces.names},
            outbox=self._outbox,
            now=now,
            sleep=sleep,
            update_seconds=options.update_seconds,
            on_ended=self._keep_log,
            on_waiting=self._say_on_pod,
        )
        self.modes = {name: Modes(kube, options.mode, in_kubernetes(name)) for name in options.namespaces.names}
        self._callers = Callers(
            client, namespaces=options.namespaces, user_header=options.user_header, own_token=options.own_token
        )
        self._background = Background(sleep)
        self._problems: dict[str, str] = {}
        self._unstopped: set[str] = set()

    async def start(self) -> None:
        """Begin to watch. A server that does not answer now is asked again: runs wait until it does."""
        await self._look_around()
        self._background.keep({**self.watcher.parts(), "surroundings": self._look_around_forever})

    async def aclose(self, *, stop_tasks: bool = False) -> None:
        """Stop watching. Runs go on in Kubeflow whatever becomes of this server."""
        await self._background.aclose()
        await self.client.aclose()
        if self._kube is not None:
            await self._kube.aclose()

    async def nodes(self) -> Sequence[Node]:
        return await self._nodes() if self._nodes is not None else ()

    def refusals(self, spec: PipelineSpec, *, project: str = "") -> list[str]:
        return [*self._compiler.refusals(spec), *self._forbids(spec, project)]

    def iterated(self, spec: PipelineSpec, parameters: Mapping[str, Any]) -> Collection[str]:
        version = self.version if self.health is not None else None
        return self._compiler.iterated(spec, parameters, version)

    def notes(self, spec: PipelineSpec) -> list[str]:
        """What was seen in a file that others compiled: what Kubeflow's drivers may fail at, what the run will tell."""
        return self._compiler.notes(spec)

    async def adopt(self, file: ForeignFile) -> PipelineSpec:
        """Any compiled pipeline of Kubeflow. Raises InvalidSubmissionError."""
        nodes = await self.nodes()
        return await asyncio.to_thread(adopt, file.content, file.name, nodes)

    def admit(self, run_id: str, caller: Mapping[str, str], *, project: str = "") -> None:
        """Only where we may place. In multi-user mode a caller shows its own credential, with which the run is made."""
        self.modes[self._options.namespaces.of(project)].require_place()
        if self.health is not None and not self.health.is_multi_user:
            return
        try:
            self._callers.keep(run_id, self._callers.shown_by(caller))
        except UnauthorizedError:
            if self.health is not None:
                raise

    async def stop_as(self, run: Run, caller: Mapping[str, str], *, is_later: bool = False) -> None:
        if self.is_multi_user:
            await self._callers.stop(run, caller, is_later=is_later)

    async def look_as(self, run: Run, caller: Mapping[str, str]) -> None:
        if self.is_multi_user:
            await self._callers.look(run, caller)

    async def archive(self, run: Run, caller: Mapping[str, str]) -> None:
        if run.platform_run_id is None:
            raise ConflictError(f"run {run.id} never came to Kubeflow", hint="there is nothing to put away")
        await self._callers.archive(run, caller if self.is_multi_user else None)

    @property
    def version(self) -> Version:
        """Kubeflow's version, the oldest while nobody knows it."""
        return taken_as(self.health.version if self.health is not None else None, self._options.version)

    @property
    def is_multi_user(self) -> bool:
        """Whether callers show their own credential, as far as that is known."""
        return self.health is not None and self.health.is_multi_user

    @property
    def may_act(self) -> bool:
        """Whether runs can be made anew without asking anybody: where we may place, in single-user mode, and as long as
        the cache takes up what was finished."""
        is_placing = all(one.mode == PLACE for one in self.modes.values())
        is_alone = self.health is not None and not self.health.is_multi_user
        return is_placing and is_alone and self._cache.is_working

    async def reconcile(self, attempts: Mapping[str, tuple[str, TaskKey, int]]) -> None:
        """Nothing to do: attempts are Kubeflow's own."""

    async def resume(self, runs: Sequence[Run]) -> None:
        """Follow again what was handed over before the restart."""
        for run in runs:
            if run.platform_run_id is not None:
                self._follow(run, run.platform_run_id)
            elif run.dispatched_at is not None:
                self._submitter.may_be_there(run.id)
                self._own_runs.began(run.id)

    async def bind(self, launch: Launch) -> None:
        raise PlatformError("Kubeflow takes whole runs, not single tasks")

    async def submit(self, run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
        if self.health is None:
            await self._learn_health()
        if self.health is None:  # whoever asked must not run as this server
            raise PlatformError(
                "Kubeflow does not tell yet whether its users show credentials of their own: "
                + self._problems.get("health", "it was not asked"),
                is_retryable=True,
            )
        headers = self._callers.of(run.id) if self.is_multi_user else None
        if self.is_multi_user and headers is None:
            made = await self._submitter.made(run)
            if made is not None:
                self._follow(run, made.id)
                return made.id
            raise PlatformError(
                "the caller's credential was not kept over a restart of the server", hint="submit the run again"
            )
        self._own_runs.began(run.id)
        found = await self._submitter.submit(run, placements, version=self.version, headers=headers)
        self._callers.was_created(run.id)
        self._follow(run, found.id)
        return found.id

    async def cancel(self, run: Run, attempt_ids: Sequence[str]) -> None:
        platform_run_id = run.platform_run_id
        if platform_run_id is None:
            found = await self._submitter.find(run, self._callers.stopping(run.id))
            if found is None:
                self._submitter.require_settled(run.id)
                self._outbox.put(run.id, Follower.of(run, "", "", {}).end(Ending(RunState.CANCELLED, self._now())))
                return
            platform_run_id = found.id
        self._follow(run, platform_run_id)
        follower = self.watcher.followers[platform_run_id]
        follower.is_stopping = True
        is_asked = self.is_multi_user and self._callers.stopping(run.id) is None and run.platform_run_id is not None
        if is_asked and self.watcher.was_stopped(platform_run_id) is not False:
            self._unstopped.discard(run.id)
            return  # it was stopped by who asked for it, with that caller's credential
        try:
            await self.client.terminate(platform_run_id, self._stopper(run))
        except GoneError:
            self._outbox.put(run.id, follower.end(Ending(RunState.CANCELLED, self._now(), "Kubeflow has it no more")))
        except PlatformError as error:
            if error.is_retryable:
                raise
            log.info("run %s cannot be stopped any more: %s", run.id, error.message)

    async def logs(self, run: Run, key: TaskKey, attempt: int, *, offset: int = 0) -> LogChunk:
        follower = self.watcher.followers.get(run.platform_run_id or "")
        if follower is None and run.platform_run_id:
            follower = self._follower(run, run.platform_run_id)
        pod = self.watcher.pod_of(follower, key, attempt) if follower else None
        try:
            return await self._logs.chunk(run.id, key, attempt, pod, offset)
        except KubeError as error:
            raise NotFoundError(f"the log of task {key} cannot be read now: {error.message}") from error

    async def artifact(self, run: Run, uri: str, caller: Mapping[str, str]) -> ArtifactContent:
        if not self._options.ui_url:
            raise NotFoundError(f"{uri} lies in Kubeflow's object store, and no way leads there", hint="set KFP_UI_URL")
        headers = self._callers.shown_by(caller) if self.is_multi_user else self.client.shown()
        proxy = ArtifactProxy(self._options.ui_url, self.client.http)
        return await proxy.read(uri, self._options.namespaces.of(run.options.project), headers)

    async def events(self) -> AsyncIterator[Delivery]:
        while True:
            yield await self._outbox.next()

    async def acknowledge(self, token: str) -> None:
        delivery = self._outbox.acknowledge(token)
        if delivery is not None:
            self._cache.told(delivery.run_id, delivery.event)
        if delivery is not None and delivery.event.kind == "run-ended":
            self._own_runs.ended(delivery.run_id, self._now())
            self._unstopped.discard(delivery.run_id)
            self.watcher.forget(delivery.run_id)
            self._callers.forget(delivery.run_id)

    def problems(self) -> Mapping[str, str]:
        """What is wrong with which part now."""
        found = dict(self._problems)
        if self._unstopped:
            first, more = min(self._unstopped), len(self._unstopped) - 1
            whom = f"run {first}{f' and {more} more' if more else ''}"
            found["stopping"] = f"nobody's credential is at hand to stop {whom} in Kubeflow: cancel it again"
        return found | self.watcher.problems()

    def _follow(self, run: Run, platform_run_id: str) -> None:
        self._own_runs.began(run.id)
        self.watcher.follow(self._follower(run, platform_run_id))
        self._cache.follow(run)

    def _follower(self, run: Run, platform_run_id: str) -> Follower:
        paths = self._compiler.paths(run.graph.spec)
        return Follower.of(run, platform_run_id, self._options.namespaces.of(run.options.project), paths)

    def _stopper(self, run: Run) -> Headers | None:
        """With whose credential a run is stopped. Raises PlatformError while nobody's is at hand."""
        headers = self._callers.stopping(run.id)
        if self.is_multi_user and headers is None:
            self._unstopped.add(run.id)
            raise PlatformError(
                f"run {run.id} goes on in Kubeflow while it is being cancelled, and nobody's credential is at hand",
                hint="cancel it again",
                is_retryable=True,
            )
        self._unstopped.discard(run.id)
        return headers

    async def _learn_health(self) -> None:
        try:
            before, self.health = self.health, await self.client.health()
            self._problems.pop("health", None)
            if self.health != before:
                said = said_of(self.health.text, self.health.version, self._options.version)
                log.log(logging.INFO if self.health.version else logging.WARNING, "Kubeflow: %s", said)
        except PlatformError as error:
            log.warning("Kubeflow's health is not known yet: %s", error.message)
            self._problems["health"] = error.message

    async def _look_around_forever(self) -> None:
        """Now and then see whether the server was updated or opted in or out."""
        while True:
            await self._sleep(SURROUNDINGS_SECONDS if self.health is not None else self._options.update_seconds)
            await self._look_around()

    async def _look_around(self) -> None:
        await asyncio.gather(self._learn_health(), *(one.look() for one in self.modes.values()))

    def _keep_log(self, follower: Follower, key: TaskKey, attempt: int, pod: tuple[str, str]) -> None:
        async def keep() -> None:
            try:
                await self._logs.keep(follower.run_id, key, attempt, pod)
            finally:
                self.watcher.log_came(follower, key, attempt)

        self._background.do(keep)

    def _say_on_pod(self, follower: Follower, key: TaskKey, reason: str | None, pod: tuple[str, str] | None) -> None:
        may_write = self._options.is_annotating and self.modes[follower.namespace].mode == PLACE
        if pod is not None and self._kube is not None and may_write:
            patch = annotation(key, reason)
            self._background.do(partial(self._kube.patch, PODS, patch, name=pod[1], namespace=pod[0]))


__all__ = ["KubeflowPlatform"]
