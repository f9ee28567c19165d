"""The composition root: settings become rooms, rooms become a running server. The only place that knows everybody."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from server.api.services import Services
from server.cluster.embedded import EmbeddedNodes
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.profiles import read_profiles
from server.components.bus import Bus
from server.components.clock import SteadyClock
from server.components.cycle import CycleSettings
from server.components.data_manager import DataManager
from server.components.decision_unit import DecisionUnit
from server.components.dispatcher import Dispatcher
from server.components.explaining.explainer import Explainer
from server.components.forecasting.planner import Planner
from server.components.historian import Historian
from server.components.journal import Journal
from server.components.leadership import Leadership
from server.components.node_manager import NodeManager
from server.components.pipeline_manager import PipelineManager
from server.components.recurring.parts import make_recurring
from server.components.scheduler import Scheduler
from server.components.shadowing import Shadowing
from server.components.spot_nodes import SpotNodes
from server.components.supervisor import Check, Supervisor
from server.components.timeline import Timeline
from server.components.tracker import Tracker
from server.connecting import (
    Connected,
    growable_groups,
    make_observer,
    make_platform,
    make_replacer,
    measured_loads,
)
from server.domain.errors import MlopxError
from server.domain.node import Node
from server.domain.run import TaskKey, attempt_id
from server.domain.states import Binding, TaskState
from server.estimators.chain import ChainEstimator
from server.estimators.table import build_estimates
from server.looking_back import Parts, holdout_of, look_back, rule_of
from server.observing import observing
from server.platforms.interface import PlatformInterface
from server.platforms.kubeflow.platform import KubeflowPlatform
from server.settings import Settings
from server.state_folder import prepare_state, sole_user
from server.stores.files import FileArtifactStore
from server.stores.interface import RunStoreInterface
from server.stores.sql import SqlRunStore

log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """A whole server, from before its first request until after its last. Raises ConfigurationError."""
    logging.getLogger("server").setLevel(settings.log_level.upper())
    state = prepare_state(settings.state_dir)
    async with contextlib.AsyncExitStack() as stack:
        if settings.database.startswith("sqlite"):
            stack.enter_context(sole_user(state))
        store = await asyncio.to_thread(SqlRunStore, settings.database)
        stack.callback(store.close)
        clock = SteadyClock(time.time, time.monotonic)  # noqa: TID251 - the one place that reads the machine's clock
        await asyncio.to_thread(_catch_up, store, clock)
        yield await _compose(settings, state, store, clock, stack)


async def _compose(
    settings: Settings, state: Path, store: RunStoreInterface, clock: SteadyClock, stack: contextlib.AsyncExitStack
) -> Services:
    is_shared = not settings.database.startswith("sqlite")
    bus = Bus(store, poll_seconds=1.0 if is_shared else None)
    stack.push_async_callback(bus.aclose)
    journal = Journal(store, bus)
    artifacts = FileArtifactStore(state / "artifacts")

    def node_of(name: str) -> Node | None:
        return node_manager.current().node(name)

    platform, source = make_platform(settings, state, artifacts, clock, node_of=node_of)
    max_hold_seconds = settings.max_hold if platform.name == "kubeflow" else None
    estimator = ChainEstimator()
    node_manager = NodeManager(
        sources=[
            source or EmbeddedNodes(platform.name, platform.nodes, clock.now),
            *growable_groups(settings, clock.now),
            *measured_loads(
                settings, clock.now, stack, known=lambda: [node.name for node in node_manager.current().nodes]
            ),
        ],
        live=journal.live,
        defaults=platform.defaults,
        clock=clock,
        refresh_seconds=settings.update_interval,
        profiles=read_profiles(settings.node_profiles) if settings.node_profiles is not None else None,
    )
    decision_unit = DecisionUnit(
        placer=settings.placer,
        new_id=lambda: new_id(8),
        fallback="fifo_greedy" if platform.name == "local" else None,
        time_limit_seconds=settings.placer_time_limit,
        binding=platform.binding,
        max_hold_seconds=max_hold_seconds,
    )

    estimate = partial(build_estimates, estimator=estimator)
    spot_nodes = SpotNodes(node_of)
    cycle_settings = CycleSettings(settings.objective, settings.seed, settings.placer_time_limit)
    scheduler = Scheduler(
        journal=journal,
        store=store,
        decision_unit=decision_unit,
        node_manager=node_manager,
        estimate=estimate,
        defaults=platform.defaults,
        clock=clock,
        settings=cycle_settings,
        wait_seconds=settings.wait_interval,
        max_hold_seconds=max_hold_seconds,
        advise=spot_nodes.advised,
        platforms_rule=rule_of(settings, platform, lambda: new_id(8)),
    )
    watching = observing(settings.otel_exporter_otlp_endpoint)
    stack.push_async_callback(watching.aclose)
    dispatcher = Dispatcher(journal=journal, platform=platform, clock=clock, surroundings=watching.surroundings())
    tracker = Tracker(journal=journal, platform=platform, clock=clock)
    historian = Historian(
        store=store,
        learn=estimator.observe,
        teach=estimator.teach,
        node_of=node_of,
        defaults=platform.defaults,
    )
    supervisor = Supervisor(clock)
    stack.push_async_callback(_stop, platform, supervisor, dispatcher, decision_unit, settings.agent_grace_seconds == 0)
    timeline = Timeline(store=store, live=journal.live)
    parts_seen = Parts(journal, store, scheduler, node_manager, platform, clock)
    past = look_back(settings, parts=parts_seen, estimate=estimate, new_id=lambda: new_id(8))
    stack.push_async_callback(past.aclose)
    for listener in (dispatcher.notice, historian.notice, spot_nodes.notice, scheduler.notice, timeline.notice):
        journal.listen(listener)
    watching.listen(journal, scheduler)
    node_manager.on_change(scheduler.wake)
    owner = f"{socket.gethostname()}:{os.getpid()}" if is_shared else str(state)
    leadership = Leadership(store, clock, owner=owner, seconds=LEASE_SECONDS)
    await leadership.require()
    stack.push_async_callback(leadership.give_up)
    await asyncio.gather(decision_unit.start(), platform.start(), historian.load(), timeline.load())
    await asyncio.to_thread(estimator.settle)
    await node_manager.refresh()
    await _resume(journal, platform, dispatcher)
    parts = {
        "journal": journal.write_forever,
        "nodes": node_manager.refresh_forever,
        "tracker": tracker.run_forever,
        "historian": historian.write_forever,
        "scheduler": scheduler.run_forever,
        "leadership": leadership.keep_forever,
        "node history": past.node_history.look_forever,
    }
    if isinstance(source, KubernetesNodes):
        parts["kubernetes"] = source.run_forever
    shadowing = Shadowing(decision_unit, node_manager, estimate, clock, cycle_settings)
    if isinstance(platform, KubeflowPlatform):
        observer = make_observer(
            Connected(platform, None),
            settings,
            state,
            now=clock.now,
            keep=historian.keep,
            node_of=node_of,
            shadow=shadowing.nodes,
        )
        parts["observer"] = observer.observe_forever
    for name, part in parts.items():
        supervisor.start(name, part)

    async def checks() -> dict[str, Check]:
        found = supervisor.checks()
        try:
            await asyncio.to_thread(store.ping)
            found["database"] = Check(True)
        except MlopxError as error:
            found["database"] = Check(False, error.message)
        for name, problem in node_manager.problems().items():
            found[f"nodes:{name}"] = Check(False, problem)
        for part, problem in platform.problems().items():
            found[f"{platform.name}:{part}"] = Check(False, problem)
        if decision_unit.failures:
            detail = f"the strategy failed {decision_unit.fallbacks} times, last: {scheduler.last_problem or 'earlier'}"
            found["placer"] = Check(scheduler.last_problem is None, detail)
        return found

    pipeline_manager = PipelineManager(
        journal=journal,
        platform=platform,
        node_manager=node_manager,
        artifacts=artifacts,
        clock=clock,
        new_run_id=lambda name: f"{name[:40]}-{new_id(6)}",
        is_caching=settings.enable_caching,
        holdout=holdout_of(settings),
    )
    if isinstance(platform, KubeflowPlatform) and settings.replace_after:
        replacer = make_replacer(platform, settings, pipeline_manager, journal, shadowing, clock)
        journal.listen(replacer.notice)
        supervisor.start("replacer", lambda: replacer.look_forever(settings.update_interval))
    recurring = make_recurring(store, journal, pipeline_manager, platform, clock, new_uid=lambda: new_id(8))
    stack.push_async_callback(recurring.webhooks.aclose)
    supervisor.start("schedules", recurring.recurrence.run_forever)
    planner = Planner(
        journal=journal,
        store=store,
        node_manager=node_manager,
        decision_unit=decision_unit,
        pipeline_manager=pipeline_manager,
        estimate=estimate,
        defaults=platform.defaults,
        clock=clock,
        settings=cycle_settings,
    )
    stack.push_async_callback(planner.aclose)
    explainer = Explainer(
        journal=journal,
        store=store,
        node_manager=node_manager,
        scheduler=scheduler,
        decision_unit=decision_unit,
        estimate=estimate,
        defaults=platform.defaults,
    )
    journal.listen(explainer.notice)
    supervisor.start("forecasts", lambda: explainer.watch_forever(clock))
    return Services(
        settings_view={"placer": settings.placer, "platform": platform.name},
        pipeline_manager=pipeline_manager,
        journal=journal,
        store=store,
        artifacts=artifacts,
        node_manager=node_manager,
        data_manager=DataManager(settings.datasets_path),
        bus=bus,
        decision_unit=decision_unit,
        scheduler=scheduler,
        explainer=explainer,
        planner=planner,
        accepting=past.accepting,
        shadows=past.shadows,
        reporter=past.reporter,
        timeline=timeline,
        schedules=recurring.keeper,
        platform=platform,
        estimator=estimator,
        work_meters=watching.meters,
        checks=checks,
        token=settings.mlopx_token.get_secret_value() if settings.mlopx_token else None,
        hosts=settings.hosts,
        max_upload_bytes=settings.max_upload_bytes,
        pipelines_dir=settings.pipelines_dir,
    )


def new_id(size: int) -> str:
    """A random lower-case id of about `size * 1.6` characters."""
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


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


async def _stop(
    platform: PlatformInterface,
    supervisor: Supervisor,
    dispatcher: Dispatcher,
    decision_unit: DecisionUnit,
    is_ending_tasks: bool,
) -> None:
    steps: Sequence[Callable[[], Awaitable[None]]] = (
        dispatcher.aclose,
        supervisor.aclose,
        lambda: platform.aclose(stop_tasks=is_ending_tasks),
        decision_unit.aclose,
    )
    for step in steps:
        try:
            await step()
        except Exception:
            log.exception("a part did not stop cleanly")
