"""Intake: accepts, refuses, cancels and retries runs. Beyond this point nobody knows how a pipeline was sent.

What is accepted is durable before the answer; what no node of a fixed cluster could ever hold is refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mlopx.errors import SpecError
from mlopx.spec import PipelineSpec, RunDefaults, check
from server.components.clock import Clock
from server.components.holdout.drawing import NOBODY, Holdout
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.parameters import resolve_parameters
from server.components.possible import unplaceable
from server.components.retrying import Retried, again, from_there, reusable
from server.domain import events as happened
from server.domain.errors import ConflictError, InvalidSubmissionError, UnplaceableError
from server.domain.graph import Graph, compile_graph
from server.domain.lifecycle import Change, start_run
from server.domain.run import Output, Run, RunOptions
from server.domain.states import Binding, RunState
from server.domain.trace import header_of
from server.platforms.interface import ForeignFile, PlatformInterface
from server.stores.interface import ArtifactStoreInterface

LOOKS, LOOK_SECONDS = 100, 0.02


@dataclass(frozen=True, slots=True)
class Submission:
    """A pipeline to run. None in an option means: what the pipeline itself says, else the default.

    `spec` may be a file of the platform's own format. `caller` holds the headers of the request, for a platform that
    runs everything as its caller; they are not kept.
    """

    spec: PipelineSpec | ForeignFile
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    project: str | None = None
    deadline_seconds: float | None = None
    deadline_at: datetime | None = None
    is_caching: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)
    caller: Mapping[str, str] = field(default_factory=dict)


class PipelineManager:
    """The door: submissions, cancellations and retries come in here."""

    def __init__(
        self,
        *,
        journal: Journal,
        platform: PlatformInterface,
        node_manager: NodeManager,
        artifacts: ArtifactStoreInterface,
        clock: Clock,
        new_run_id: Callable[[str], str],
        is_caching: bool = True,
        holdout: Holdout = NOBODY,
    ) -> None:
        self._journal, self._platform, self._node_manager = journal, platform, node_manager
        self._artifacts, self._clock, self._new_run_id = artifacts, clock, new_run_id
        self._is_caching, self._holdout = is_caching, holdout

    async def submit(self, submission: Submission, *, idempotency_key: str | None = None) -> Run:
        """Accept a run durably.

        Raises:
            InvalidSubmissionError: the parameters do not fit, or the platform cannot do something the pipeline needs.
            UnplaceableError: a task fits on no node, now or ever; it names the need and the nodes.
        """
        graph = await self._read(submission.spec)
        parameters = resolve_parameters(graph.spec, submission.parameters)
        options = self._options(submission, graph.spec.run)
        await self._require_possible(graph, options.project)
        if submission.sources:
            await asyncio.to_thread(self._keep_sources, submission.sources)
        run_id = self._new_run_id(graph.spec.name)
        self._platform.admit(run_id, submission.caller, project=options.project)
        options = replace(options, is_holdout=self._holdout.is_left_out(run_id))
        change = self._start(run_id, graph, parameters=parameters, options=options)
        return await self._journal.create(change, idempotency_key=idempotency_key)

    async def draft(self, run_id: str, submission: Submission) -> Run:
        """The run that a submission would become, driven by us; kept nowhere. Raises what `submit` raises."""
        graph = await self._read(submission.spec)
        parameters = resolve_parameters(graph.spec, submission.parameters)
        options = replace(self._options(submission, graph.spec.run), binding=Binding.WHEN_READY)
        await self._require_possible(graph, options.project)
        return start_run(run_id, graph, parameters=parameters, options=options, at=self._clock.now()).run

    def _start(self, run_id: str, graph: Graph, *, parameters: Mapping[str, Any], **more: Any) -> Change:
        iterated = self._platform.iterated(graph.spec, parameters)
        return start_run(run_id, graph, parameters=parameters, at=self._clock.now(), iterated=iterated, **more)

    async def cancel(self, run_id: str, reason: str = "", *, caller: Mapping[str, str] | None = None) -> Run:
        """Stop a run. Raises NotFoundError, ConflictError when it is over already, or that the caller may not.

        `caller` holds the headers of who asks; None where the server itself does.
        """
        before = await self._journal.run(run_id)
        if caller is not None and not before.state.is_end:
            await self._platform.stop_as(before, caller)
        try:
            change = await self._journal.apply(
                run_id, happened.CancelRequested(at=self._clock.now(), reason=reason or "cancelled by a user")
            )
        except ConflictError:
            if before.state.is_end or caller is None:
                raise
            ended = await self._at_its_end(run_id)
            if ended.state is not RunState.CANCELLED:
                raise
            return ended  # the platform has told the end before the wish was written
        return change.run

    async def archive(self, run_id: str, *, caller: Mapping[str, str]) -> Run:
        """Put an ended run away on its platform. Raises NotFoundError, or ConflictError for one that still runs."""
        run = await self._journal.run(run_id)
        if not run.state.is_end:
            raise ConflictError(f"run {run_id} is still {run.state}", hint="cancel it first, or wait for its end")
        await self._platform.archive(run, caller)
        return run

    async def retry(
        self,
        run_id: str,
        *,
        from_task: str | None = None,
        spec: PipelineSpec | ForeignFile | None = None,
        parameters: Mapping[str, Any] | None = None,
        caller: Mapping[str, str] | None = None,
    ) -> Retried:
        """Run an ended run again as a new run that reuses what was finished.

        Reused are succeeded tasks; not `from_task` and what comes after it, nor what depends on anything not reused,
        nor a task whose component or arguments differ in the new `spec`, nor anything if parameters change. A platform
        that takes whole runs reuses by its own cache: there `from_task` and what comes after it are kept out of that,
        and what it will do once more though it is finished is told.

        Raises ConflictError while it is live, NotFoundError if `from_task` is no task of the pipeline.
        """
        old = await self._journal.run(run_id)
        if not old.state.is_end:
            raise ConflictError(f"run {run_id} is still {old.state}", hint="cancel it first, or wait for its end")
        graph = await self._read(spec) if spec is not None else old.graph
        await self._require_possible(graph, old.options.project)
        given = resolve_parameters(graph.spec, {**_known(graph.spec, old.parameters), **(parameters or {})})
        is_same_data = given == dict(old.parameters)
        fresh = from_there(graph, from_task)
        is_theirs = self._platform.binding is Binding.AT_SUBMISSION
        kept = reusable(old, graph, fresh) if is_same_data and not is_theirs else {}
        new_id = self._new_run_id(graph.spec.name)
        self._platform.admit(new_id, caller or {}, project=old.options.project)
        change = self._start(
            new_id,
            graph,
            parameters=given,
            options=replace(
                old.options,
                deadline_at=None,
                is_holdout=self._holdout.is_left_out(new_id),
                trace_parent=header_of(caller or {}),
                anew=tuple(path for path in graph.order if path in fresh),
            ),
            retry_of=old.id,
            reuse={key: outputs for key, outputs in kept.items() if self._still_there(outputs)},
        )
        run = await self._journal.create(change)
        return Retried(run, again(old, run) if is_theirs and is_same_data else ())

    async def replace(self, run_id: str, *, caller: Mapping[str, str] | None = None, is_automatic: bool = False) -> Run:
        """Carry out the offer of a new placement: the run is stopped, and a new one begins when it has ended.

        The new run is stored first: a crash in between leaves both, of which `components.replacing` stops the old one.

        Raises ConflictError where there is no offer, or the run is over or replaced already.
        """
        old = await self._journal.run(run_id)
        if old.state.is_end or old.replaced_by:
            said = f"is replaced by {old.replaced_by} already" if old.replaced_by else f"is over already ({old.state})"
            raise ConflictError(f"run {run_id} {said}", hint="retry an ended run with `mlopx retry`")
        if old.offer is None:
            raise ConflictError(
                f"there is no offer of a new placement for run {run_id}", hint="`mlopx show` tells what it waits for"
            )
        new_id = self._new_run_id(old.name)
        self._platform.admit(new_id, caller or {}, project=old.options.project)
        if caller is not None:
            await self._platform.stop_as(old, caller, is_later=True)
        change = self._start(new_id, old.graph, parameters=old.parameters, options=old.options, retry_of=old.id)
        new = await self._journal.create(change, idempotency_key=f"replace/{old.id}")  # two may accept at once
        if new.state.is_end:  # that of an earlier acceptance, which did not get far enough to stop the old one
            new = await self._journal.create(change)
        await self.stop_replaced(old.id, new.id, is_automatic=is_automatic)
        return new

    async def stop_replaced(self, run_id: str, by: str, *, is_automatic: bool = False) -> None:
        """Stop a run of which another takes the place."""
        now = self._clock.now()
        cause = happened.RunReplaced(at=now, by=by, is_automatic=is_automatic)
        await self._journal.apply(run_id, cause, happened.CancelRequested(at=now, reason=f"replaced by run {by}"))

    async def _at_its_end(self, run_id: str) -> Run:
        """A run whose end is being written."""
        run = await self._journal.run(run_id)
        for _ in range(LOOKS):
            if run.state.is_end:
                break
            await self._clock.sleep(LOOK_SECONDS)
            run = await self._journal.run(run_id)
        return run

    async def _read(self, given: PipelineSpec | ForeignFile) -> Graph:
        """The graph of a spec, or of a file in the platform's own format."""
        spec = await self._platform.adopt(given) if isinstance(given, ForeignFile) else given
        if spec is given and spec.foreign is not None:
            raise InvalidSubmissionError(
                "a spec with a foreign document cannot be submitted: its tasks are read from the document here",
                hint="submit the document itself",
            )
        try:
            check(spec)
            return compile_graph(spec)
        except SpecError as error:
            first, *rest = error.message.splitlines()
            raise InvalidSubmissionError(
                first, hint=error.hint, details=tuple(line.strip() for line in rest)
            ) from error

    async def _require_possible(self, graph: Graph, project: str) -> None:
        refusals = self._platform.refusals(graph.spec, project=project)
        if refusals:
            raise InvalidSubmissionError(
                f"the {self._platform.name} platform cannot run this pipeline",
                details=tuple(refusals),
                hint="change the named tasks, or use a platform that can",
            )
        problems = unplaceable(graph, await self._node_manager.nodes(), self._platform)
        if problems:
            raise UnplaceableError(
                "no node of the cluster could ever run " + ("this task" if len(problems) == 1 else "these tasks"),
                details=tuple(problems),
                hint="lower the request, relax the constraint, or add such a node (`mlopx nodes` lists what is there)",
            )

    def _options(self, submission: Submission, defaults: RunDefaults) -> RunOptions:
        deadline_at = submission.deadline_at
        seconds = submission.deadline_seconds or defaults.deadline_seconds
        if deadline_at is None and seconds is not None:
            deadline_at = _seconds_after(self._clock.now(), seconds)
        is_caching = self._is_caching if submission.is_caching is None else submission.is_caching
        return RunOptions(
            priority=defaults.priority if submission.priority is None else submission.priority,
            project=submission.project or defaults.project,
            deadline_at=deadline_at,
            binding=self._platform.binding,
            is_caching=is_caching,
            labels=dict(submission.labels),
            trace_parent=header_of(submission.caller),
        )

    def _keep_sources(self, sources: Mapping[str, bytes]) -> None:
        for content in sources.values():
            self._artifacts.put_blob(content)

    def _still_there(self, outputs: Mapping[str, Output]) -> bool:
        artifacts = [output.artifact for output in outputs.values() if output.artifact is not None]
        return all(self._artifacts.exists(artifact.uri) for artifact in artifacts)


def _seconds_after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError as error:
        raise InvalidSubmissionError(
            f"a deadline in {seconds:g} seconds is outside the calendar", hint="give a deadline that can be met"
        ) from error


def _known(spec: PipelineSpec, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name in spec.parameters}


__all__ = ["PipelineManager", "Submission"]
