"""From a pod's specification to the pod as the scheduler sees it, with what the API server fills in on the way.

Source: Kubernetes 1.36, PodSpec, its defaults (core/v1 defaulting) and the admission plug-in DefaultTolerationSeconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.placers.kubernetes.pods import Disk, HostPort, Pod, PodTerm, PodTerms, Preference, Spread, Toleration
from server.placers.kubernetes.reading import Part
from server.placers.kubernetes.requests import (
    SCORED_DEFAULTS,
    Amounts,
    Container,
    missing_once_bound,
    pod_amounts,
    pod_level_requests,
    whole,
)
from server.placers.kubernetes.selectors import Expression, LabelSelector, NodeTerm

DEFAULT_SCHEDULER = "default-scheduler"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ADMITTED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints of effect NoExecute that a pod tolerates for a while where it says nothing of them itself."""


def read_pod(name: str, spec: Part, labels: Mapping[str, str], namespace: str) -> Pod:
    """One pod. Raises MalformedError that names the place."""
    containers = [_container(item) for item in spec.items("containers")]
    if not containers:
        raise spec.problem("'containers' is missing or empty")
    initial = [_container(item, is_initial=True) for item in spec.items("initContainers")]
    every = [*initial, *containers]
    level = _pod_level(spec, every)
    overhead = spec.amounts("overhead")
    asked = pod_amounts(every, level, overhead, {})
    scored = whole(pod_amounts(every, {}, overhead, SCORED_DEFAULTS))
    held = whole(pod_amounts(every, level, overhead, missing_once_bound(level, asked)))
    images = [item.text("image") for key in ("initContainers", "containers") for item in spec.items(key)]
    node_affinity = spec.part("affinity", "nodeAffinity")
    required = node_affinity.part(REQUIRED) if node_affinity else None
    return Pod(
        name=name,
        namespace=namespace,
        labels=labels,
        requests=whole(asked),
        scored_cpu_millicores=scored.get("cpu", 0),
        scored_memory_bytes=scored.get("memory", 0),
        held_cpu_millicores=held.get("cpu", 0),
        held_memory_bytes=held.get("memory", 0),
        images=tuple(image for image in (*images, *_image_volumes(spec)) if image),
        container_count=len(every),
        node_selector=spec.labels("nodeSelector"),
        required=None if required is None else tuple(_term(item) for item in required.items("nodeSelectorTerms")),
        preferred=_preferences(node_affinity) if node_affinity else (),
        tolerations=_tolerations(spec),
        host_ports=_host_ports(spec),
        others=_others(spec, labels, namespace),
        spreads=tuple(_spread(item, labels) for item in spec.items("topologySpreadConstraints")),
        node_name=spec.text("nodeName"),
        claims=_claims(spec),
        disks=tuple(disk for volume in spec.items("volumes") for disk in _disks(volume)),
        is_ours=spec.text("schedulerName", DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER
        and not any(spec.items("schedulingGates")),
    )


def _container(item: Part, is_initial: bool = False) -> Container:
    resources = item.part("resources")
    limits = {} if resources is None else resources.amounts("limits")
    requests = {} if resources is None else {**limits, **resources.amounts("requests")}
    return Container(requests, is_initial, is_initial and item.text("restartPolicy") == "Always", limits)


def _pod_level(spec: Part, containers: list[Container]) -> Amounts:
    resources = spec.part("resources")
    if resources is None:
        return {}
    return pod_level_requests(resources.amounts("requests"), resources.amounts("limits"), containers)


def _image_volumes(spec: Part) -> list[str]:
    images = (volume.part("image") for volume in spec.items("volumes"))
    return [image.text("reference") for image in images if image is not None]


def _claims(spec: Part) -> tuple[str, ...]:
    claims = (volume.part("persistentVolumeClaim") for volume in spec.items("volumes"))
    named = (claim.required("claimName").string() for claim in claims if claim is not None)
    own = (volume.text("name") for volume in spec.items("volumes") if volume.part("ephemeral") is not None)
    devices = (item.text("name") for item in spec.items("resourceClaims"))
    return (*named, *own, *devices)


def _disks(volume: Part) -> list[Disk]:
    """The disks of one volume; one of Ceph is known by each of its monitors."""
    if (disk := volume.part("gcePersistentDisk")) is not None:
        return [Disk("gce", (disk.text("pdName"),), disk.flag("readOnly"))]
    if (disk := volume.part("awsElasticBlockStore")) is not None:
        return [Disk("aws", (disk.text("volumeID"),))]
    if (disk := volume.part("iscsi")) is not None:
        return [Disk("iscsi", (disk.text("iqn"),), disk.flag("readOnly"))]
    if (disk := volume.part("rbd")) is not None:
        image = (disk.text("pool") or "rbd", disk.text("image"))
        return [Disk("rbd", (monitor, *image), disk.flag("readOnly")) for monitor in disk.texts("monitors")]
    return []


def _host_ports(spec: Part) -> tuple[HostPort, ...]:
    is_on_host = spec.flag("hostNetwork")
    holders = [item for item in spec.items("initContainers") if item.text("restartPolicy") == "Always"]
    ports = [port for item in (*holders, *spec.items("containers")) for port in item.items("ports")]
    found = [(port, port.number("hostPort") or (port.number("containerPort") if is_on_host else 0)) for port in ports]
    return tuple(
        HostPort(number, port.text("protocol") or "TCP", port.text("hostIP") or "0.0.0.0")
        for port, number in found
        if number
    )


def _tolerations(spec: Part) -> tuple[Toleration, ...]:
    own = [
        Toleration(item.text("key"), item.text("operator") or "Equal", item.text("value"), item.text("effect"))
        for item in spec.items("tolerations")
    ]
    told = {one.key for one in own if one.effect in ("", "NoExecute")}
    return (*own, *(Toleration(key, "Exists", "", "NoExecute") for key in ADMITTED if not told & {"", key}))


def _preferences(affinity: Part) -> tuple[Preference, ...]:
    return tuple(_preference(item) for item in affinity.items(PREFERRED))


def _preference(item: Part) -> Preference:
    """One wish. The API server lets more pass than the scheduler can judge."""
    weight, term = item.required("weight").integer(), _term(item.required("preference"))
    is_fine = term.is_valid and all(expression.is_of_labels for expression in term.labels)
    return Preference(weight, term, is_broken=not is_fine)


def _term(item: Part) -> NodeTerm:
    return NodeTerm(_expressions(item, "matchExpressions"), _expressions(item, "matchFields"))


def _expressions(item: Part, key: str) -> tuple[Expression, ...]:
    return tuple(
        Expression(one.required("key").string(), one.required("operator").string(), one.texts("values"))
        for one in item.items(key)
    )


def _selector(owner: Part, labels: Mapping[str, str], key: str = "labelSelector") -> LabelSelector | None:
    """The selector under a key, together with the label keys whose values must, or must not, be the pod's own."""
    item = owner.part(key)
    if item is None:
        return None
    exact = tuple(Expression(name, "In", (value,)) for name, value in item.labels("matchLabels").items())
    own = [Expression(name, "In", (labels[name],)) for name in owner.texts("matchLabelKeys") if name in labels]
    foreign = [
        Expression(name, "NotIn", (labels[name],)) for name in owner.texts("mismatchLabelKeys") if name in labels
    ]
    return LabelSelector((*exact, *_expressions(item, "matchExpressions"), *own, *foreign))


def _others(spec: Part, labels: Mapping[str, str], namespace: str) -> PodTerms:
    near, away = spec.part("affinity", "podAffinity"), spec.part("affinity", "podAntiAffinity")

    def terms(owner: Part | None, key: str) -> tuple[PodTerm, ...]:
        items = () if owner is None else owner.items(key)
        return tuple(_pod_term(item, labels, namespace) for item in items)

    return PodTerms(terms(near, REQUIRED), terms(away, REQUIRED), terms(near, PREFERRED), terms(away, PREFERRED))


def _pod_term(item: Part, labels: Mapping[str, str], namespace: str) -> PodTerm:
    weight = item.number("weight", 1)
    term = item.part("podAffinityTerm") or item
    namespaces = frozenset(term.texts("namespaces"))
    selected = _selector(term, {}, "namespaceSelector")
    if not namespaces and selected is None:
        namespaces = frozenset((namespace,))
    topology_key = term.required("topologyKey").string()
    return PodTerm(topology_key, _selector(term, labels), namespaces, selected, weight)


def _spread(item: Part, labels: Mapping[str, str]) -> Spread:
    policy = item.required("whenUnsatisfiable")
    if policy.string() not in ("DoNotSchedule", "ScheduleAnyway"):
        raise policy.problem(f"should be DoNotSchedule or ScheduleAnyway, is {policy.string()!r}")
    return Spread(
        topology_key=item.required("topologyKey").string(),
        max_skew=item.required("maxSkew").integer(),
        is_hard=policy.string() == "DoNotSchedule",
        selector=_selector(item, labels),
        min_domains=item.number("minDomains", 1),
        honors_affinity=item.text("nodeAffinityPolicy", "Honor") == "Honor",
        honors_taints=item.text("nodeTaintsPolicy", "Ignore") == "Honor",
    )


__all__ = ["read_pod"]
