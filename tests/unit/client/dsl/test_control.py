"""Conditions, loops and exit tasks: what they become in the spec, and what is said where they are written wrongly.

Where a line tells mypy or ruff to overlook something, that mistake is what the test is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Elif, Else, If, Loop, Model, Output, collect, component, on_exit, one_of, pipeline, this_run
from mlopx.errors import DefinitionError
from mlopx.spec import (
    Clause,
    Collect,
    ConditionScope,
    Const,
    Item,
    LoopScope,
    OneOf,
    OutputRef,
    Param,
    PipelineSpec,
    RunFact,
)

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]


@component
def score(x: int = 1) -> float:
    return float(x)


@component
def passes(x: int = 1) -> bool:
    return x > 0


@component
def numbers(count: int = 3) -> list:
    return list(range(count))


@component
def train(rate: float = 0.1, *, model: Output[Model]) -> None:
    model.path.write_text(str(rate))


@component
def total(values: list, state: str = "") -> float:
    return float(sum(values))


@component
def report(state: str = "", value: float = 0.0) -> None:
    print(state, value)


@pipeline
def two_values() -> Any:
    return {"first": score().output, "second": score().output}


def else_twice() -> None:
    with If(score().output > 1):
        score()
    with Else():
        score()
    with Else():  # here
        score()


def elif_in_another_scope() -> None:
    with If(score().output > 1):
        score()
    with Loop([1, 2]), Elif(score().output > 2):  # here
        score()


def elif_first() -> None:
    with Elif(score().output > 1):  # here
        score()


def a_bare_condition() -> None:
    with If():  # here
        score()


def a_number_as_condition() -> None:
    with If(score()):  # here
        score()


def a_known_condition() -> None:
    limit = 3
    with If(limit > 1):  # here
        score()


def an_empty_loop() -> None:
    with Loop([]):  # here
        score()


def a_loop_over_a_text() -> None:
    with Loop("abc"):  # here
        score()


def a_loop_over_a_number() -> None:
    with Loop(score()):  # here
        score()


def a_loop_over_a_set_of_items() -> None:
    with Loop([{1, 2}]):  # here
        score()


def a_loop_that_is_too_narrow() -> None:
    with Loop([1, 2], width=0):  # here
        score()


def a_loop_of_half_a_width() -> None:
    with Loop([1, 2], width=1.5):  # type: ignore[arg-type]  # here
        score()


def an_entry_of_an_entry() -> None:
    with Loop([{"a": {"b": 1}}]) as item:
        score(x=item["a"]["b"])  # here


def two_exit_tasks() -> None:
    score()
    on_exit(report())
    on_exit(report())  # here


def an_exit_task_that_may_not_run() -> None:
    score()
    with Loop([1]):
        on_exit(report())  # here


def an_exit_task_that_reads() -> None:
    found = score()
    on_exit(report(value=found.output))  # here


def an_exit_task_that_is_none() -> None:
    on_exit("report")  # type: ignore[arg-type]  # here


def a_state_that_is_not_known_yet() -> None:
    report(state=this_run.state)  # here


def outputs_of_a_loop_not_collected() -> None:
    with Loop([1, 2]):
        found = score()
    report(value=found.output)  # here


def collected_outside_a_loop() -> None:
    found = score()
    total(values=collect(found.output))  # here


def a_collected_constant() -> None:
    total(values=collect([1, 2]))  # type: ignore[arg-type]  # here


def one_of_nothing() -> None:
    report(value=one_of())  # here


def one_of_a_constant() -> None:
    report(value=one_of(score().output, 3.0))  # type: ignore[arg-type]  # here


def one_of_several_types() -> None:
    report(value=one_of(score().output, passes().output))  # here


def a_loop_without_with() -> None:
    Loop([1, 2])  # here
    score()


def a_condition_that_python_decides() -> None:
    if If(score().output > 1):  # here
        score()


def a_condition_without_with() -> None:
    with Loop([1, 2]):
        found = score()
        If(found.output > 1)  # here
        report(value=found.output)


def an_else_without_with() -> None:
    with If(score().output > 1):
        score()
    Else()  # here
    score()


def a_loop_of_python() -> None:
    for _ in Loop([1, 2]):  # here
        score()


def a_condition_on_how_the_run_ends() -> None:
    with If(this_run.state == "failed"):  # here
        score()


def a_condition_on_an_artifact() -> None:
    trained = train()
    with Loop([1, 2]), If(trained.outputs["model"] == "good"):  # here
        score()


NOT_OUTPUTS = "one_of takes outputs of tasks"
A_LOOP = "write `with Loop(items) as item:`, and indent what belongs to it"
AN_IF = "write `with If(a == b):`, and indent what belongs to it"


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (else_twice, "Else without an If before it", "it stands right behind the If, at the same depth"),
        (elif_in_another_scope, "Elif without an If before it", "it stands right behind the If, at the same depth"),
        (elif_first, "Elif without an If before it", "it stands right behind the If, at the same depth"),
        (a_bare_condition, "a condition needs something to decide", "write If(task.output > 0.9)"),
        (
            a_number_as_condition,
            "a value of type float is not a condition that a run can decide",
            "compare an output, parameter or loop item with something: If(task.output > 0.9)",
        ),
        (
            a_known_condition,
            "True is not a condition that a run can decide",
            "compare an output, parameter or loop item with something: If(task.output > 0.9)",
        ),
        (an_empty_loop, "a loop over an empty list never runs", "give it one item or more"),
        (a_loop_without_with, "Loop stands without `with`, so no task is in it", A_LOOP),
        (a_loop_of_python, "Loop stands without `with`, so no task is in it", A_LOOP),
        (a_condition_without_with, "If stands without `with`, so no task is in it", AN_IF),
        (a_condition_that_python_decides, "If stands without `with`, so no task is in it", AN_IF),
        (
            an_else_without_with,
            "Else stands without `with`, so no task is in it",
            "write `with Else():`, and indent what belongs to it",
        ),
        (
            a_condition_on_how_the_run_ends,
            "tasks.score: its condition 'if-1': only an exit task may read the run's state",
            None,
        ),
        (
            a_condition_on_an_artifact,
            "tasks.score: its condition 'if-1': reads an artifact (Model), which only a task can look into: "
            "have that task return a value",
            None,
        ),
        (a_loop_over_a_text, "a loop runs over a list, not over 'abc'", "write Loop([...]) or Loop(list(...))"),
        (a_loop_over_a_number, "a loop runs over a list, not over a float", "let the task before return a list"),
        (
            a_loop_over_a_set_of_items,
            "{1, 2} (set) is not JSON",
            "arguments are texts, numbers, booleans, lists, dicts, or outputs of other tasks",
        ),
        (
            a_loop_that_is_too_narrow,
            "a loop of width 0 never runs",
            "leave width out to run all items side by side",
        ),
        (
            a_loop_of_half_a_width,
            "a loop's width is a number of iterations, not 1.5",
            "write width=2, or leave it out",
        ),
        (
            two_exit_tasks,
            "the pipeline has an exit task already: 'report'",
            "call what is to be done at the end in one task",
        ),
        (an_exit_task_that_is_none, "on_exit takes a task, not 'report'", "write on_exit(report(...))"),
        (
            an_exit_task_that_may_not_run,
            "exit_task: 'report' lies in a loop or condition, so it might not run",
            None,
        ),
        (
            an_exit_task_that_reads,
            "exit_task: 'report' runs whatever happened, so it may not wait for or read other tasks",
            None,
        ),
        (
            a_state_that_is_not_known_yet,
            "tasks.report.arguments.state: only an exit task may read the run's state",
            None,
        ),
        (
            outputs_of_a_loop_not_collected,
            "tasks.report.arguments.value: task 'score' lies in a loop, so it has many outputs 'output': collect them",
            None,
        ),
        (
            collected_outside_a_loop,
            "tasks.total.arguments.values: task 'score' is not in a loop as seen from here: "
            "there is nothing to collect",
            None,
        ),
        (
            a_collected_constant,
            "collect takes an output of a task inside a loop",
            "write collect(task.output)",
        ),
        (one_of_nothing, NOT_OUTPUTS, "write one_of(first.output, second.output)"),
        (one_of_a_constant, NOT_OUTPUTS, "write one_of(first.output, second.output)"),
        (one_of_several_types, "one_of takes outputs of one type, not float, bool", None),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_control_flow_that_cannot_be_is_refused_at_its_line(
    told: Told, definition: Callable[[], None], said: str, hint: str | None
) -> None:
    error = told(definition)
    assert (error.message, error.hint) == (said, hint)


def test_an_entry_of_a_loops_entry_is_not_to_be_had(told: Told) -> None:
    error = told(an_entry_of_an_entry)
    assert "'Handle' object is not subscriptable" in error.message
    assert "compute with it in a task" in (error.hint or "")


@pytest.mark.parametrize(
    ("word", "statement"),
    [
        ("If", lambda: If(True).__enter__()),
        ("Elif", lambda: Elif(True).__enter__()),
        ("Else", lambda: Else().__enter__()),
        ("Loop", lambda: Loop([1]).__enter__()),
        ("on_exit", lambda: on_exit(None)),
    ],
)
def test_control_flow_outside_of_a_pipeline_is_refused(
    told_at_once: Told, word: str, statement: Callable[[], Any]
) -> None:
    error = told_at_once(statement)
    assert error.message == f"{word} belongs inside a pipeline function"
    assert error.hint == "decorate the function around it with @pipeline"


def test_branches_know_what_must_not_have_held_before_them(build: Build) -> None:
    def flow(limit: float = 0.5) -> None:
        found = score()
        with If(found.output > limit, passes().output):
            report(state="good")
        with Elif(found.output == 0):
            report(state="none")
        with Else():
            report(state="bad")

    spec = build(flow)
    found = OutputRef(task="score", port="output")
    good = (
        Clause(left=found, operator=">", right=Param(name="limit")),
        Clause(left=OutputRef(task="passes", port="output"), operator="==", right=Const(value=True)),
    )
    none = (Clause(left=found, operator="==", right=Const(value=0)),)
    assert spec.scopes == {
        "if-1": ConditionScope(when=good),
        "if-2": ConditionScope(when=none, unless=(good,)),
        "if-3": ConditionScope(unless=(good, none)),
    }
    assert [spec.tasks[name].scope for name in ("report", "report-2", "report-3")] == ["if-1", "if-2", "if-3"]


def test_a_task_that_decides_may_stand_as_the_condition_itself(build: Build) -> None:
    def flow() -> None:
        with If(passes()):
            score()

    clause = Clause(left=OutputRef(task="passes", port="output"), operator="==", right=Const(value=True))
    assert build(flow).scopes == {"if-1": ConditionScope(when=(clause,))}


@pytest.mark.parametrize(
    ("compare", "operator", "right"),
    [
        (lambda value: value == 1, "==", 1),
        (lambda value: value != 1, "!=", 1),
        (lambda value: value < 1, "<", 1),
        (lambda value: value <= 1, "<=", 1),
        (lambda value: value > 1, ">", 1),
        (lambda value: value >= 1, ">=", 1),
        (lambda value: value.is_in([1, 2]), "in", [1, 2]),
    ],
)
def test_every_comparison_becomes_a_clause(
    build: Build, compare: Callable[[Any], Any], operator: str, right: object
) -> None:
    def flow() -> None:
        with If(compare(score().output)):
            report()
        if operator != "in":
            with If(compare(score())):
                report()

    spec = build(flow)
    clauses = [
        Clause(left=OutputRef(task=path, port="output"), operator=operator, right=Const(value=right))
        for path in spec.tasks
        if path.startswith("score")
    ]
    assert list(spec.scopes.values()) == [ConditionScope(when=(clause,)) for clause in clauses]


@pytest.mark.parametrize(
    ("items", "known"), [([1, 2], [1, 2]), ((1, 2), [1, 2]), (range(2), [0, 1]), ([{"x": 1}], [{"x": 1}])]
)
def test_a_loop_takes_lists_tuples_and_ranges(build: Build, items: Any, known: list[Any]) -> None:
    def flow() -> None:
        with Loop(items, width=2):
            score()

    assert build(flow).scopes == {"loop-1": LoopScope(items=Const(value=known), width=2)}


def test_a_loop_runs_over_what_a_parameter_or_a_task_or_an_item_lists(build: Build) -> None:
    def flow(rates: list) -> None:
        with Loop(rates):
            score()
        with Loop(numbers()) as number:
            score(x=number)
        with Loop([{"sizes": [1, 2]}]) as setting, Loop(setting.sizes) as size:
            score(x=size)

    spec = build(flow)
    assert spec.scopes == {
        "loop-1": LoopScope(items=Param(name="rates")),
        "loop-2": LoopScope(items=OutputRef(task="numbers", port="output")),
        "loop-3": LoopScope(items=Const(value=[{"sizes": [1, 2]}])),
        "loop-4": LoopScope(parent="loop-3", items=Item(loop="loop-3", key="sizes")),
    }
    assert spec.tasks["score-3"].arguments == {"x": Item(loop="loop-4")}


def test_after_a_loop_its_outputs_come_as_one_list(build: Build) -> None:
    def flow() -> None:
        with Loop([1, 2]) as number:
            found = score(x=number)
        total(values=collect(found.output))
        total(values=collect(found))  # type: ignore[arg-type]  # a task with one output stands for it

    spec = build(flow)
    assert spec.tasks["total"].arguments == {"values": Collect(task="score", port="output")}
    assert spec.tasks["total-2"].arguments == spec.tasks["total"].arguments


def test_what_branches_made_is_joined(build: Build) -> None:
    def flow() -> None:
        with If(passes()):
            first = score(x=1)
        with Else():
            second = score(x=2)
        report(value=one_of(first, second.output))  # type: ignore[arg-type]  # likewise

    joined = OneOf(candidates=(OutputRef(task="score", port="output"), OutputRef(task="score-2", port="output")))
    assert build(flow).tasks["report"].arguments == {"value": joined}


def test_tasks_are_the_same_or_not_as_python_says(build: Build) -> None:
    def flow() -> None:
        first, second = score(), score()
        assert first == first
        assert first != second
        assert first != None  # noqa: E711 - what is tested
        assert second in [first, second]
        assert len({first, second, first}) == 2

    build(flow)


def test_the_exit_task_is_told_how_the_run_went(build: Build) -> None:
    def flow() -> None:
        score()
        on_exit(report(state=this_run.state))

    spec = build(flow)
    assert spec.exit_task == "report"
    assert spec.tasks["report"].arguments == {"state": RunFact(fact="state")}


def test_a_scope_in_which_nothing_happens_is_left_out(build: Build) -> None:
    def flow() -> None:
        with Loop([1, 2]):
            pass
        score()

    assert build(flow).scopes == {}
