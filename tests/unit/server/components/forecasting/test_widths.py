"""Which earlier run tells how often loops run: one with the same parameters, else the last."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from server.components.forecasting.whole_run import UNKNOWN_WIDTHS, LoopWidths, loops_counted
from server.components.forecasting.widths import EarlierWidths
from server.domain.run import Expansion, Run
from server.domain.states import RunState
from server.stores.interface import RunFilter, RunPage
from tests.unit.server.components.forecasting.test_whole_run import INNER, OUTER, a_run


def ended(run_id: str, items: int, **parameters: Any) -> Run:
    run = a_run({OUTER: Expansion((1,) * items), f"{INNER}.0": Expansion((1, 2))}, run_id)
    return replace(run, state=RunState.SUCCEEDED, parameters=parameters)


class Store:
    """Runs that ended, newest first."""

    def __init__(self, *runs: Run) -> None:
        self.runs, self.asked = {run.id: run for run in runs}, list[RunFilter]()

    def list_runs(self, wanted: RunFilter) -> RunPage:
        self.asked.append(wanted)
        return RunPage(cast(Any, tuple(SimpleNamespace(id=one) for one in self.runs)), None)

    def load_run(self, run_id: str) -> Run:
        return self.runs[run_id]


def widths(*runs: Run) -> EarlierWidths:
    return EarlierWidths(cast(Any, Store(*runs)))


def test_the_last_run_with_the_same_parameters_tells_else_the_last() -> None:
    found = widths(ended("newest", 3, size="s"), ended("before", 7, size="l"), ended("oldest", 9, size="l"))
    assert found.of(replace(a_run(), parameters={"size": "l"})) == LoopWidths({OUTER: 7, INNER: 2}, "before")
    assert found.of(replace(a_run(), parameters={"size": "xl"})) == LoopWidths({OUTER: 3, INNER: 2}, "newest")
    assert widths().of(a_run()) is UNKNOWN_WIDTHS


def test_each_live_run_is_looked_up_once_and_only_while_a_loop_is_open() -> None:
    store = Store(ended("newest", 3))
    found = EarlierWidths(cast(Any, store))
    open_one, known = a_run(), a_run({OUTER: Expansion(())}, "known")
    for _ in range(3):
        assert dict(found.of_all([open_one, known])) == {"r": LoopWidths({OUTER: 3, INNER: 2}, "newest")}
    assert [(one.name, one.states) for one in store.asked] == [("flow", (RunState.SUCCEEDED,))]
    assert found.of_all([known]) == {}


def test_what_is_counted_is_said_in_words_where_all_of_it_is_known() -> None:
    run = a_run()
    assert loops_counted(run, LoopWidths({OUTER: 12, INNER: 1}, "old")) == "its loops run 12 times and once, as in old"
    assert loops_counted(run, LoopWidths({OUTER: 12}, "old")) == ""
    partly = a_run({OUTER: Expansion((1, 2)), f"{INNER}.0": Expansion((1,))})
    assert loops_counted(partly, LoopWidths({OUTER: 9, INNER: 4}, "old")) == "its loop runs 4 times, as in old"
    done = a_run({OUTER: Expansion((1,)), f"{INNER}.0": Expansion((1,))})
    assert loops_counted(done, LoopWidths({OUTER: 9, INNER: 4}, "old")) == ""
