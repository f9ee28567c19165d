"""What the routes need of the rest of the server; handed over by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.api.work_meters import WorkMeters
from server.components.accepting import Accepting
from server.components.bus import Bus
from server.components.data_manager import DataManager
from server.components.datasets.registry import DatasetRegistry
from server.components.decision_unit import DecisionUnit
from server.components.explaining.explainer import Explainer
from server.components.explaining.track import ForecastTrack
from server.components.forecasting.planner import Planner
from server.components.journal import Journal
from server.components.node_manager import NodeManager
from server.components.pipeline_manager import PipelineManager
from server.components.recurring.keeping import ScheduleKeeper
from server.components.remembering.questions import Questions
from server.components.reporting.reporter import Reporter
from server.components.scheduler import Scheduler
from server.components.shadows.shadows import Shadows
from server.components.supervisor import Check
from server.components.timeline import Timeline
from server.estimators.chain import ChainEstimator
from server.platforms.interface import PlatformInterface
from server.stores.interface import ArtifactStoreInterface, RunStoreInterface


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of a running server. `settings_view` holds what `GET /` tells of the settings."""

    pipeline_manager: PipelineManager
    journal: Journal
    store: RunStoreInterface
    artifacts: ArtifactStoreInterface
    node_manager: NodeManager
    data_manager: DataManager
    datasets: DatasetRegistry
    bus: Bus
    decision_unit: DecisionUnit
    scheduler: Scheduler
    explainer: Explainer
    planner: Planner
    shadows: Shadows
    forecasts: ForecastTrack
    questions: Questions
    accepting: Accepting
    reporter: Reporter
    timeline: Timeline
    schedules: ScheduleKeeper
    platform: PlatformInterface
    estimator: ChainEstimator
    work_meters: WorkMeters
    checks: Callable[[], Awaitable[dict[str, Check]]]
    settings_view: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    max_upload_bytes: int = 32 * 2**20
    pipelines_dir: Path | None = None
