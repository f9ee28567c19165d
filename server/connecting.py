"""Makes the platform of the settings, and connects to Kubeflow Pipelines, Kubernetes and Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlopx.spec import PipelineSpec
from server.cluster.interface import NodeSourceInterface
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.limits.limits import KubernetesLimits
from server.cluster.limits.several import SeveralLimits
from server.cluster.prometheus import PrometheusLoads, prometheus_client
from server.cluster.promql import queries
from server.cluster.static_file import StaticFileNodes, read_nodes
from server.components.clock import Clock, SteadyClock
from server.components.journal import Journal
from server.components.pipeline_manager import PipelineManager
from server.components.replacing import Replacer
from server.components.shadowing import Shadowing
from server.confining import limits_of
from server.domain.errors import ConfigurationError
from server.domain.network import NodeNetwork
from server.domain.node import Node
from server.domain.placement import DEFAULT_OPTION
from server.domain.request import kubernetes_defaults
from server.estimators.classes import node_class
from server.exchange.errors import UnreadableError
from server.exchange.networks import read_network
from server.kube.access import Access, find_access
from server.kube.client import KubeClient
from server.kube.own_runs import OwnRuns
from server.platforms.interface import PlatformInterface
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.compile import compile_spec, refusals
from server.platforms.kubeflow.compiler import PlacingCompiler, Translated
from server.platforms.kubeflow.identity import Identity
from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.observer import Observer, Shadow
from server.platforms.kubeflow.observing import Lesson
from server.platforms.kubeflow.options import KubeflowOptions
from server.platforms.kubeflow.placing import PlacementMode
from server.platforms.kubeflow.platform import KubeflowPlatform
from server.platforms.kubeflow.reading import read_pipeline
from server.platforms.kubeflow.versions import read_version
from server.platforms.local.cluster_file import default_cluster, read_cluster, usable_cores, usable_memory_bytes
from server.platforms.local.manifests import DATASETS_VOLUMES
from server.platforms.local.platform import LocalPlatform
from server.platforms.local.secret_files import read_secret
from server.settings import Settings
from server.stores.files import FileArtifactStore
from server.stores.interface import FinishedAttempt

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connected:
    """The platform, and the node source and limits that placing needs (None without Kubernetes access)."""

    platform: KubeflowPlatform
    source: KubernetesNodes | None
    limits: KubernetesLimits | SeveralLimits | None = None


def make_platform(
    settings: Settings,
    state: Path,
    artifacts: FileArtifactStore,
    clock: SteadyClock,
    *,
    node_of: Callable[[str], Node | None],
) -> tuple[PlatformInterface, KubernetesNodes | None, KubernetesLimits | SeveralLimits | None]:
    """The platform that the settings name, and its node source and limits, if it has some besides itself.

    Raises ConfigurationError.
    """
    if settings.platform_name == "kubeflow":
        connected = connect_kubeflow(settings, state, now=clock.now, node_of=node_of)
        return connected.platform, connected.source, connected.limits
    return _local_platform(settings, state, artifacts, clock), None, None


def _local_platform(
    settings: Settings, state: Path, artifacts: FileArtifactStore, clock: SteadyClock
) -> PlatformInterface:
    if settings.cluster_file is not None:
        cluster = read_cluster(settings.cluster_file, usable_cores())
    else:
        cluster = default_cluster(usable_cores(), usable_memory_bytes())
    for warning in cluster.warnings:
        log.warning("%s", warning)
    volumes = dict(cluster.volumes)
    if settings.datasets_path.is_dir():
        for name in DATASETS_VOLUMES:
            volumes.setdefault(name, settings.datasets_path.resolve())
    return LocalPlatform(
        cluster=cluster.with_volumes(volumes),
        state=state,
        artifacts=artifacts,
        secret=lambda name, key: read_secret(settings.secrets_dir, name, key),
        grace_seconds=settings.agent_grace_seconds,
        now=clock.now,
    )


def connect_kubeflow(
    settings: Settings, state: Path, *, now: Callable[[], datetime], node_of: Callable[[str], Node | None]
) -> Connected:
    """The Kubeflow platform of the settings. Raises ConfigurationError."""
    access = kube_access(settings)
    kube = KubeClient(access) if access is not None else None
    own_runs = OwnRuns()
    source: KubernetesNodes | None = None
    limits: KubernetesLimits | SeveralLimits | None = None
    if kube is not None:
        source = KubernetesNodes(kube, now=now, own_runs=own_runs)
        limits = limits_of(settings, kube, source, now=now, state=state)

    async def nodes() -> Sequence[Node]:
        return (await source.look()).nodes if source is not None else ()

    platform = KubeflowPlatform(
        client=kfp_client(settings, now),
        compiler=PlacingCompiler(
            translate=translate,
            refusals=refusals,
            node_of=node_of,
            mode=PlacementMode(settings.kfp_placement),
            iterations=settings.kfp_iterations,
        ),
        kube=kube,
        nodes=nodes,
        options=KubeflowOptions(
            namespaces=Namespaces.read(settings.kfp_namespace),
            experiment=settings.kfp_experiment,
            service_account=settings.kfp_service_account,
            user_header=settings.kfp_user_header,
            update_seconds=settings.update_interval,
            is_annotating=settings.kfp_mode != "observe",
            mode=settings.kfp_mode,
            own_token=settings.mlopx_token.get_secret_value() if settings.mlopx_token else None,
            ui_url=settings.kfp_ui_url,
            version=read_version(settings.kfp_version),
        ),
        folder=state / "kubeflow",
        now=now,
        sleep=asyncio.sleep,
        defaults=limits.confining if limits is not None else kubernetes_defaults,
        forbids=limits.refusals if limits is not None else lambda spec, project: [],
        own_runs=own_runs,
    )
    return Connected(platform, source, limits)


def kubernetes_parts(
    source: KubernetesNodes | None, limits: KubernetesLimits | SeveralLimits | None, wake: Callable[[], None]
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """What follows the cluster as long as the server runs; `wake` is called when tasks may go where they could not."""
    parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    if source is not None:
        parts["kubernetes"] = source.run_forever
    if limits is not None:
        limits.on_change(wake)
        parts["limits"] = limits.run_forever
    return parts


def make_observer(
    connected: Connected,
    settings: Settings,
    state: Path,
    *,
    now: Callable[[], datetime],
    keep: Callable[[Sequence[FinishedAttempt]], Awaitable[None]],
    node_of: Callable[[str], Node | None],
    shadow: Shadow | None,
) -> Observer:
    """What learns from everybody's runs; `keep` stores what was learned and teaches the estimators."""

    async def teach(lessons: Sequence[Lesson]) -> None:
        await keep([finished_of(one, node_of(one.node)) for one in lessons])

    platform = connected.platform
    observer = Observer(
        platform.client,
        namespaces=Namespaces.read(settings.kfp_namespace),
        file=observed_file(state),
        sights=platform.watcher.sights,
        teach=teach,
        shadow=shadow,
        now=now,
        is_blind=platform.watcher.mirrors.is_blind,
    )
    platform.watcher.tell_all(observer.offer, observer.away_since)
    return observer


def growable_groups(settings: Settings, now: Callable[[], datetime]) -> list[NodeSourceInterface]:
    """The node groups that an autoscaler could grow, where a file beside Kubeflow names them.

    Raises ConfigurationError for an unreadable file.
    """
    if settings.platform_name != "kubeflow" or settings.cluster_file is None:
        return []
    read_nodes(settings.cluster_file)
    return [StaticFileNodes(settings.cluster_file, now, is_groups_only=True)]


def known_network(settings: Settings) -> NodeNetwork | None:
    """The network between the nodes, where NETWORK names a file. Raises ConfigurationError."""
    if settings.network is None:
        return None
    try:
        return read_network(settings.network)
    except UnreadableError as error:
        raise ConfigurationError(f"NETWORK: {error}", hint="docs/datasets.md shows such a file") from None


def measured_loads(
    settings: Settings,
    now: Callable[[], datetime],
    stack: contextlib.AsyncExitStack,
    *,
    known: Callable[[], Sequence[str]],
) -> list[NodeSourceInterface]:
    """The source of measured loads, where PROMETHEUS_URL is set. Raises ConfigurationError."""
    if settings.prometheus_url is None:
        return []
    token = settings.prometheus_token.get_secret_value() if settings.prometheus_token else None
    client = prometheus_client(settings.prometheus_url, token=token, ca_file=settings.prometheus_ca_file)
    stack.push_async_callback(client.aclose)
    texts = queries(settings.prometheus_window, settings.prometheus_queries)
    return [PrometheusLoads(client, queries=texts, known=known, now=now, label=settings.prometheus_node_label)]


def make_replacer(
    platform: KubeflowPlatform,
    settings: Settings,
    pipeline_manager: PipelineManager,
    journal: Journal,
    shadowing: Shadowing,
    clock: Clock,
) -> Replacer:
    """What offers new placements to runs that wait in vain."""
    return Replacer(
        journal=journal,
        starts=shadowing.starts,
        replace=lambda run_id: pipeline_manager.replace(run_id, is_automatic=True),
        stop=pipeline_manager.stop_replaced,
        defaults=platform.defaults,
        clock=clock,
        patience_seconds=settings.replace_after,
        is_acting=lambda: settings.replace_automatically and platform.may_act,
    )


def require_platform(settings: Settings) -> str:
    """Name of the platform that the settings ask for. Raises ConfigurationError if it cannot be used."""
    if settings.platform_name == "kubeflow":
        kfp_client(settings, lambda: datetime.min.replace(tzinfo=UTC))
        kube_access(settings)
    return settings.platform_name


def observed_file(state: Path) -> Path:
    """Where what was observed is kept."""
    return state / "kubeflow" / "observed.jsonl"


def finished_of(lesson: Lesson, node: Node | None) -> FinishedAttempt:
    """What somebody's task teaches, as the estimators learn it."""
    return FinishedAttempt(
        id=0,
        run_id=lesson.run_id,
        task=lesson.task,
        component=lesson.component,
        component_digest=lesson.component_digest,
        option=DEFAULT_OPTION,
        node=lesson.node,
        node_class=node_class(node) if node else "",
        node_speed=node.speed if node else 1.0,
        cpu_millicores=lesson.requests.cpu_millicores,
        accelerators=lesson.requests.accelerators,
        input_bytes=0.0,
        run_seconds=lesson.run_seconds,
        state=lesson.state,
        finished_at=lesson.finished_at,
        node_speeds=node.speeds if node else {},
        node_cores=node.allocatable.cpu_millicores / 1000 if node else 0.0,
        start_seconds=(lesson.queue_seconds or 0.0) + (lesson.pull_seconds or 0.0) or None,
        queue_seconds=lesson.queue_seconds,
        pull_seconds=lesson.pull_seconds,
    )


def kube_access(settings: Settings) -> Access | None:
    """The way to Kubernetes; None, and said, where there is none. Raises ConfigurationError for an unusable file."""
    try:
        return find_access(settings.kubeconfig, settings.kube_context)
    except ConfigurationError as error:
        if settings.kubeconfig is not None:
            raise
        log.warning("%s; runs are followed as a whole only, and nothing is placed", error.message)
        return None


def kfp_client(settings: Settings, now: Callable[[], datetime]) -> KfpClient:
    """The client of the settings. Raises ConfigurationError."""
    if not settings.kfp_url:
        raise ConfigurationError("PLATFORM=kubeflow needs the address of Kubeflow Pipelines", hint="set KFP_URL")
    if not settings.kfp_url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"KFP_URL {settings.kfp_url!r} is no address", hint="it begins with http:// or https://"
        )
    headers = {settings.kfp_user_header: settings.kfp_user} if settings.kfp_user else {}
    if settings.kfp_cookie is not None:
        headers["Cookie"] = settings.kfp_cookie.get_secret_value()
    identity = Identity(token_file=settings.kfp_token_file, headers=headers)
    return KfpClient(settings.kfp_url, identity=identity, now=now, verify=_trust(settings))


def translate(spec: PipelineSpec, choices: Mapping[str, str]) -> Translated:
    """A spec in Kubeflow's terms. Raises InvalidSubmissionError."""
    compiled = compile_spec(spec, choices)
    return Translated(read_pipeline(compiled.text, spec.name), compiled.paths)


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    """What is trusted of Kubeflow, and what it is shown. Raises ConfigurationError."""
    if settings.kfp_ca_file is None and settings.kfp_cert_file is None:
        return not settings.kfp_insecure
    try:
        setting, file = "KFP_CA_FILE", settings.kfp_ca_file
        context = ssl.create_default_context(cafile=str(file) if file is not None else None)
        if settings.kfp_cert_file is not None:
            setting, file = "KFP_CERT_FILE", settings.kfp_cert_file
            context.load_cert_chain(file, password="")  # nobody is asked for one on a terminal
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{setting} {file} cannot be used: {error}", hint="it must be a PEM file") from error
    if settings.kfp_insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


__all__ = [
    "Connected",
    "connect_kubeflow",
    "finished_of",
    "growable_groups",
    "kfp_client",
    "kube_access",
    "kubernetes_parts",
    "make_observer",
    "make_replacer",
    "measured_loads",
    "observed_file",
    "require_platform",
    "translate",
]
