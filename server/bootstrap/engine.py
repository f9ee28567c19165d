"""What moves runs from submission to their end: decide, send, follow, learn."""

from __future__ import annotations

from dataclasses import dataclass

from server.bootstrap.ground import Ground, new_id
from server.bootstrap.world import World
from server.components.cycle import CycleSettings
from server.components.decision_unit import DecisionUnit
from server.components.dispatcher import Dispatcher
from server.components.historian import Historian
from server.components.scheduler import Scheduler
from server.components.spot_nodes import SpotNodes
from server.components.supervisor import Supervisor
from server.components.timeline import Timeline
from server.components.tracker import Tracker
from server.connecting import known_network
from server.looking_back import LookingBack, Parts, look_back, rule_of
from server.observing import Observing, observing


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts at work; `past` is what remembers and compares their decisions."""

    cycle_settings: CycleSettings
    decision_unit: DecisionUnit
    scheduler: Scheduler
    dispatcher: Dispatcher
    tracker: Tracker
    historian: Historian
    spot_nodes: SpotNodes
    timeline: Timeline
    supervisor: Supervisor
    watching: Observing
    past: LookingBack


def make_engine(ground: Ground, world: World) -> Engine:
    """All parts, each hearing of what the others do; nothing runs yet. Raises ConfigurationError."""
    settings, journal, store, clock = ground.settings, ground.journal, ground.store, ground.clock
    platform = world.platform
    cycle_settings = CycleSettings(
        settings.objective, settings.seed, settings.placer_time_limit, known_network(settings)
    )
    spot_nodes = SpotNodes(world.node_of)
    decision_unit, scheduler = _deciding(ground, world, cycle_settings, spot_nodes)
    watching = observing(settings.otel_exporter_otlp_endpoint)
    seen = Parts(journal, store, scheduler, world.node_manager, platform, clock)
    engine = Engine(
        cycle_settings=cycle_settings,
        decision_unit=decision_unit,
        scheduler=scheduler,
        dispatcher=Dispatcher(
            journal=journal,
            platform=platform,
            clock=clock,
            surroundings=watching.surroundings(),
            decisions=store.decisions,
        ),
        tracker=Tracker(journal=journal, platform=platform, clock=clock),
        historian=Historian(
            store=store,
            learn=world.estimator.observe,
            teach=world.estimator.teach,
            node_of=world.node_of,
            defaults=world.defaults,
            images=world.images,
        ),
        spot_nodes=spot_nodes,
        timeline=Timeline(store=store, live=journal.live),
        supervisor=Supervisor(clock),
        watching=watching,
        past=look_back(settings, parts=seen, estimate=world.estimate, new_id=new_id),
    )
    _listen(ground, world, engine)
    return engine


def _deciding(
    ground: Ground, world: World, cycle_settings: CycleSettings, spot_nodes: SpotNodes
) -> tuple[DecisionUnit, Scheduler]:
    settings, platform = ground.settings, world.platform
    max_hold_seconds = settings.max_hold if platform.name == "kubeflow" else None
    decision_unit = DecisionUnit(
        placer=settings.placer,
        new_id=new_id,
        fallback="fifo_greedy" if platform.name == "local" else None,
        time_limit_seconds=settings.placer_time_limit,
        binding=platform.binding,
        max_hold_seconds=max_hold_seconds,
    )
    scheduler = Scheduler(
        journal=ground.journal,
        store=ground.store,
        decision_unit=decision_unit,
        node_manager=world.node_manager,
        estimate=world.estimate,
        defaults=world.defaults,
        clock=ground.clock,
        settings=cycle_settings,
        wait_seconds=settings.wait_interval,
        max_hold_seconds=max_hold_seconds,
        advise=spot_nodes.advised,
        platforms_rule=rule_of(settings, platform, new_id),
        gate=world.limits,
    )
    decision_unit.on_ready = scheduler.wake
    return decision_unit, scheduler


def _listen(ground: Ground, world: World, engine: Engine) -> None:
    """Let the parts hear of each other, in the order in which they act on an event."""
    parts = (engine.dispatcher, world.datasets, world.images, engine.historian, engine.spot_nodes)
    for part in (*parts, engine.scheduler, engine.timeline):
        ground.journal.listen(part.notice)
    engine.watching.listen(ground.journal, engine.scheduler)
    world.node_manager.on_change(engine.scheduler.wake)


__all__ = ["Engine", "make_engine"]
