"""What runs are placed on, and what is known of it: the platform, the nodes with their load, and run times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.bootstrap.ground import Ground
from server.cluster.embedded import EmbeddedNodes
from server.cluster.kubernetes import KubernetesNodes
from server.cluster.limits.limits import KubernetesLimits
from server.cluster.limits.several import SeveralLimits
from server.cluster.profiles import read_profiles
from server.components.datasets.registry import DatasetRegistry
from server.components.explaining.scene import EstimateAll
from server.components.images import ImagesKnown
from server.components.node_manager import NodeManager
from server.connecting import growable_groups, make_platform, measured_loads
from server.domain.node import Node
from server.domain.placement import Estimates, WaitingRun
from server.domain.request import Confining
from server.estimators.chain import ChainEstimator
from server.estimators.table import build_estimates
from server.looking_back import rates_of
from server.platforms.interface import PlatformInterface
from server.platforms.kubeflow.compile.executors import DEFAULT_IMAGE


@dataclass(frozen=True, slots=True)
class World:
    """`source`: the platform's own source of nodes, None where the platform is one itself. `limits`: what its cluster
    lets run where, besides nodes; None where there is no cluster. `images`: which lie on which nodes. `defaults`: the
    platform's, which also tell tasks of the data sets that they read."""

    platform: PlatformInterface
    datasets: DatasetRegistry
    defaults: Confining
    source: KubernetesNodes | None
    limits: KubernetesLimits | SeveralLimits | None
    node_manager: NodeManager
    node_of: Callable[[str], Node | None]
    images: ImagesKnown
    estimator: ChainEstimator
    estimate: EstimateAll


def make_world(ground: Ground) -> World:
    """Connect to the platform and its nodes. Raises ConfigurationError."""
    settings, clock = ground.settings, ground.clock

    def node_of(name: str) -> Node | None:
        return node_manager.current().node(name)

    def names() -> list[str]:
        return [node.name for node in node_manager.current().nodes]

    platform, source, limits = make_platform(settings, ground.state, ground.artifacts, clock, node_of=node_of)
    datasets = DatasetRegistry(ground.store, clock)
    defaults = datasets.confining(platform.defaults)
    node_manager = NodeManager(
        sources=[
            source or EmbeddedNodes(platform.name, platform.nodes, clock.now),
            *growable_groups(settings, clock.now),
            *measured_loads(settings, clock.now, ground.stack, known=names),
        ],
        live=ground.journal.live,
        defaults=defaults,
        clock=clock,
        refresh_seconds=settings.update_interval,
        profiles=read_profiles(settings.node_profiles) if settings.node_profiles is not None else None,
        rates=rates_of(settings),
    )
    estimator = ChainEstimator()
    images = ImagesKnown(
        node_manager.images, estimator.waits, defaults=defaults, now=clock.now, own_image=DEFAULT_IMAGE
    )

    def estimate(runs: Sequence[WaitingRun], nodes: Sequence[Node]) -> Estimates:
        return replace(build_estimates(runs, nodes, estimator), starts=images.starts(runs, nodes))

    return World(platform, datasets, defaults, source, limits, node_manager, node_of, images, estimator, estimate)


__all__ = ["World", "make_world"]
