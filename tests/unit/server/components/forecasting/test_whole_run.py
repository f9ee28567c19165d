"""A run is planned whole: loops have the iterations that are known, or that an earlier run had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlopx.spec import SPEC_VERSION, PipelineSpec
from server.components.forecasting.whole_run import UNKNOWN_WIDTHS, LoopWidths, whole_run, widths_of
from server.domain.graph import compile_graph
from server.domain.lifecycle import start_run
from server.domain.request import one_cpu_defaults
from server.domain.run import Expansion, Run, RunOptions
from server.testing.contracts.placement_requests import NOW

OUTER, INNER = "loop-1", "loop-2"


def a_run(expansions: Mapping[str, Expansion] | None = None, run_id: str = "r") -> Run:
    """`propose`, then `fit` in a loop over its output and `score` in another inside that, then `choose`."""
    listed = {"kind": "output", "task": "propose", "port": "output"}
    code = {"kind": "function", "source": "def work():\n    return []\n", "entrypoint": "work"}
    document: dict[str, Any] = {
        "version": SPEC_VERSION,
        "name": "flow",
        "components": {
            "work": {"name": "work", "code": code, "outputs": {"output": {"kind": "parameter", "type": "list"}}}
        },
        "scopes": {
            OUTER: {"kind": "loop", "items": listed},
            INNER: {"kind": "loop", "items": listed, "parent": OUTER},
        },
        "tasks": {
            "propose": {"component": "work"},
            "fit": {"component": "work", "scope": OUTER, "after": ["propose"]},
            "score": {"component": "work", "scope": INNER, "after": ["fit"]},
            "choose": {"component": "work", "after": ["score"]},
        },
    }
    graph = compile_graph(PipelineSpec.model_validate(document))
    run = start_run(run_id, graph, parameters={}, options=RunOptions(), at=NOW).run
    return replace(run, expansions={**run.expansions, **(expansions or {})})


def planned(run: Run, widths: LoopWidths = UNKNOWN_WIDTHS) -> tuple[dict[str, set[str]], tuple[str, ...]]:
    """What each task waits for, and what was assumed."""
    whole = whole_run(run, one_cpu_defaults, widths=widths)
    return {str(task.key): set(map(str, task.waits_for)) for task in whole.run.tasks}, whole.assumptions


def test_loops_of_which_nothing_is_known_count_as_one_iteration() -> None:
    tasks, assumed = planned(a_run())
    assert set(tasks) == {"propose", "fit.0", "score.0.0", "choose"}
    assert assumed == (
        f"the items of {OUTER} are only known while it runs: one iteration is counted",
        f"the items of {INNER} are only known while it runs: one iteration is counted",
    )


def test_loops_have_as_many_iterations_as_in_an_earlier_run() -> None:
    tasks, assumed = planned(a_run(), LoopWidths({OUTER: 3, INNER: 2}, "flow-before"))
    assert {key for key in tasks if key.startswith("fit")} == {"fit.0", "fit.1", "fit.2"}
    scores = {f"score.{outer}.{inner}" for outer in range(3) for inner in range(2)}
    assert {key for key in tasks if key.startswith("score")} == scores
    assert tasks["score.2.1"] == {"fit.2", "propose"}
    assert tasks["choose"] == scores
    assert f"the items of {OUTER} are only known while it runs: 3 iterations are counted, as in flow-before" in assumed


def test_a_loop_that_had_no_items_brings_nothing_and_says_so() -> None:
    tasks, assumed = planned(a_run(), LoopWidths({OUTER: 0, INNER: 2}, "flow-before"))
    assert set(tasks) == {"propose", "choose"}
    assert assumed[0] == f"the items of {OUTER} are only known while it runs: none is counted, as in flow-before"


def test_iterations_that_are_known_count_as_they_are() -> None:
    tasks, assumed = planned(a_run({OUTER: Expansion(("a", "b"))}), LoopWidths({OUTER: 5, INNER: 2}, "before"))
    assert {key for key in tasks if key.startswith("score")} == {"score.0.0", "score.0.1", "score.1.0", "score.1.1"}
    assert [one for one in assumed if OUTER in one] == []


def test_widths_are_those_of_the_loops_that_ran_and_the_mean_of_inner_ones() -> None:
    ran = {
        OUTER: Expansion(("a", "b", "c")),
        f"{INNER}.0": Expansion((1, 2, 3, 4)),
        f"{INNER}.1": Expansion((1,)),
        f"{INNER}.2": Expansion(None, "condition"),
    }
    assert widths_of(a_run(ran, "done")) == LoopWidths({OUTER: 3, INNER: 2}, "done")
