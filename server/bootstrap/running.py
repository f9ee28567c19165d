"""A whole server, from before its first request until after its last: what begins when, and ends when."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from threadpoolctl import threadpool_limits

from server.api.services import Services
from server.bootstrap.answering import make_services
from server.bootstrap.engine import Engine, make_engine
from server.bootstrap.ground import Ground, make_ground
from server.bootstrap.world import World, make_world
from server.components.clock import SteadyClock
from server.components.dispatcher import Dispatcher
from server.components.journal import Journal
from server.components.leadership import Leadership
from server.components.shadowing import Shadowing
from server.connecting import Connected, kubernetes_parts, make_observer
from server.domain.run import TaskKey, attempt_id
from server.domain.states import Binding, TaskState
from server.platforms.interface import PlatformInterface
from server.platforms.kubeflow.platform import KubeflowPlatform
from server.settings import Settings
from server.state_folder import prepare_state, sole_user
from server.stores.interface import RunStoreInterface
from server.stores.sql import SqlRunStore

log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
DATASETS_AGAIN_SECONDS = 30.0

Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """A whole server. Raises ConfigurationError."""
    logging.getLogger("server").setLevel(settings.log_level.upper())
    state = prepare_state(settings.state_dir)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(threadpool_limits(limits=1, user_api="blas"))  # small matrices: more threads only spin
        if settings.database.startswith("sqlite"):
            stack.enter_context(sole_user(state))
        store = await asyncio.to_thread(SqlRunStore, settings.database)
        stack.callback(store.close)
        clock = SteadyClock(time.time, time.monotonic)  # noqa: TID251 - the one place that reads the machine's clock
        await asyncio.to_thread(_catch_up, store, clock)
        yield await _compose(make_ground(settings, state, store, clock, stack))


async def _compose(ground: Ground) -> Services:
    stack = ground.stack
    world = make_world(ground)
    engine = make_engine(ground, world)
    stack.push_async_callback(engine.watching.aclose)
    stack.push_async_callback(_stop, ground, world, engine)
    stack.push_async_callback(engine.past.aclose)
    leadership = await _lead(ground)
    await _begin(ground, world, engine)
    shadowing = Shadowing(engine.decision_unit, world.node_manager, world.estimate, ground.clock, engine.cycle_settings)
    for name, work in {
        **_work_of(ground, world, engine),
        "leadership": leadership.keep_forever,
        **_observing(ground, world, engine, shadowing),
    }.items():
        engine.supervisor.start(name, work)
    return make_services(ground, world, engine, shadowing)


async def _lead(ground: Ground) -> Leadership:
    """Be the only server that decides on this database. Raises ConfigurationError while another one is."""
    owner = f"{socket.gethostname()}:{os.getpid()}" if ground.is_shared else str(ground.state)
    leadership = Leadership(ground.store, ground.clock, owner=owner, seconds=LEASE_SECONDS)
    await leadership.require()
    ground.stack.push_async_callback(leadership.give_up)
    return leadership


async def _begin(ground: Ground, world: World, engine: Engine) -> None:
    """Load what is known, look at the nodes, and go on where the last server was."""
    await asyncio.gather(
        engine.decision_unit.start(),
        world.platform.start(),
        world.datasets.load(),
        engine.historian.load(),
        engine.timeline.load(),
        engine.past.load(),
    )
    await asyncio.to_thread(world.estimator.settle)
    await world.node_manager.refresh()
    await _resume(ground.journal, world.platform, engine.dispatcher)


def _work_of(ground: Ground, world: World, engine: Engine) -> Mapping[str, Work]:
    """What goes on as long as the server does, by name."""
    found: dict[str, Work] = {
        "journal": ground.journal.write_forever,
        "nodes": world.node_manager.refresh_forever,
        "tracker": engine.tracker.run_forever,
        "historian": engine.historian.write_forever,
        "data sets": lambda: world.datasets.keep_forever(DATASETS_AGAIN_SECONDS),
        "scheduler": engine.scheduler.run_forever,
        "node history": engine.past.node_history.look_forever,
    }
    return {**found, **kubernetes_parts(world.source, world.limits, engine.scheduler.wake)}


def _observing(ground: Ground, world: World, engine: Engine, shadowing: Shadowing) -> Mapping[str, Work]:
    """On Kubeflow everybody's runs are learned from."""
    if not isinstance(world.platform, KubeflowPlatform):
        return {}
    observer = make_observer(
        Connected(world.platform, None),
        ground.settings,
        ground.state,
        now=ground.clock.now,
        keep=engine.historian.keep,
        node_of=world.node_of,
        shadow=shadowing.nodes,
    )
    return {"observer": observer.observe_forever}


def _catch_up(store: RunStoreInterface, clock: SteadyClock) -> None:
    last = store.last_event_id()
    for stored in store.events(after=max(last - 1, 0), limit=1):
        clock.not_before(stored.event.at)


async def _resume(journal: Journal, platform: PlatformInterface, dispatcher: Dispatcher) -> None:
    """Go on where the last server was: find what runs, report what is lost, carry out what is outstanding."""
    runs = await journal.load()
    attempts: dict[str, tuple[str, TaskKey, int]] = {}
    for run in runs:
        if run.options.binding is Binding.WHEN_READY:
            for key, attempt in run.attempts_in(TaskState.QUEUED, TaskState.RUNNING):
                attempts[attempt_id(run.id, key, attempt.number)] = (run.id, key, attempt.number)
    await platform.reconcile(attempts)
    await platform.resume([run for run in runs if run.options.binding is Binding.AT_SUBMISSION])
    if runs:
        log.info("resuming %d runs with %d attempts on their way", len(runs), len(attempts))
    dispatcher.resume(runs)


async def _stop(ground: Ground, world: World, engine: Engine) -> None:
    is_ending_tasks = ground.settings.agent_grace_seconds == 0
    steps: Sequence[Work] = (
        engine.dispatcher.aclose,
        engine.supervisor.aclose,
        lambda: world.platform.aclose(stop_tasks=is_ending_tasks),
        engine.decision_unit.aclose,
    )
    for step in steps:
        try:
            await step()
        except Exception:
            log.exception("a part did not stop cleanly")


__all__ = ["running"]
