"""Makes what the settings' cluster confines tasks to: in one namespace of Kubeflow, or in each of several."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from server.cluster.kubernetes import KubernetesNodes
from server.cluster.limits.images import ImageBuilds
from server.cluster.limits.limits import KubernetesLimits
from server.cluster.limits.registry import Registries, read_passwords
from server.cluster.limits.several import SeveralLimits
from server.kube.client import KubeClient
from server.platforms.kubeflow.compile.executors import DEFAULT_IMAGE
from server.platforms.kubeflow.namespaces import Namespaces
from server.settings import Settings


def limits_of(
    settings: Settings, kube: KubeClient, source: KubernetesNodes, *, now: Callable[[], datetime], state: Path
) -> KubernetesLimits | SeveralLimits:
    """What the cluster confines tasks to, in each namespace of the settings. Raises ConfigurationError."""
    namespaces = Namespaces.read(settings.kfp_namespace)
    first, *others = namespaces.names
    limits = kubernetes_limits(settings, kube, source, now=now, file=state / "images.json")
    if not others:
        return limits
    more = {
        name: kubernetes_limits(settings, kube, source, now=now, file=state / f"images-{name}.json", namespace=name)
        for name in others
    }
    return SeveralLimits({first: limits, **more}, namespaces.of)


def kubernetes_limits(
    settings: Settings,
    kube: KubeClient,
    source: KubernetesNodes,
    *,
    now: Callable[[], datetime],
    file: Path | None,
    namespace: str | None = None,
) -> KubernetesLimits:
    """What the cluster confines tasks to, in a namespace, by default the first of the settings.

    Raises ConfigurationError.
    """
    hosts = frozenset(name.strip() for name in settings.image_registries.split(",") if name.strip())
    images = None
    if hosts:
        registries = Registries(read_passwords(settings.registry_auth_file))
        images = ImageBuilds(registries, allowed=hosts, now=now, file=file)
    return KubernetesLimits(
        kube,
        namespace=namespace or Namespaces.read(settings.kfp_namespace).in_kubernetes[0],
        nodes=source,
        images=images,
        default_image=DEFAULT_IMAGE,
        now=now,
    )


__all__ = ["kubernetes_limits", "limits_of"]
