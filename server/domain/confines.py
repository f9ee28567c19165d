"""What confines a task to some nodes besides its own wishes: what its image is made for, and where its volumes are.

Values only; who asks registries and the cluster fills them in (`domain.request.Confining`).
Source: node affinity of persistent volumes and their access modes (core/v1 of the Kubernetes API).
"""

from __future__ import annotations

from dataclasses import dataclass

from mlopx.spec import Requirement

Term = tuple[Requirement, ...]
"""Requirements that must all hold."""


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """For which processor architectures an image is made, and `known_from` what, in words."""

    image: str
    architectures: tuple[str, ...]
    known_from: str = "its manifest"


@dataclass(frozen=True, slots=True)
class VolumePlace:
    """Where a volume can be used: on nodes on which all of one of `terms` holds (none: on any), and, while somebody has
    it on `node`, only there. `text` says so, after the volume's name.
    """

    claim: str
    terms: tuple[Term, ...] = ()
    node: str | None = None
    text: str = ""


__all__ = ["ImageBuild", "Term", "VolumePlace"]
