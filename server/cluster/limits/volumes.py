"""Where the volumes of claims can be used: node affinity and zones of persistent volumes, and who has them now.

Source: core/v1 of the Kubernetes API (PersistentVolume, PersistentVolumeClaim); the scheduler's plug-ins VolumeBinding,
VolumeZone and VolumeRestrictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlopx.spec import Requirement
from server.domain.confines import Term, VolumePlace
from server.domain.feasibility import describe
from server.domain.node import HOSTNAME_LABEL, ZONE_LABEL
from server.kube.client import Object

ZONES = (
    ZONE_LABEL,
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
SEPARATOR = "__"
"""Between the zones of a volume that is in several."""

ONE_NODE = {"ReadWriteOnce", "ReadWriteOncePod"}


@dataclass(frozen=True, slots=True)
class ClaimSeen:
    """A claim: the volume it is bound to (empty: none yet) and how it may be used."""

    volume: str
    modes: tuple[str, ...]

    @property
    def is_for_one_node(self) -> bool:
        """Whether pods on one node only may have it at a time."""
        return bool(self.modes) and set(self.modes) <= ONE_NODE


@dataclass(frozen=True, slots=True)
class VolumeSeen:
    """A persistent volume: the alternatives of which one must hold on a node that uses it (none: any node)."""

    terms: tuple[Term, ...]


def read_claim(item: Object) -> ClaimSeen:
    """A persistent volume claim."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    modes = status.get("accessModes") or spec.get("accessModes") or []
    return ClaimSeen(str(spec.get("volumeName") or ""), tuple(str(mode) for mode in modes))


def read_volume(item: Object) -> VolumeSeen:
    """A persistent volume. A term that cannot be read (of a field, say) is taken to hold nowhere."""
    required = ((item.get("spec") or {}).get("nodeAffinity") or {}).get("required") or {}
    given = required.get("nodeSelectorTerms") or []
    terms = [term for one in given if (term := _term(one)) is not None]
    zones = _zones((item.get("metadata") or {}).get("labels") or {})
    if not zones:
        return VolumeSeen(tuple(terms))
    return VolumeSeen(tuple((*term, *zones) for term in terms) if terms else (zones,))


def place_of(name: str, claim: ClaimSeen, volume: VolumeSeen | None, users: Mapping[str, str]) -> VolumePlace | None:
    """Where a claim's volume can be used; None: anywhere. `users` leads from nodes with pods that have it to a pod."""
    terms = volume.terms if volume is not None else ()
    if claim.is_for_one_node and users:
        node, pod = next(iter(sorted(users.items())))
        mode = claim.modes[0]
        return VolumePlace(
            name, terms, node, f"is on node {node} now, in use by pod {pod}, and on one at a time ({mode})"
        )
    return VolumePlace(name, terms, None, _said(terms)) if terms else None


def _term(one: Any) -> Term | None:
    found = []
    for expression in (one or {}).get("matchExpressions") or []:
        try:
            found.append(
                Requirement(
                    label=str(expression["key"]),
                    operator=expression["operator"],
                    values=tuple(str(value) for value in expression.get("values") or []),
                )
            )
        except (KeyError, TypeError, ValueError):
            return None
    for field in (one or {}).get("matchFields") or []:
        if field.get("key") != "metadata.name" or field.get("operator") != "In":
            return None
        found.append(Requirement(label=HOSTNAME_LABEL, values=tuple(str(value) for value in field.get("values") or [])))
    return tuple(found) or None


def _zones(labels: Mapping[str, Any]) -> Term:
    return tuple(
        Requirement(label=label, values=tuple(str(labels[label]).split(SEPARATOR)))
        for label in ZONES
        if label in labels
    )


def _said(terms: Sequence[Term]) -> str:
    first = terms[0]
    if len(terms) == 1 and len(first) == 1 and first[0].operator == "In":
        values = ", ".join(first[0].values)
        if first[0].label == ZONE_LABEL:
            return f"is in zone {values}"
        if first[0].label == HOSTNAME_LABEL:
            return f"is on node {values}"
    return "can be used where " + ", or ".join(" and ".join(describe(one) for one in term) for term in terms)


__all__ = ["ClaimSeen", "VolumeSeen", "place_of", "read_claim", "read_volume"]
