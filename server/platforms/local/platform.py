"""The adapter of the embedded platform: binds attempts to agents, and tells what the agents tell."""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import mlopx.runtime.task
from mlopx.spec import PipelineSpec
from server.domain import events as happened
from server.domain.errors import InvalidSubmissionError, NotFoundError, PlatformError
from server.domain.launch import Launch
from server.domain.node import Node, Usage
from server.domain.request import one_cpu_defaults
from server.domain.run import Artifact, Output, Run, TaskError, TaskKey, attempt_id
from server.domain.states import Binding
from server.platforms.interface import Delivery, ForeignFile, LogChunk, PlannedPlacement, PlatformInterface
from server.platforms.local.cluster_file import Cluster
from server.platforms.local.environments import Environments
from server.platforms.local.links import AgentLink
from server.platforms.local.manifests import ArtifactPlaces, OrderMaker, Secret, volume_hint
from server.platforms.local.usage import UsageMeter

log = logging.getLogger(__name__)

LOG_CHUNK_BYTES = 256 * 1024
CANCEL_GRACE_SECONDS = 5.0
WAYS = {
    "secluded": "an unprivileged user, in a view of the file system that shows it only what it needs",
    "reading": "an unprivileged user that keeps the right to read files",
    "undropped": "root",
}
"""How tasks run when the server is root, where that needs a word."""


class LocalPlatform(PlatformInterface):
    """Runs tasks on virtual nodes of this machine."""

    name: ClassVar[str] = "local"
    binding: ClassVar[Binding] = Binding.WHEN_READY

    def __init__(
        self,
        *,
        cluster: Cluster,
        state: Path,
        artifacts: ArtifactPlaces,
        secret: Secret,
        grace_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self.defaults = one_cpu_defaults
        self._cluster, self._state, self._now = cluster, state, now
        self._orders = OrderMaker(
            artifacts=artifacts,
            volumes=cluster.volumes,
            secret=secret,
            work=state / "work",
            logs=state / "logs",
        )
        self._environments = Environments(state / "environments")
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self._attempts: dict[str, tuple[str, TaskKey, int, str]] = {}
        self._ended: set[str] = set()
        self._warm: tuple[object, ...] = ()
        shared = [artifacts.root, *cluster.volumes.values()]
        config = {
            "preload": list(cluster.preload),
            "throttle": cluster.throttle,
            "grace_seconds": grace_seconds,
            "runtime": mlopx.runtime.task.__file__,
            "shared": [str(folder) for folder in shared],
            "readable": [str(folder) for folder in (*shared, state / "work", state / "environments")],
        }
        self._links = {node.name: AgentLink(node.name, state, config, self._hear) for node in cluster.nodes}
        self._nodes = {node.name: node for node in cluster.nodes}
        self._meters = {node.name: UsageMeter(node) for node in cluster.nodes}

    async def start(self) -> None:
        for folder in ("work", "logs", "environments", "artifacts"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        (self._state / "work").chmod(0o711)
        await asyncio.gather(*(link.start() for link in self._links.values()))

    async def aclose(self, *, stop_tasks: bool = False) -> None:
        await asyncio.gather(*(link.aclose(stop=stop_tasks) for link in self._links.values()))

    async def nodes(self) -> Sequence[Node]:
        return (*self._nodes.values(), *self._cluster.groups)

    async def usages(self) -> Mapping[str, Usage]:
        reports = await asyncio.gather(*(link.usage() for link in self._links.values()))
        found = zip(self._links, reports, strict=True)
        return {name: self._meters[name].usage(report) for name, report in found if report is not None}

    async def adopt(self, file: ForeignFile) -> PipelineSpec:
        raise InvalidSubmissionError(
            f"{file.name}: the local platform cannot run a compiled pipeline of Kubeflow: its tasks are containers, and"
            " this platform runs Python functions",
            hint="submit it to a server beside Kubeflow (KFP_URL), or place it offline: mlopx-server place",
        )

    def refusals(self, spec: PipelineSpec, *, project: str = "") -> list[str]:
        if spec.foreign is not None:
            return [f"{spec.foreign.file} is a compiled pipeline of Kubeflow; the local platform runs Python functions"]
        found = []
        for path, task in spec.tasks.items():
            component = spec.components[task.component]
            if component.code.kind == "container":
                found.append(
                    f"task {path}: component {component.name} is a command in the image {component.image!r}; the local "
                    "platform runs Python functions, not containers"
                )
        return found + self._missing_volumes(spec)

    def _missing_volumes(self, spec: PipelineSpec) -> list[str]:
        """One sentence for each volume without a folder, with the tasks that use it."""
        users: dict[str, list[str]] = {}
        for path, task in spec.tasks.items():
            for volume in task.volumes:
                if self._orders.folder_of(volume) is None:
                    users.setdefault(f"volume {volume.name} has no folder here: {volume_hint(volume)}", []).append(path)
        return [
            f"task{'' if len(paths) == 1 else 's'} {', '.join(paths)}: {missing}" for missing, paths in users.items()
        ]

    async def reconcile(self, attempts: Mapping[str, tuple[str, TaskKey, int]]) -> None:
        known: set[str] = set()
        for link in self._links.values():
            known.update(link.hello.get("running", ()), link.hello.get("ended", ()))
        for name, (run_id, key, number) in attempts.items():
            if name not in known:
                reason = "the server was restarted, and no agent knows of it any more"
                self._tell(run_id, happened.TaskLost(at=self._now(), key=key, attempt=number, reason=reason))

    async def bind(self, launch: Launch) -> None:
        link = self._links.get(launch.node)
        if link is None:
            raise PlatformError(f"there is no node {launch.node!r} any more", is_retryable=True)
        try:
            python = await self._environments.python_for(launch.component.packages)
        except PlatformError as error:
            self._fail(launch, "environment", error)
            return
        try:
            order = await asyncio.to_thread(self._orders.order, launch, self._nodes[launch.node], python)
        except OSError as error:
            raise PlatformError(f"its folders cannot be made: {error.strerror}", is_retryable=True) from error
        answer = await link.insist(order, launch.attempt_id)
        if answer["event"] == "refused":
            raise PlatformError(answer["message"], is_retryable=True)

    async def submit(self, run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
        raise PlatformError("the local platform takes tasks one by one", hint="this is a mistake in the server")

    async def cancel(self, run: Run, attempt_ids: Sequence[str]) -> None:
        for key, task in run.tasks.items():
            name = attempt_id(run.id, key, task.current.number)
            if name not in attempt_ids:
                continue
            node = task.current.actual_node or task.current.node or ""
            self._attempts.setdefault(name, (run.id, key, task.current.number, node))
            link = self._links.get(node)
            if link is None:
                self._tell(run.id, happened.TaskCancelled(at=self._now(), key=key, attempt=task.current.number))
                continue
            await link.send({"op": "cancel", "id": name, "grace_seconds": CANCEL_GRACE_SECONDS})

    def log_path(self, attempt_id: str) -> Path:
        """Where an attempt's log lies."""
        return self._orders.log_path(attempt_id)

    async def logs(self, run: Run, key: TaskKey, attempt: int, *, offset: int = 0) -> LogChunk:
        name = attempt_id(run.id, key, attempt)
        path = self.log_path(name)
        task = run.tasks.get(key)
        if task is None:
            raise NotFoundError(f"run {run.id} has no task {key}")
        is_over = any(one.number == attempt and one.state.is_end for one in task.attempts)
        return await asyncio.to_thread(_read_log, path, offset, is_over)

    async def events(self) -> AsyncIterator[Delivery]:
        while True:
            yield await self._deliveries.get()

    async def acknowledge(self, token: str) -> None:
        known = self._attempts.pop(token, None)
        if known is None:
            return
        self._ended.discard(token)
        link = self._links.get(known[3])
        if link is not None:
            try:
                await link.send({"op": "ack", "id": token})
            except PlatformError:
                log.debug("the agent of %s will tell the end of %s again", known[3], token)

    def _hear(self, link: AgentLink, message: dict[str, Any]) -> None:
        kind = message["event"]
        if kind == "lost":
            self._lose(link.node)
        elif kind == "warm":
            self._note_warm(link.node, message)
        elif kind == "accepted":
            self._known(message["id"], link.node)
        elif kind == "started":
            known = self._known(message["id"], link.node)
            at = datetime.fromtimestamp(message["at"], UTC)
            self._tell(known[0], happened.TaskStarted(at=at, key=known[1], attempt=known[2], node=link.node))
        elif kind == "ended" and message["id"] not in self._ended:
            self._ended.add(message["id"])
            known = self._known(message["id"], link.node)
            self._tell(known[0], _end_event(known[1], known[2], message), message["id"])

    def _note_warm(self, node: str, message: dict[str, Any]) -> None:
        """Say once how tasks run here, and what could not be loaded ahead."""
        facts = (message["user"], message["reason"], tuple(message["failed"]))
        if facts == self._warm:
            return
        self._warm = facts
        if message["user"] in WAYS:
            level = logging.WARNING if message["user"] == "undropped" else logging.INFO
            log.log(level, "node %s: tasks run as %s: %s", node, WAYS[message["user"]], message["reason"])
        for failed in message["failed"]:
            log.info("node %s: could not be loaded ahead: %s", node, failed)

    def _known(self, name: str, node: str) -> tuple[str, TaskKey, int, str]:
        """What an attempt id stands for; an agent may speak of attempts from before a restart."""
        if name not in self._attempts:
            run_id, rest = name.split("/", 1)
            key, number = rest.rsplit(":", 1)
            self._attempts[name] = (run_id, TaskKey.parse(key), int(number), node)
        return self._attempts[name]

    def _lose(self, node: str) -> None:
        for name, (run_id, key, number, at) in list(self._attempts.items()):
            if at == node and name not in self._ended:
                del self._attempts[name]
                reason = f"the agent of node {node} died, and the task with it"
                self._tell(run_id, happened.TaskLost(at=self._now(), key=key, attempt=number, reason=reason))

    def _fail(self, launch: Launch, kind: str, error: PlatformError) -> None:
        failure = TaskError(kind, error.message, hint=error.hint or "")
        event = happened.TaskFailed(at=self._now(), key=launch.key, attempt=launch.attempt, error=failure)
        self._tell(launch.run_id, event)

    def _tell(self, run_id: str, event: happened.Event, token: str = "") -> None:
        self._deliveries.put_nowait(Delivery(run_id, event, token))


def _end_event(key: TaskKey, number: int, message: dict[str, Any]) -> happened.Event:
    at = datetime.fromtimestamp(message["ended_at"], UTC)
    if message["outcome"] == "lost":
        return happened.TaskLost(at=at, key=key, attempt=number, reason=message["message"])
    peak = message["peak_memory_bytes"] or None
    if message["outcome"] == "cancelled":
        return happened.TaskCancelled(at=at, key=key, attempt=number, reason="cancelled by a user")
    if message["outcome"] == "succeeded":
        outputs = {name: _output(found) for name, found in message["outputs"].items()}
        return happened.TaskSucceeded(at=at, key=key, attempt=number, outputs=outputs, peak_memory_bytes=peak)
    error = message["error"] or {"kind": "exit-code", "message": "it failed without saying why"}
    failure = TaskError(
        kind=error["kind"],
        message=error["message"] if not error.get("type") else f"{error['type']}: {error['message']}",
        traceback=error.get("traceback", ""),
        hint=error.get("hint", ""),
        exit_code=error.get("exit_code"),
    )
    return happened.TaskFailed(at=at, key=key, attempt=number, error=failure, peak_memory_bytes=peak)


def _output(found: dict[str, Any]) -> Output:
    if "path" not in found:
        return Output(found["value"])
    return Output(
        artifact=Artifact(
            uri=Path(found["path"]).as_uri(),
            type=found["type"],
            size_bytes=found["size_bytes"],
            digest=found["digest"],
            metadata=found["metadata"],
        )
    )


def _read_log(path: Path, offset: int, is_over: bool) -> LogChunk:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(min(offset, size))
            data = file.read(LOG_CHUNK_BYTES)
    except FileNotFoundError as error:
        if is_over or offset:
            raise NotFoundError("this attempt wrote no log", hint="it never ran: not started, or reused") from error
        return LogChunk("", 0, False)
    is_end = is_over and offset + len(data) >= size
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_end)
    half_a_character, _ = decoder.getstate()
    return LogChunk(text, offset + len(data) - len(half_a_character), is_end)
