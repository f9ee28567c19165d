"""What people ask of the server: submit, explain, plan, schedule, compare; handed over to the routes."""

from __future__ import annotations

from server.api.services import Services
from server.bootstrap.checks import checks_of
from server.bootstrap.engine import Engine
from server.bootstrap.ground import Ground, new_id
from server.bootstrap.world import World
from server.components.data_manager import DataManager
from server.components.explaining.explainer import Explainer
from server.components.forecasting.planner import Planner
from server.components.pipeline_manager import PipelineManager
from server.components.recurring.keeping import ScheduleKeeper
from server.components.recurring.parts import make_recurring
from server.components.shadowing import Shadowing
from server.connecting import make_replacer
from server.looking_back import holdout_of, rates_of
from server.platforms.kubeflow.platform import KubeflowPlatform


def make_services(ground: Ground, world: World, engine: Engine, shadowing: Shadowing) -> Services:
    """The services of a server whose engine runs; what they do by themselves is started."""
    settings = ground.settings
    pipeline_manager = PipelineManager(
        journal=ground.journal,
        platform=world.platform,
        node_manager=world.node_manager,
        artifacts=ground.artifacts,
        clock=ground.clock,
        new_run_id=lambda name: f"{name[:40]}-{new_id(6)}",
        is_caching=settings.enable_caching,
        holdout=holdout_of(settings),
    )
    _offer_replacements(ground, world, engine, pipeline_manager, shadowing)
    return Services(
        settings_view={"placer": settings.placer, "platform": world.platform.name},
        pipeline_manager=pipeline_manager,
        journal=ground.journal,
        store=ground.store,
        artifacts=ground.artifacts,
        node_manager=world.node_manager,
        data_manager=DataManager(settings.datasets_path),
        datasets=world.datasets,
        bus=ground.bus,
        decision_unit=engine.decision_unit,
        scheduler=engine.scheduler,
        explainer=_explainer(ground, world, engine),
        planner=_planner(ground, world, engine, pipeline_manager),
        accepting=engine.past.accepting,
        shadows=engine.past.shadows,
        forecasts=engine.past.forecasts.track,
        questions=engine.past.questions,
        reporter=engine.past.reporter,
        timeline=engine.timeline,
        schedules=_schedules(ground, world, engine, pipeline_manager),
        platform=world.platform,
        estimator=world.estimator,
        work_meters=engine.watching.meters,
        checks=checks_of(ground, world, engine),
        token=settings.mlopx_token.get_secret_value() if settings.mlopx_token else None,
        hosts=settings.hosts,
        max_upload_bytes=settings.max_upload_bytes,
        pipelines_dir=settings.pipelines_dir,
    )


def _offer_replacements(
    ground: Ground, world: World, engine: Engine, pipeline_manager: PipelineManager, shadowing: Shadowing
) -> None:
    """Runs on Kubeflow that wait in vain are offered a new placement."""
    settings = ground.settings
    if isinstance(world.platform, KubeflowPlatform) and settings.replace_after:
        replacer = make_replacer(world.platform, settings, pipeline_manager, ground.journal, shadowing, ground.clock)
        ground.journal.listen(replacer.notice)
        engine.supervisor.start("replacer", lambda: replacer.look_forever(settings.update_interval))


def _schedules(ground: Ground, world: World, engine: Engine, pipeline_manager: PipelineManager) -> ScheduleKeeper:
    recurring = make_recurring(
        ground.store, ground.journal, pipeline_manager, world.platform, ground.clock, new_uid=new_id
    )
    ground.stack.push_async_callback(recurring.webhooks.aclose)
    engine.supervisor.start("schedules", recurring.recurrence.run_forever)
    return recurring.keeper


def _planner(ground: Ground, world: World, engine: Engine, pipeline_manager: PipelineManager) -> Planner:
    planner = Planner(
        journal=ground.journal,
        store=ground.store,
        node_manager=world.node_manager,
        decision_unit=engine.decision_unit,
        pipeline_manager=pipeline_manager,
        estimate=world.estimate,
        defaults=world.defaults,
        clock=ground.clock,
        settings=engine.cycle_settings,
        track=engine.past.forecasts.track,
        rates=rates_of(ground.settings),
    )
    ground.stack.push_async_callback(planner.aclose)
    return planner


def _explainer(ground: Ground, world: World, engine: Engine) -> Explainer:
    explainer = Explainer(
        journal=ground.journal,
        store=ground.store,
        node_manager=world.node_manager,
        scheduler=engine.scheduler,
        estimate=world.estimate,
        defaults=world.defaults,
        track=engine.past.forecasts.track,
        network=engine.cycle_settings.network,
    )
    ground.journal.listen(explainer.notice)
    engine.supervisor.start("forecasts", lambda: engine.past.forecasts.watch_forever(explainer.foretell))
    return explainer


__all__ = ["make_services"]
