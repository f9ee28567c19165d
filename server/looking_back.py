"""Puts together what looks back: shadows beside the live strategy, kept questions, and the nodes over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.components.accepting import Accepting
from server.components.clock import Clock
from server.components.decision_unit import DecisionUnit, placer_path
from server.components.explaining.scene import EstimateAll
from server.components.explaining.track import ForecastTrack
from server.components.holdout.drawing import Holdout, read_share
from server.components.holdout.splitting import PLATFORMS_RULE
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.remembering.forecasts import ForecastMemory
from server.components.remembering.node_history import NodeHistory
from server.components.remembering.questions import Questions
from server.components.reporting.rates import Rates, read_rates
from server.components.reporting.replays import Replays
from server.components.reporting.reporter import Reporter
from server.components.scheduler import Scheduler
from server.components.shadows.shadows import Shadows
from server.domain.errors import ConfigurationError
from server.domain.states import Binding
from server.platforms.interface import PlatformInterface
from server.settings import Settings
from server.stores.interface import RunStoreInterface

MOST_SHADOWS = 4


@dataclass(frozen=True, slots=True)
class LookingBack:
    """The parts; and what lets users overrule a decision."""

    accepting: Accepting
    shadows: Shadows
    reporter: Reporter
    replays: Replays
    questions: Questions
    node_history: NodeHistory
    forecasts: ForecastMemory

    async def load(self) -> None:
        """Take back what was learned before the server was started."""
        await self.forecasts.load()

    async def aclose(self) -> None:
        """End what runs beside the server."""
        await self.shadows.aclose()
        await self.replays.aclose()
        await self.questions.aclose()
        await self.forecasts.keep()


def holdout_of(settings: Settings) -> Holdout:
    """The holdout that the settings ask for."""
    return Holdout(read_share(settings.holdout), settings.holdout_salt)


def rates_of(settings: Settings) -> Rates:
    """What node and accelerator hours cost. Raises ConfigurationError for a file that cannot be read."""
    return read_rates(settings.rates) if settings.rates else Rates()


def rule_of(settings: Settings, platform: PlatformInterface, new_id: Callable[[], str]) -> DecisionUnit | None:
    """What decides about runs of the holdout: the local platform's own rule; on others nobody here does."""
    if not holdout_of(settings).share or platform.binding is not Binding.WHEN_READY:
        return None
    return DecisionUnit(placer=PLATFORMS_RULE, new_id=new_id, in_process=True, fallback=None, binding=platform.binding)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the server that are looked at."""

    journal: Journal
    store: RunStoreInterface
    scheduler: Scheduler
    node_manager: NodeManager
    platform: PlatformInterface
    clock: Clock


def look_back(settings: Settings, *, parts: Parts, estimate: EstimateAll, new_id: Callable[[], str]) -> LookingBack:
    """Have the scheduler's cycles remembered and compared. Raises ConfigurationError for an unknown shadow."""
    store, scheduler, node_manager, platform = parts.store, parts.scheduler, parts.node_manager, parts.platform
    clock = parts.clock
    if len(settings.shadows) > MOST_SHADOWS:
        raise ConfigurationError(
            f"SHADOW names {len(settings.shadows)} strategies",
            hint=f"each is a process of its own: name at most {MOST_SHADOWS}",
        )
    shadows = Shadows(
        {name: placer_path(name) for name in settings.shadows},
        store=store,
        limit_seconds=settings.placer_time_limit,
    )
    questions = Questions(store)
    for callback in (shadows.notice, questions.notice):
        scheduler.on_decided(callback)
    history = NodeHistory(
        store=store,
        nodes=lambda: node_manager.current().nodes,
        clock=clock,
        every_seconds=settings.update_interval,
    )
    forecasts = ForecastMemory(track=ForecastTrack(), store=store, clock=clock)
    replays = Replays(
        {
            "STATE_DIR": str(settings.state_dir.absolute()),
            "DATABASE_URL": settings.database,
            "PLATFORM": settings.platform_name,
            "OBJECTIVE": settings.objective,
            "SEED": str(settings.seed),
            "RATES": str(settings.rates.absolute()) if settings.rates else "",
        }
    )
    reporter = Reporter(
        store=store,
        clock=clock,
        nodes=lambda: node_manager.current().nodes,
        defaults=platform.defaults,
        rates=rates_of(settings),
        replays=replays,
        holdout=holdout_of(settings),
        strategy=settings.placer,
        baseline=PLATFORMS_RULE if settings.platform_name == "local" else "kubernetes",
    )
    accepting = Accepting(
        journal=parts.journal,
        store=store,
        scheduler=scheduler,
        node_manager=node_manager,
        estimate=estimate,
        defaults=platform.defaults,
        new_id=new_id,
    )
    return LookingBack(accepting, shadows, reporter, replays, questions, history, forecasts)


__all__ = ["LookingBack", "Parts", "holdout_of", "look_back", "rates_of", "rule_of"]
