"""Carries commands to the platform, after the journal has written why, and writes down what the platform answered.

Commands derive from stored state and come again with every change of a run, so this part remembers which it has
carried out; after a restart it starts afresh, and the platform's idempotency keeps things from running twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from server.components.clock import Clock
from server.components.explaining.placed import why_handed_over
from server.components.journal import Journal
from server.domain import events as happened
from server.domain.commands import BindTask, CancelRun, CancelTask, Command, SubmitRun, outstanding
from server.domain.errors import IllegalTransitionError, MlopxError, NotFoundError, PlatformError
from server.domain.launch import launch_of
from server.domain.lifecycle import Change
from server.domain.placement import DEFAULT_OPTION, Decision
from server.domain.request import requests_of
from server.domain.resolve import BadValueError, NeverError, NotYetError
from server.domain.run import Run, TaskError, TaskKey, attempt_id
from server.domain.states import RunState, TaskState
from server.platforms.interface import PlannedPlacement, PlatformInterface

log = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 60.0
CANCEL_AGAIN_SECONDS = 5.0
REFUSED, UNSURE = "the platform did not take it", "the platform may have taken it, and is asked again"

Surroundings = Callable[[Run, TaskKey | None, int], Mapping[str, str]]
"""Environment variables that an attempt gets besides its own, by run, task and attempt number; None for any task."""

DecisionsOf = Callable[[str], Sequence[Decision]]
"""The decision records of a run, oldest first."""


class Dispatcher:
    """Tells the platform what to do; one call at a time per attempt, many attempts side by side."""

    def __init__(
        self,
        *,
        journal: Journal,
        platform: PlatformInterface,
        clock: Clock,
        surroundings: Surroundings | None = None,
        decisions: DecisionsOf | None = None,
    ) -> None:
        self._journal, self._platform, self._clock = journal, platform, clock
        self._surroundings, self._decisions = surroundings, decisions
        self._told: dict[str, set[Command]] = {}
        self._tries: Counter[str] = Counter()
        self._calls: set[asyncio.Task[None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    def notice(self, change: Change) -> None:
        """Carry out what a change asks for and was not carried out yet."""
        if change.run.state.is_end:
            self._forget(change.run.id)
        self._carry_out(change.commands)

    def resume(self, runs: list[Run]) -> None:
        """Carry out again what is outstanding after a restart."""
        for run in runs:
            self._carry_out(outstanding(run))

    async def aclose(self) -> None:
        """Stop calling; what was not answered is asked again after the next start."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            told = self._told.setdefault(command.run_id, set())
            if command in told:
                continue
            told.add(command)
            call = asyncio.create_task(self._guard(command))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _guard(self, command: Command) -> None:
        lock = self._locks.setdefault(command.run_id, asyncio.Lock()) if not isinstance(command, BindTask) else None
        try:
            async with lock or asyncio.Lock():
                await self._dispatch(command)
        except MlopxError as error:
            log.warning("%s: %s", type(command).__name__, error)
            self._may_tell_again(command)
        except Exception:
            log.exception("%s failed", command)
            self._may_tell_again(command)

    def _dispatch(self, command: Command) -> Coroutine[Any, Any, None]:
        if isinstance(command, BindTask):
            return self._bind(command)
        if isinstance(command, SubmitRun):
            return self._submit(command)
        return self._cancel(command)

    async def _bind(self, command: BindTask) -> None:
        run = await self._journal.run(command.run_id)
        task = run.tasks.get(command.key)
        if task is None or task.state is not TaskState.PLACED or task.current.number != command.attempt:
            self._may_tell_again(command)
            return
        option = task.current.option
        try:
            launch = launch_of(run, command.key, requests_of(run, command.key, option, self._platform.defaults))
        except (BadValueError, NeverError, NotYetError) as error:
            await self._fail(command, TaskError("definition", f"its arguments cannot be made: {error}"))
            return
        if self._surroundings is not None:
            more = self._surroundings(run, command.key, command.attempt)
            launch = replace(launch, environment={**more, **launch.environment})
        try:
            await self._platform.bind(launch)
        except PlatformError as error:
            await self._bind_failed(command, error)
            return
        self._tries.pop(launch.attempt_id, None)
        await self._write(
            command.run_id,
            happened.TaskQueued(at=self._clock.now(), key=command.key, attempt=command.attempt, node=task.current.node),
        )

    async def _bind_failed(self, command: BindTask, error: PlatformError) -> None:
        if not error.is_retryable:
            await self._fail(command, TaskError("refused", error.message, hint=error.hint or ""))
            return
        delay = self._delay(str(command.key) + command.run_id)
        await self._write_then_tell_again(
            command,
            happened.TaskUnbound(
                at=self._clock.now(),
                key=command.key,
                attempt=command.attempt,
                reason=f"the platform did not take it: {error.message}",
                not_before=self._clock.now() + timedelta(seconds=delay),
            ),
        )

    async def _fail(self, command: BindTask, error: TaskError) -> None:
        await self._write(
            command.run_id,
            happened.TaskFailed(at=self._clock.now(), key=command.key, attempt=command.attempt, error=error),
        )

    async def _submit(self, command: SubmitRun) -> None:
        run = await self._journal.run(command.run_id)
        delays = [task.current.not_before for task in run.tasks.values() if task.current.not_before is not None]
        if delays:  # it may be there already, and is asked for again
            await self._clock.sleep(max((max(delays) - self._clock.now()).total_seconds(), 0.0))
            run = await self._journal.run(command.run_id)
        if command not in outstanding(run):
            self._may_tell_again(command)
            return
        decisions = await asyncio.to_thread(self._decisions, run.id) if self._decisions is not None else ()
        try:
            platform_run_id = await self._platform.submit(run, self._placements(run, decisions))
        except PlatformError as error:
            await self._submit_failed(command, run, error)
            return
        except Exception as error:  # a fault of ours: whoever waits for the run must see that, and not only the log
            log.exception("%s failed", command)
            said = error.message if isinstance(error, MlopxError) else f"{type(error).__name__}: {str(error)[:200]}"
            why = f"this server failed at handing the run over ({said}); its log has more"
            await self._submit_failed(command, run, PlatformError(why, is_retryable=True))
            return
        await self._write(run.id, happened.RunHandedOver(at=self._clock.now(), platform_run_id=platform_run_id))

    def _placements(self, run: Run, decisions: Sequence[Decision]) -> dict[TaskKey, PlannedPlacement]:
        newest = {decision.key: decision for decision in decisions}
        more = self._surroundings or (lambda run, key, attempt: {})
        return {
            key: PlannedPlacement(
                task.current.node,
                task.current.option or DEFAULT_OPTION,
                task.current.alternatives,
                why=why_handed_over(task, newest.get(key)),
                environment=more(run, None if key.iteration else key, 1),
            )
            for key, task in run.tasks.items()
        }

    async def _submit_failed(self, command: SubmitRun, run: Run, error: PlatformError) -> None:
        if error.is_retryable:
            delay = self._delay(command.run_id)
            if not run.tasks:  # nothing is there that could be held until then
                await self._clock.sleep(delay)
            now = self._clock.now()
            event: happened.Event = happened.RunReturned(
                at=now,
                reason=f"{UNSURE if error.is_unsure else REFUSED}: {error.message}",
                not_before=now + timedelta(seconds=delay),
                is_unsure=error.is_unsure,
            )
        else:
            event = happened.RunEnded(at=self._clock.now(), state=RunState.FAILED, error=error.message)
        await self._write_then_tell_again(command, event)

    async def _cancel(self, command: CancelTask | CancelRun) -> None:
        """Ask until the platform has told the end."""
        while True:
            run = await self._journal.run(command.run_id)
            attempts: list[str] = []
            if isinstance(command, CancelTask):
                task = run.tasks[command.key]
                if task.current.number != command.attempt or not task.state.is_bound:
                    return
                attempts = [attempt_id(run.id, command.key, command.attempt)]
            elif run.state.is_end:
                return
            try:
                await self._platform.cancel(run, attempts)
            except PlatformError as error:
                if not error.is_retryable:
                    raise
                log.warning("cancelling %s: %s", command, error)
            await self._clock.sleep(CANCEL_AGAIN_SECONDS)

    def _delay(self, subject: str) -> float:
        self._tries[subject] += 1
        return float(min(FIRST_DELAY_SECONDS * 2 ** (self._tries[subject] - 1), LONGEST_DELAY_SECONDS))

    async def _write(self, run_id: str, event: happened.Event) -> Change:
        """Write what became of a call, as soon as the store can: nothing would ask for it again."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                return await self._journal.apply(run_id, event)
            except (IllegalTransitionError, NotFoundError):
                raise
            except Exception:  # whatever the store raises, it may take this later
                log.exception("what became of a call for run %s could not be stored; trying again", run_id)
                await self._clock.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _write_then_tell_again(self, command: Command, event: happened.Event) -> None:
        """Write that a call failed, and only then forget that it was made: what else changes in its run meanwhile
        would have it made again, though it is to wait."""
        change = await self._write(command.run_id, event)
        self._may_tell_again(command)
        self._carry_out(change.commands)

    def _may_tell_again(self, command: Command) -> None:
        self._told.get(command.run_id, set()).discard(command)

    def _forget(self, run_id: str) -> None:
        self._told.pop(run_id, None)
        self._locks.pop(run_id, None)
