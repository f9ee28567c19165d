"""The port to what runs tasks. A platform takes runs or attempts, and tells what happened to them.

Two bindings. With `when_ready` the server drives the graph and calls `bind` for each attempt. With `at_submission` it
calls `submit` once per run, with all placements, and the platform drives its own graph. Either way `events()` is the
one stream of truth; each delivery is acknowledged after the journal has stored it, and delivered again until then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mlopx.spec import PipelineSpec
from server.domain.errors import ConflictError, InvalidSubmissionError, NotFoundError
from server.domain.events import Event
from server.domain.launch import Launch
from server.domain.node import Node, Usage
from server.domain.request import Defaults
from server.domain.run import Run, TaskKey
from server.domain.states import Binding


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that happened, with the token that acknowledges it."""

    run_id: str
    event: Event
    token: str = ""


@dataclass(frozen=True, slots=True)
class PlannedPlacement:
    """Where one task of a run shall go, for `submit`; `alternatives` are the next best nodes by rank.

    `why` says in a sentence why there; `environment` are variables that the task gets besides its own.
    """

    node: str | None
    option: str
    alternatives: tuple[str, ...] = ()
    why: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A pipeline in a platform's own format, as it was sent. `name` is what messages call it."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ArtifactContent:
    """An artifact's bytes, piece by piece. A folder comes packed: `suffix` says how (`.tar.gz`), empty for a file."""

    pieces: AsyncIterator[bytes]
    suffix: str = ""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a task's log. `next_offset` continues after it; `is_end` when nothing more will come."""

    text: str
    next_offset: int
    is_end: bool


class PlatformInterface(ABC):
    """What runs tasks.

    Obligations: `bind` and `submit` are idempotent by attempt id and run id, also across restarts of the server; a
    call that fails raises `PlatformError` with `is_retryable`; an attempt that was accepted ends in exactly one of
    succeeded, failed, cancelled or lost; events of one attempt come in order; nothing blocks the event loop.
    """

    name: ClassVar[str]
    binding: ClassVar[Binding]
    defaults: Defaults

    @abstractmethod
    async def start(self) -> None:
        """Connect, find again what runs from before. Raises ConfigurationError or PlatformError."""

    @abstractmethod
    async def aclose(self, *, stop_tasks: bool = False) -> None:
        """Disconnect. `stop_tasks` also ends everything that this platform runs for us."""

    @abstractmethod
    async def nodes(self) -> Sequence[Node]:
        """The nodes this platform knows by itself (empty where a node source tells)."""

    async def usages(self) -> Mapping[str, Usage]:
        """What is used now of nodes that this platform itself provides and measures, by name.

        A node that does not answer within about a second is left out.
        """
        return {}

    @abstractmethod
    def refusals(self, spec: PipelineSpec, *, project: str = "") -> list[str]:
        """What of this pipeline the platform cannot do for a run of this project, as sentences that name task and
        feature."""

    def notes(self, spec: PipelineSpec) -> list[str]:
        """What who submits this pipeline should know of it, as sentences; nothing that keeps it from being run."""
        return []

    async def adopt(self, file: ForeignFile) -> PipelineSpec:
        """A pipeline in the platform's own format as a spec that carries the original, to the letter.

        Raises InvalidSubmissionError, saying what is wrong and where; also where the platform has no format of its own.
        """
        raise InvalidSubmissionError(
            f"{file.name}: the {self.name} platform takes no pipelines of other systems",
            hint="submit a definition file (.py) or a spec (.json), or to a server beside that system (KFP_URL)",
        )

    def iterated(self, spec: PipelineSpec, parameters: Mapping[str, Any]) -> Collection[str]:
        """Tasks in loops whose iterations can be placed one by one when the run is handed over (`at_submission`)."""
        return ()

    @abstractmethod
    async def reconcile(self, attempts: Mapping[str, tuple[str, TaskKey, int]]) -> None:
        """After a restart: of these attempts (id -> run, task, number), report as lost those nobody knows of."""

    async def resume(self, runs: Sequence[Run]) -> None:
        """After a restart: the live runs, so that a platform that drives its own graphs (`at_submission`) goes on
        following them. Called before anything is handed over."""
        return None  # noqa: RET501 - a body: most platforms have nothing to do here

    def admit(self, run_id: str, caller: Mapping[str, str], *, project: str = "") -> None:
        """A run of this project is about to be accepted from a caller with these request headers (names in lower case).

        Raises UnauthorizedError where the platform needs a credential that the caller did not show.
        """
        return None  # noqa: RET501 - likewise

    async def stop_as(self, run: Run, caller: Mapping[str, str], *, is_later: bool = False) -> None:
        """Somebody with these request headers asks to stop a run; called before that is written down.

        `is_later`: the run goes on until `cancel` is called; the caller is only checked now.

        Raises UnauthorizedError or ForbiddenError where the platform does not let the caller.
        """
        return None  # noqa: RET501 - a body: most platforms leave that to the server

    async def look_as(self, run: Run, caller: Mapping[str, str]) -> None:
        """Somebody asks for logs or artifacts of a run. Raises as `stop_as` does."""
        return None  # noqa: RET501 - likewise

    async def artifact(self, run: Run, uri: str, caller: Mapping[str, str]) -> ArtifactContent:
        """The content of an artifact that lies in the platform's own store, for who asks with these request headers.

        Raises NotFoundError where there is none, ForbiddenError, or UnavailableError; all before the first byte.
        """
        raise NotFoundError(f"{uri!r} is not kept in this artifact store")

    async def archive(self, run: Run, caller: Mapping[str, str]) -> None:
        """Put an ended run away on the platform. Raises ConflictError where there is nothing to put away."""
        raise ConflictError(f"the {self.name} platform puts no runs away", hint="`mlopx runs` lists those you want")

    def problems(self) -> Mapping[str, str]:
        """What is wrong with which part of the platform's connection now, by name; for `readyz`."""
        return {}

    @abstractmethod
    async def bind(self, launch: Launch) -> None:
        """Take one attempt (`when_ready`). Returns when the platform has it for good."""

    @abstractmethod
    async def submit(self, run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
        """Take a whole run (`at_submission`) and return the platform's id for it."""

    @abstractmethod
    async def cancel(self, run: Run, attempt_ids: Sequence[str]) -> None:
        """Stop attempts (`when_ready`) or the whole run (`at_submission`). The end is told as an event.

        An attempt that the platform never saw is told as cancelled too, and a later `bind` of it does nothing.
        """

    @abstractmethod
    async def logs(self, run: Run, key: TaskKey, attempt: int, *, offset: int = 0) -> LogChunk:
        """Log text of an attempt from byte `offset` on. Raises NotFoundError where there is none."""

    @abstractmethod
    def events(self) -> AsyncIterator[Delivery]:
        """What happened, for ever. One consumer."""

    @abstractmethod
    async def acknowledge(self, token: str) -> None:
        """The delivery with this token is stored for good."""
