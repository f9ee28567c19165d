"""Hands runs over to Kubeflow: compiled, placed, marked with our id, and never twice.

KFP knows no idempotency key. So a run carries our id in its display name, is looked for before it is created, and is
not created again for a while after a create call whose answer was lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from mlopx.spec import PipelineSpec
from server.domain.errors import InvalidSubmissionError, PlatformError
from server.domain.run import Run, TaskKey
from server.platforms.interface import PlannedPlacement
from server.platforms.kubeflow.client import KfpClient, KfpRun
from server.platforms.kubeflow.errors import GoneError, UnsureError
from server.platforms.kubeflow.identity import Headers
from server.platforms.kubeflow.namespaces import Namespaces

log = logging.getLogger(__name__)

MARK = " mlopx/"
"""In the display name, before our run id; what tells our runs from others in one filtered list."""

WHY_ANNOTATION = "mlopx.dev/why"
LONGEST_WHY = 1000
MOST_SAID = 3
SETTLE_SECONDS = 30.0
"""How long a create call without an answer may still be carried out."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pipeline as Kubeflow takes it. `paths` leads from our task paths to Kubeflow's."""

    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any] | None = None
    paths: Mapping[str, str] = field(default_factory=dict)


class CompilerPort(Protocol):
    """Compiles specs and writes placements."""

    def refusals(self, spec: PipelineSpec) -> list[str]:
        """What of it Kubeflow cannot express, as sentences."""

    def notes(self, spec: PipelineSpec) -> list[str]:
        """What who submits it should know of it, as sentences."""

    def paths(self, spec: PipelineSpec) -> Mapping[str, str]:
        """From our task paths to Kubeflow's."""

    def iterated(
        self, spec: PipelineSpec, parameters: Mapping[str, Any], version: tuple[int, int] | None
    ) -> Collection[str]:
        """Our task paths in loops whose iterations can be placed one by one."""

    def place(
        self, run: Run, placements: Mapping[TaskKey, PlannedPlacement], version: tuple[int, int] | None
    ) -> Compiled:
        """The run's pipeline with its placements, marked with the run's id."""


def display_name(run: Run) -> str:
    """What the run is called in Kubeflow."""
    return f"{run.name}{MARK}{run.id}"


def description(run: Run, placements: Mapping[TaskKey, PlannedPlacement]) -> str:
    """What is said of the run in Kubeflow: whose it is, and where its first tasks go and why."""
    said = [one.why for one in placements.values() if one.why]
    text = f"Placed by MLOpX, which knows it as run {run.id}."
    for sentence in said[:MOST_SAID]:
        text += f" {sentence}"
    if len(said) > MOST_SAID:
        text += f" {len(said) - MOST_SAID} more: `mlopx explain {run.id}`."
    return text if len(text) <= LONGEST_WHY else f"{text[: LONGEST_WHY - 1]}…"


def our_id(name: str) -> str | None:
    """Our run id in a display name, or None."""
    head, mark, run_id = name.rpartition(MARK)
    return run_id if mark and head else None


class Submitter:
    """Creates runs, each once."""

    def __init__(
        self,
        client: KfpClient,
        compiler: CompilerPort,
        *,
        namespaces: Namespaces,
        experiment: str,
        service_account: str,
        now: Callable[[], datetime],
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._client, self._compiler, self._now = client, compiler, now
        self._namespaces, self._experiment, self._service_account = namespaces, experiment, service_account
        self._settle = timedelta(seconds=settle_seconds)
        self._experiments: dict[tuple[str, str], str] = {}
        self._unsure_until: dict[str, datetime] = {}

    def may_be_there(self, run_id: str) -> None:
        """Somebody (an earlier server) may be creating this run right now."""
        self._unsure_until[run_id] = self._now() + self._settle

    def require_settled(self, run_id: str) -> None:
        """Raises PlatformError while a call without an answer may still make the run."""
        until = self._unsure_until.get(run_id)
        if until is not None and self._now() < until:
            raise PlatformError(
                f"a call without an answer may still make it; it is not sent again before {until:%H:%M:%S} UTC",
                is_retryable=True,
                is_unsure=True,
            )

    async def submit(
        self,
        run: Run,
        placements: Mapping[TaskKey, PlannedPlacement],
        *,
        version: tuple[int, int] | None,
        headers: Headers | None,
    ) -> KfpRun:
        """The run in Kubeflow: found, or created. Raises PlatformError."""
        compiled = self._compiled(run, placements, version)
        found = await self.find(run, headers)
        if found is not None:
            self._unsure_until.pop(run.id, None)
            return found
        self.require_settled(run.id)
        try:
            created = await self._create(run, compiled, description(run, placements), headers)
        except UnsureError:
            self.may_be_there(run.id)
            raise
        self._unsure_until.pop(run.id, None)
        return created

    async def find(self, run: Run, headers: Headers | None = None) -> KfpRun | None:
        """The run in Kubeflow, by our id. Of several (a lost answer after all) the first stays, others are stopped."""
        found = await self._all(run, headers)
        for extra in found[:-1]:
            if not extra.is_over:
                log.warning("run %s is in Kubeflow twice; %s is stopped", run.id, extra.id)
                await self._client.terminate(extra.id, headers)
        return found[-1] if found else None

    async def made(self, run: Run) -> KfpRun | None:
        """The run, as this server itself sees it: one that its caller's credential made before a restart. Raises
        PlatformError while it may still come."""
        found = await self._all(run, None)
        if not found:
            self.require_settled(run.id)
        return found[-1] if found else None

    async def _all(self, run: Run, headers: Headers | None) -> list[KfpRun]:
        """The newest first."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": display_name(run)}
        return await self._client.list([predicate], namespace=self._namespace_of(run), headers=headers)

    def _compiled(
        self, run: Run, placements: Mapping[TaskKey, PlannedPlacement], version: tuple[int, int] | None
    ) -> Compiled:
        """With the options that were chosen, which may not fit where the first ones, checked at submission, did."""
        try:
            return self._compiler.place(run, placements, version)
        except InvalidSubmissionError as error:
            raise PlatformError(f"{error.message}: {'; '.join(error.details)}", hint=error.hint) from error

    async def _create(self, run: Run, compiled: Compiled, text: str, headers: Headers | None) -> KfpRun:
        spec: Mapping[str, Any] = compiled.pipeline
        if compiled.platform:
            spec = {"pipeline_spec": compiled.pipeline, "platform_spec": compiled.platform}
        body: dict[str, Any] = {
            "display_name": display_name(run),
            "description": text,
            "pipeline_spec": spec,
            "runtime_config": {"parameters": {name: one for name, one in run.parameters.items() if one is not None}},
        }
        if self._service_account:
            body["service_account"] = self._service_account
        body["experiment_id"] = await self._experiment_of(run, headers)
        try:
            return await self._client.create(body, headers)
        except GoneError:
            self._experiments.clear()
            raise

    async def _experiment_of(self, run: Run, headers: Headers | None) -> str:
        """The experiment is called as the run's project, unless that is one of everybody, or names the namespace."""
        project, namespace = run.options.project, self._namespace_of(run)
        name = self._experiment if project in ("default", namespace) else project
        if (namespace, name) not in self._experiments:
            self._experiments[namespace, name] = await self._client.experiment(name, namespace, headers)
        return self._experiments[namespace, name]

    def _namespace_of(self, run: Run) -> str:
        return self._namespaces.of(run.options.project)


__all__ = ["MARK", "Compiled", "CompilerPort", "Submitter", "display_name", "our_id"]
