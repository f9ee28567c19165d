"""Builds the table of estimates that a placement request carries: one row per profile, shared by equal tasks."""

from __future__ import annotations

import marshal
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.domain.node import Node
from server.domain.placement import Estimate, Estimates, TaskOption, WaitingRun, WaitingTask
from server.domain.run import TaskKey
from server.estimators.bands import SHORTEST_SECONDS, banded
from server.estimators.interface import EstimatorInterface, Profile

UNKNOWN = banded(60.0, 1.2, "a guess")
"""Stands where an estimator knows nothing; the chain never needs it."""

REUSED = banded(SHORTEST_SECONDS, 0.0, "taken from the platform's cache")
"""Of a task that will not run: whatever node it is given."""

_MARSHAL_WITHOUT_REFERENCES = 2


def build_estimates(runs: Iterable[WaitingRun], nodes: Sequence[Node], estimator: EstimatorInterface) -> Estimates:
    """Estimates for every option of every unbound task of the runs on every node."""
    return EstimateTable(estimator).of(runs, nodes)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one run's tasks ask for: (look-up key, identity of the profile, task, option) each; no identity where
    nothing is to be estimated, since the task is taken from the platform's cache."""

    run: WaitingRun
    rows: tuple[tuple[tuple[str, TaskKey, str], Hashable, WaitingTask, TaskOption], ...]


class EstimateTable:
    """Builds tables of estimates, cycle after cycle; what tasks ask for is worked out again only of runs that changed,
    and a profile is made once for all that ask for the same."""

    def __init__(self, estimator: EstimatorInterface) -> None:
        self._estimator = estimator
        self._asked: dict[str, _Asked] = {}
        self._rows: dict[int, tuple[Sequence[Estimate | None], tuple[Estimate, ...]]] = {}

    def of(self, runs: Iterable[WaitingRun], nodes: Sequence[Node]) -> Estimates:
        """Estimates for every option of every unbound task of the runs on every node."""
        rows: dict[Hashable, int] = {}
        profiles: list[Profile] = []
        profile_of: dict[tuple[str, TaskKey, str], int] = {}
        asked: dict[str, _Asked] = {}
        reused: list[tuple[str, TaskKey, str]] = []
        for run in runs:
            known = self._asked.get(run.run_id)
            asked[run.run_id] = known = known if known is not None and known.run is run else _asked(run)
            for key, identity, task, option in known.rows:
                if identity is None:
                    reused.append(key)
                    continue
                row = rows.get(identity)
                if row is None:
                    row = rows[identity] = len(profiles)
                    profiles.append(profile_of_task(task, option))
                profile_of[key] = row
        self._asked = asked
        table = self._table(self._estimator.estimate(profiles, nodes)) if profiles else ()
        if reused:
            profile_of.update(dict.fromkeys(reused, len(table)))
            table = (*table, (REUSED,) * len(nodes))
        return Estimates(profile_of, {node.name: column for column, node in enumerate(nodes)}, table)

    def _table(self, rows: Sequence[Sequence[Estimate | None]]) -> tuple[tuple[Estimate, ...], ...]:
        """The rows without gaps: the same values as in the cycle before where the estimator gives the same rows."""
        found = {id(row): self._rows.get(id(row)) or (row, _known(row)) for row in rows}
        self._rows = found
        return tuple(found[id(row)][1] for row in rows)


def _asked(run: WaitingRun) -> _Asked:
    rows = []
    for task in run.tasks:
        hints, parameters = _identity(task.workload), _identity(task.parameters)
        inputs: Hashable = task.input_bytes if task.is_input_known else _identity(task.given)
        for option in task.options:
            requests = option.requests
            identity: Hashable = (
                task.component_digest,
                task.component,
                option.name,
                requests.cpu_millicores,
                requests.accelerators,
                inputs,
                hints,
                parameters,
            )
            identity = None if task.is_reused else identity
            rows.append(((task.run_id, task.key, option.name), identity, task, option))
    return _Asked(run, tuple(rows))


def profile_of_task(task: WaitingTask, option: TaskOption) -> Profile:
    """What is to be estimated of a waiting task, run with one of its options."""
    return Profile(
        component=task.component,
        component_digest=task.component_digest,
        option=option.name,
        cpu_millicores=option.requests.cpu_millicores,
        accelerators=option.requests.accelerators,
        input_bytes=task.input_bytes if task.is_input_known else 0.0,
        workload=task.workload,
        parameters=task.parameters,
        given=task.given,
        is_input_known=task.is_input_known,
    )


def _known(row: Sequence[Estimate | None]) -> tuple[Estimate, ...]:
    if not all(row):  # an estimate is always true; `None in row` would compare values
        return tuple(estimate if estimate is not None else UNKNOWN for estimate in row)
    return tuple(row)  # type: ignore[arg-type]  # there is no None in it, which mypy cannot see


def _identity(workload: Mapping[str, Any]) -> Hashable:
    """Equal for equal hints, quick to compare and to hash."""
    return marshal.dumps(dict(workload), _MARSHAL_WITHOUT_REFERENCES) if workload else b""


__all__ = ["EstimateTable", "build_estimates", "profile_of_task"]
