"""The small parts of a spec: amounts, needs, retries, hints, and what a task waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx.spec import (
    Clause,
    Collect,
    Component,
    ConditionScope,
    Const,
    DataHints,
    FunctionCode,
    LoopScope,
    ModelHints,
    OneOf,
    OutputRef,
    PipelineScope,
    PipelineSpec,
    Requirement,
    Resources,
    Retry,
    Scope,
    Task,
    WorkloadHints,
    conditions_around,
    data_dependencies,
    dependencies,
    loops_around,
    merge_hints,
    parse_cpu,
    parse_memory,
    parse_seconds,
    topological_order,
)

CPU, MEMORY = 'a CPU amount such as "500m", 0.5 or 2', 'a memory size such as "512Mi" or "4Gi"'
TIME = 'a time span such as 90, "200ms", "10m" or "2h"'


@pytest.mark.parametrize(
    ("parse", "amount", "found"),
    [
        (parse_cpu, 2, 2000),
        (parse_cpu, "0.5", 500),
        (parse_cpu, " 500m ", 500),
        (parse_memory, "512Mi", 512 * 2**20),
        (parse_memory, "1.5G", 1_500_000_000),
        (parse_memory, 7, 7),
        (parse_seconds, 90, 90.0),
        (parse_seconds, "200ms", 0.2),
        (parse_seconds, "1.5 h", 5400.0),
        (parse_seconds, "1d", 86_400.0),
        (parse_seconds, 0, 0.0),
    ],
)
def test_amounts_are_read_as_people_write_them(parse: Callable[[Any], float], amount: Any, found: float) -> None:
    assert parse(amount) == found


@pytest.mark.parametrize(
    ("parse", "what", "amounts"),
    [
        (parse_cpu, CPU, [0, "0.5m", -1, "2 cores", "", True, "many", "nan"]),
        (parse_memory, MEMORY, [0, "4gi", "4 GB", "-1Gi", None, True]),
        (parse_seconds, TIME, ["soon", -1, "1h 30m", "1w", True, "inf"]),
    ],
)
def test_what_is_no_amount_is_told_with_examples_of_what_is(
    parse: Callable[[Any], float], what: str, amounts: list[Any]
) -> None:
    for amount in amounts:
        with pytest.raises(ValueError, match=r".") as caught:
            parse(amount)
        assert str(caught.value) == f"{amount!r} is not {what}"


@pytest.mark.parametrize(
    ("operator", "values", "is_sound"),
    [
        ("In", ("a", "b"), True),
        ("In", (), False),
        ("NotIn", (), False),
        ("Exists", (), True),
        ("Exists", ("a",), False),
        ("DoesNotExist", ("a",), False),
        ("Gt", ("-5",), True),
        ("Gt", ("5", "6"), False),
        ("Lt", ("five",), False),
    ],
)
def test_a_requirement_has_as_many_values_as_its_operator_needs(
    operator: Any, values: tuple[str, ...], is_sound: bool
) -> None:
    if is_sound:
        assert Requirement(label="zone", operator=operator, values=values).values == values
        return
    with pytest.raises(ValueError, match=f"operator {operator} "):
        Requirement(label="zone", operator=operator, values=values)


def test_a_limit_below_the_request_is_refused() -> None:
    with pytest.raises(ValueError, match="the memory limit 1 is below the request 2"):
        Resources(memory_bytes=2, memory_limit_bytes=1)


def test_what_resources_leave_open_comes_from_others_and_a_low_limit_gives_way() -> None:
    base = Resources(cpu_millicores=100, cpu_limit_millicores=200, memory_bytes=7)
    assert Resources(cpu_millicores=500).completed_by(base) == Resources(
        cpu_millicores=500, cpu_limit_millicores=500, memory_bytes=7
    )
    assert Resources().completed_by(base) == base


def test_pauses_between_retries_grow_up_to_their_limit() -> None:
    retry = Retry(max_retries=5, backoff_seconds=10, backoff_factor=3, max_backoff_seconds=60)
    assert [retry.delay_seconds(number) for number in (1, 2, 3, 100)] == [10, 30, 60, 60]
    assert Retry(max_retries=1).delay_seconds(1) == 0


def test_a_tasks_own_hints_are_completed_by_the_pipelines() -> None:
    own = WorkloadHints(task_kind="training", model=ModelHints(type="forest"))
    pipeline = WorkloadHints(task_kind="other", dataset=DataHints(name="irises"), operations=5)
    assert merge_hints(own, pipeline) == WorkloadHints(
        task_kind="training", model=ModelHints(type="forest"), dataset=DataHints(name="irises"), operations=5
    )
    assert merge_hints(None, pipeline) == pipeline
    assert merge_hints(own, None) == own
    assert merge_hints(None, None) is None


def ref(task: str) -> OutputRef:
    return OutputRef(task=task, port="out")


def flow() -> PipelineSpec:
    """A last task that waits for the others in every way: by values, by `after`, by a condition and a loop around."""
    scopes: dict[str, Scope] = {
        "loop": LoopScope(items=ref("items")),
        "sub": PipelineScope(parent="loop", pipeline="sub"),
        "if": ConditionScope(
            parent="sub",
            when=(Clause(left=ref("left"), operator="<", right=Const(value=1)),),
            unless=((Clause(left=Const(value=1), operator="<", right=ref("right")),),),
        ),
    }
    values = {
        "a": OneOf(candidates=(ref("one"), ref("two"))),
        "b": Collect(task="one", port="out"),
        "c": ref("three"),
    }
    last = Task(component="step", scope="if", arguments=values, after=("three", "before"))
    others = ("items", "left", "right", "one", "two", "three", "before")
    return PipelineSpec(
        version="1.0",
        name="flow",
        components={"step": Component(name="step", code=FunctionCode(source="...", entrypoint="step"))},
        scopes=scopes,
        tasks={"last": last, **{name: Task(component="step") for name in others}},
    )


def test_a_task_waits_for_all_that_it_and_what_is_around_it_reads_each_once() -> None:
    spec = flow()
    assert data_dependencies(spec.tasks["last"]) == ["one", "two", "three"]
    assert dependencies(spec, "last") == ["one", "two", "three", "before", "items", "left", "right"]


def test_the_scopes_around_a_task_are_told_by_kind_from_the_outermost() -> None:
    spec = flow()
    assert loops_around(spec, "if") == ("loop",)
    assert conditions_around(spec, "if") == ("if",)
    assert loops_around(spec, None) == ()


def test_in_order_every_task_comes_after_what_it_waits_for() -> None:
    order = topological_order(flow())
    assert order[-1] == "last"
    assert order[:-1] == ["items", "left", "right", "one", "two", "three", "before"]
