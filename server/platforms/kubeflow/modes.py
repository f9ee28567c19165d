"""Whether we only look at a namespace or also run things in it. Looking is the default: trust comes first.

`kubectl label namespace NAME mlopx.dev/mode=place` opts a namespace in, removing the label opts it out.
"""

from __future__ import annotations

import logging

from server.domain.errors import ConflictError, UnavailableError
from server.kube.client import KubeClient
from server.kube.errors import KubeDeniedError, KubeError, KubeMissingError
from server.kube.resources import NAMESPACES

log = logging.getLogger(__name__)

MODE_LABEL = "mlopx.dev/mode"
OBSERVE, PLACE, AUTO = "observe", "place", "auto"


class Modes:
    """The mode of our namespace."""

    def __init__(self, kube: KubeClient | None, wanted: str, namespace: str) -> None:
        self._kube, self._wanted, self.namespace = kube, wanted, namespace
        self.mode = PLACE if wanted == PLACE else OBSERVE
        self.why = f"KFP_MODE is {wanted}" if wanted != AUTO else "its label was not read yet"
        self._is_known = wanted != AUTO or kube is None

    async def look(self) -> None:
        """Read the namespace's label. Where it cannot be read, what it was counts."""
        if self._wanted != AUTO:
            return
        before = self.mode
        if self._kube is None:
            self.mode, self.why = OBSERVE, "there is no Kubernetes access to read its label"
            return
        try:
            found = await self._kube.get(NAMESPACES, name=self.namespace)
        except KubeError as error:
            self.why = f"its label cannot be read: {error.message}"
            self._is_known |= isinstance(error, KubeDeniedError | KubeMissingError)
            return
        self._is_known = True
        label = ((found.get("metadata") or {}).get("labels") or {}).get(MODE_LABEL)
        self.mode = PLACE if label == PLACE else OBSERVE
        self.why = f"its label {MODE_LABEL} is {label!r}" if label else f"it has no label {MODE_LABEL}"
        if before != self.mode:
            log.info("namespace %s: mode %s (%s)", self.namespace, self.mode, self.why)

    def require_place(self) -> None:
        """Raises ConflictError where we only look, and UnavailableError while nobody knows whether we do."""
        if not self._is_known:
            raise UnavailableError(
                f"whether runs may be made in namespace {self.namespace} is not known yet: {self.why}",
                hint="try again when Kubernetes answers, or set KFP_MODE",
            )
        if self.mode != PLACE:
            raise ConflictError(
                f"namespace {self.namespace} is only observed ({self.why})",
                hint=f"kubectl label namespace {self.namespace} {MODE_LABEL}={PLACE}, or set KFP_MODE=place",
            )


__all__ = ["MODE_LABEL", "PLACE", "Modes"]
