"""Recorded runs as facts to compare: turnaround, node-hours, accelerator-hours, money."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.components.reporting.comparing import RunFact
from server.components.reporting.rates import Rates, node_share
from server.domain.node import Node
from server.domain.request import Defaults, requests_of
from server.domain.run import Run
from server.domain.states import RunState
from server.stores.interface import RunFilter, RunStoreInterface

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Stretch:
    """What ended in a stretch of time. `others` counts runs that are not facts, by reason."""

    since: datetime
    until: datetime
    facts: Sequence[RunFact]
    others: Mapping[str, int]


def read_stretch(
    store: RunStoreInterface,
    *,
    since: datetime,
    until: datetime,
    nodes: Mapping[str, Node],
    rates: Rates,
    defaults: Defaults,
) -> Stretch:
    """Runs submitted in the stretch. Retries are left out: they reuse what another run did."""
    facts: list[RunFact] = []
    others: Counter[str] = Counter()
    for run in _runs(store, since, until):
        if not run.state.is_end:
            others["not over"] += 1
        elif run.retry_of is not None:
            others["retries"] += 1
        elif run.state is not RunState.SUCCEEDED:
            others[run.state.value] += 1
        else:
            facts.append(fact_of(run, nodes, rates, defaults))
    return Stretch(since, until, facts, dict(others))


def fact_of(run: Run, nodes: Mapping[str, Node], rates: Rates, defaults: Defaults) -> RunFact:
    """A run in figures. A part of a node for an hour is that part of a node-hour; unknown nodes have no price."""
    node_hours = gpu_hours = money = 0.0
    is_priced = True
    for key, task in run.tasks.items():
        for attempt in task.attempts if not task.from_cache else ():
            name = attempt.actual_node or attempt.node
            if attempt.run_seconds is None or name is None:
                continue
            hours, requests = attempt.run_seconds / 3600, requests_of(run, key, attempt.option, defaults)
            node = nodes.get(name)
            share = node_share(requests, node) if node else 1.0
            rate = rates.of_node(node) if node else rates.node_hour.get(name)
            node_hours += hours * share
            gpu_hours += hours * sum(count for _, count in requests.accelerators)
            is_priced = is_priced and rate is not None
            money += hours * (share * (rate or 0.0) + rates.of_devices(requests))
    took = (run.finished_at - run.submitted_at).total_seconds() if run.finished_at else 0.0
    return RunFact(
        run_id=run.id,
        pipeline=run.name,
        is_left_out=run.options.is_holdout,
        turnaround_seconds=took,
        node_hours=node_hours,
        gpu_hours=gpu_hours,
        money=money if is_priced else None,
        inputs=json.dumps(run.parameters, sort_keys=True, default=str),
    )


def _runs(store: RunStoreInterface, since: datetime, until: datetime) -> Iterator[Run]:
    cursor: str | None = None
    while True:
        page = store.list_runs(RunFilter(submitted_since=since, after=cursor, limit=_PAGE))
        yield from (store.load_run(one.id) for one in page.runs if one.submitted_at < until)
        if page.next is None:
            return
        cursor = page.next


__all__ = ["Stretch", "fact_of", "read_stretch"]
