"""Why a task waits, in words: no node fits, its image does not come, the quota is used up, a volume is missing.

Source: conditions and container states of core/v1 pods, messages of the scheduler, of the kubelet and of Argo; what
only events tell comes from `pod_events`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.domain.run import TaskKey
from server.kube.reading import PodSeen
from server.platforms.kubeflow.sight import MAIN, TaskSight
from server.platforms.kubeflow.submitting import LONGEST_WHY, WHY_ANNOTATION

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
SETUP_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "PostStartHookError",
        "PreCreateHookError",
        "PreStartHookError",
        "RunContainerError",
    }
)
"""Why a container is not started although its image is there. Of those that crash again and again it is one that starts
before the task's (a proxy beside it, say): the task's own is never started twice."""

DRIVER_WAITS = "driver:"
"""How the reason of a task begins that waits for its driver's pod: no other node for the task would help it."""

DRIVER_GOES_ON = f"{DRIVER_WAITS} its pod waits no more"

WAITING = "mlopx.dev/waiting"

_VOLUME_WORDS = ("persistentvolumeclaim", "volume node affinity", "PersistentVolume", "max volume count")
_QUOTA_WORDS = ("exceeded quota", "quota")


def why_waiting(sight: TaskSight, pod: PodSeen | None, told: str | None = None) -> str | None:
    """One sentence, or None while nothing is wrong (it was just made, or its image comes).

    `told` is what events say of its pod, which counts where the pod itself says nothing.
    """
    if sight.phase != "queued":
        return None
    if pod is None:
        return _without_pod(sight)
    return _pod_waits(pod) or told


def why_driver_waits(pod: PodSeen, told: str | None = None) -> str | None:
    """The same of a task's driver: until its pod has run, the task has none. Our placement does not reach it."""
    reason = None if pod.is_leaving else _pod_waits(pod) or told
    return f"{DRIVER_WAITS} {reason}" if reason else None


def _pod_waits(pod: PodSeen) -> str | None:
    if pod.node is None:
        return _unscheduled(pod.unscheduled_reason)
    main = pod.container(MAIN)
    for container in [main, *pod.containers]:
        if container is None or container.started_at is not None:
            continue
        if container.reason in PULL_REASONS:
            return f"image: {container.reason} on node {pod.node}: {container.message or 'it cannot be pulled'}"
        if container.reason in SETUP_REASONS:
            whose = "" if container is main else f" of {container.name}"
            return f"container: {container.reason}{whose} on node {pod.node}: {container.message}"
    return None


def _without_pod(sight: TaskSight) -> str | None:
    message = sight.message
    if any(word in message for word in _QUOTA_WORDS):
        return f"quota: {message}"
    return f"no pod yet: {message}" if message else None


def _unscheduled(message: str) -> str | None:
    if not message:
        return None
    if any(word in message for word in _VOLUME_WORDS):
        return f"volume: {message}"
    return f"unschedulable: {message}"


def annotation(key: TaskKey, reason: str | None) -> Mapping[str, object]:
    """The patch that writes the reason on the pod; it explains no more why the task goes there, but why it waits."""
    if reason is None:
        told: dict[str, object] = {WAITING: None, WHY_ANNOTATION: f"{key} waits for nothing any more, and starts"}
    else:
        why = f"{key} waits for Kubeflow to start it: {reason}"
        told = {WAITING: reason[:LONGEST_WHY], WHY_ANNOTATION: why[:LONGEST_WHY]}
    return {"metadata": {"annotations": told}}


__all__ = ["DRIVER_GOES_ON", "DRIVER_WAITS", "annotation", "why_driver_waits", "why_waiting"]
