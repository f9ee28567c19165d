"""Runs that Kubeflow calls live and that have no Workflow: it was deleted by hand, and they would never end.

A mirror may be behind, or look where the Workflows of these runs never were. So a Workflow counts as missing only where
Kubernetes told of the run, or of another one; and when it has been missing for a while, Kubernetes is asked once more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from server.domain.errors import MlopxError
from server.kube.client import KubeClient
from server.kube.resources import WORKFLOWS
from server.platforms.kubeflow.sight import RUN_LABEL

log = logging.getLogger(__name__)

ORPHANED = timedelta(minutes=2)
"""So long a Workflow may be missing while KFP says that its run is live. So long, too, is waited after the start for
Kubernetes to tell what there is, before runs are told of by KFP's word alone."""


class Orphans:
    """Since when the Workflows of runs are missing."""

    def __init__(self, kube: KubeClient | None, now: Callable[[], datetime]) -> None:
        self._kube, self._now = kube, now
        self._since: dict[str, datetime] = {}

    def note(self, run_id: str, *, is_missing: bool) -> None:
        """Whether a run's Workflow is missing now."""
        if is_missing:
            self._since.setdefault(run_id, self._now())
        else:
            self._since.pop(run_id, None)

    async def is_lost(self, run_id: str, namespace: str) -> bool:
        """Whether a run's Workflow was missing for long enough, and is not there."""
        since = self._since.get(run_id)
        if since is None or self._kube is None or self._now() - since <= ORPHANED:
            return False
        try:
            found = await self._kube.list(WORKFLOWS, namespace=namespace, labels=f"{RUN_LABEL}={run_id}")
        except MlopxError as error:
            log.info("whether run %s of Kubeflow has a Workflow is not known: %s", run_id, error.message)
            return False
        if found.items:
            self._since.pop(run_id, None)
        return not found.items


__all__ = ["ORPHANED", "Orphans"]
