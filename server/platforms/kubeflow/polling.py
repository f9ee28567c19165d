"""Asks KFP how runs stand: two filtered, paged lists for any number of them, and a few single questions.

One list has the live runs, the other those that ended since the last look. A run that is in neither was made a moment
ago, or somebody deleted it: then it is asked for by its id, a few of them per look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from server.platforms.kubeflow.client import ACTIVE, KfpClient, KfpRun
from server.platforms.kubeflow.errors import GoneError
from server.platforms.kubeflow.submitting import MARK

OVERLAP = timedelta(minutes=5)
"""How far a look goes back behind the last one: clocks differ, and times are whole seconds."""

MOST_SINGLE = 3


class Poller:
    """One look per interval. `is_full` asks for the runs' tasks too."""

    def __init__(self, client: KfpClient, *, namespace: str, now: Callable[[], datetime], is_all: bool = False) -> None:
        self._client, self._namespace, self._now, self.is_all = client, namespace, now, is_all
        self.is_full = False
        self._looked_at: datetime | None = None
        self._doubtful: list[str] = []

    def catch_up(self, moment: datetime) -> None:
        """Runs that ended since `moment` shall be seen by the next look."""
        self._looked_at = min(moment, self._looked_at or moment)

    async def look(self, wanted: Collection[str]) -> tuple[dict[str, KfpRun], set[str]]:
        """Runs by id, and the ids of wanted ones that are gone. Raises PlatformError, then nothing is missed."""
        began = self._now()
        since = (self._looked_at or began) - OVERLAP
        live = await self._list(_states())
        ended = await self._list(_since(since))
        found = {run.id: run for run in [*live, *ended]}
        gone = await self._single(found, wanted)
        self._looked_at = began
        return found, gone

    async def _list(self, predicate: Mapping[str, Any]) -> list[KfpRun]:
        ours = {"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": MARK}
        predicates = [predicate, *([] if self.is_all else [ours])]
        return await self._client.list(predicates, namespace=self._namespace, is_full=self.is_full)

    async def _single(self, found: dict[str, KfpRun], wanted: Collection[str]) -> set[str]:
        """Ask for those that no list had, in turn."""
        missing = [run_id for run_id in wanted if run_id not in found]
        self._doubtful = [one for one in self._doubtful if one in missing]
        self._doubtful += [one for one in missing if one not in self._doubtful]
        gone = set()
        for run_id in self._doubtful[:MOST_SINGLE]:
            try:
                found[run_id] = await self._client.get(run_id)
            except GoneError:
                gone.add(run_id)
            self._doubtful.remove(run_id)
            self._doubtful.append(run_id)
        return gone


def _states() -> dict[str, Any]:
    return {"operation": "IN", "key": "state", "stringValues": {"values": list(ACTIVE)}}


def _since(moment: datetime) -> dict[str, Any]:
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"operation": "GREATER_THAN_EQUALS", "key": "finished_at", "timestampValue": text}


__all__ = ["Poller"]
