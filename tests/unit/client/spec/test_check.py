"""Every rule that spans several parts of a spec: what breaks it is told in a sentence that begins with its place."""

from __future__ import annotations

from typing import Any

import pytest

from mlopx.errors import SpecError
from mlopx.spec import (
    ArtifactInput,
    ArtifactOutput,
    Clause,
    Collect,
    Component,
    ConditionScope,
    Const,
    ContainerCode,
    ForeignCode,
    FunctionCode,
    Item,
    LoopScope,
    OneOf,
    Option,
    OutputRef,
    Param,
    Parameter,
    ParameterInput,
    ParameterOutput,
    PipelineScope,
    PipelineSpec,
    PvcSource,
    RunFact,
    Scope,
    SecretEnv,
    Task,
    Value,
    Volume,
    VolumePath,
    check,
    fits,
    problems,
)

CODE = FunctionCode(source="def make(): ...", entrypoint="make")
MAKE = Component(
    name="make",
    code=CODE,
    outputs={
        "count": ParameterOutput(type="int"),
        "names": ParameterOutput(type="list"),
        "data": ArtifactOutput(type="Dataset"),
        "any": ArtifactOutput(type="Artifact"),
    },
)
USE = Component(
    name="use",
    code=CODE,
    inputs={
        "number": ParameterInput(type="float", optional=True),
        "text": ParameterInput(type="str", optional=True),
        "many": ParameterInput(type="list", optional=True),
        "data": ArtifactInput(type="Dataset", optional=True),
        "all": ArtifactInput(type="Dataset", is_list=True, optional=True),
        "model": ArtifactInput(type="Model", optional=True),
    },
)
NEED = Component(name="need", code=CODE, inputs={"number": ParameterInput(type="int")})
COMPONENTS = {one.name: one for one in (MAKE, USE, NEED)}
ITEMS = Const(value=[1, 2])
YES = Clause(left=Const(value=1), operator="==", right=Const(value=1))
LOOPS: dict[str, Scope] = {
    "loop": LoopScope(items=ITEMS),
    "loop/inner": LoopScope(parent="loop", items=ITEMS),
    "other": LoopScope(items=ITEMS),
    "nested": PipelineScope(parent="loop", pipeline="nested"),
}


def spec(tasks: dict[str, Task], **more: Any) -> PipelineSpec:
    return PipelineSpec(version="1.0", name="flow", **{"components": COMPONENTS, "tasks": tasks, **more})


def use(port: str, value: Value, **more: Any) -> Task:
    return Task(component="use", arguments={port: value}, **more)


def given(port: str, value: Value, **more: Any) -> list[str]:
    """What is said of a value that the task `use` gets, beside a task `make` and one in a loop."""
    tasks = {
        "make": Task(component="make"),
        "each": Task(component="make", scope="loop"),
        "use": use(port, value, **more),
    }
    parameters = {"size": Parameter(type="int"), "title": Parameter(type="str")}
    return problems(spec(tasks, scopes=LOOPS, parameters=parameters))


def test_a_sound_spec_has_no_problem() -> None:
    tasks = {
        "make": Task(component="make"),
        "each": use("number", Item(loop="loop"), scope="loop", after=("make",)),
        "need": Task(component="need", arguments={"number": OutputRef(task="make", port="count")}),
    }
    assert problems(spec(tasks, scopes=LOOPS, exit_task=None)) == []


def test_all_broken_rules_are_told_at_once() -> None:
    broken = spec({"a": Task(component="nobody"), "b": Task(component="need")})
    with pytest.raises(SpecError) as caught:
        check(broken)
    assert caught.value.message == (
        "the pipeline spec breaks its own rules:\n"
        "  tasks.a: its component 'nobody' does not exist\n"
        "  tasks.b.arguments.number: is missing; component 'need' requires it"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("value", "parameter_type", "is_fit"),
    [
        (True, "bool", True),
        (True, "int", False),
        (True, "float", False),
        (1, "bool", False),
        (1, "float", True),
        (1.0, "int", False),
        ("1", "int", False),
        (None, "str", False),
        ((1,), "list", True),
        ({}, "dict", True),
        ({}, "list", False),
    ],
)
def test_a_bool_is_no_number_and_a_whole_number_is_also_a_float(value: Any, parameter_type: str, is_fit: bool) -> None:
    assert fits(value, parameter_type) == is_fit


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"my name": Parameter(type="str")}, "parameters.my name: is no name of letters a to z, digits and _"),
        (
            {"a": Parameter(type="int", optional=True, default="1")},
            "parameters.a: the default '1' is not of type int",
        ),
        (
            {"a": Parameter(type="int", optional=True, default=True)},
            "parameters.a: the default True is not of type int",
        ),
    ],
)
def test_parameters_have_plain_names_and_defaults_of_their_type(parameters: dict[str, Parameter], said: str) -> None:
    assert problems(spec({"make": Task(component="make")}, parameters=parameters)) == [said]


def test_an_optional_parameter_may_default_to_nothing() -> None:
    assert (
        problems(spec({"make": Task(component="make")}, parameters={"a": Parameter(type="int", optional=True)})) == []
    )


BAD_COMPONENTS = {
    "another name inside": (
        Component(name="other", code=CODE),
        "components.it: is named 'other' inside",
    ),
    "a port on both sides": (
        Component(
            name="it",
            code=CODE,
            inputs={"b": ParameterInput(type="int", optional=True), "a": ParameterInput(type="int", optional=True)},
            outputs={"a": ParameterOutput(type="int"), "b": ParameterOutput(type="int")},
        ),
        "components.it: a, b is both an input and an output",
    ),
    "a command without an image": (
        Component(name="it", code=ContainerCode(command=("ls",))),
        "components.it: a container component needs an image",
    ),
    "code of a document that is not there": (
        Component(name="it", code=ForeignCode()),
        "components.it: its code is in a foreign document, and the spec has none",
    ),
    "a function without source": (
        Component(name="it", code=FunctionCode(source=" \n", entrypoint="it")),
        "components.it: its code has no source",
    ),
    "a default of another type": (
        Component(name="it", code=CODE, inputs={"a": ParameterInput(type="str", optional=True, default=1)}),
        "components.it.inputs.a: the default 1 is not of type str",
    ),
}


@pytest.mark.parametrize("case", BAD_COMPONENTS)
def test_a_component_is_whole(case: str) -> None:
    component, said = BAD_COMPONENTS[case]
    assert problems(spec({"it": Task(component="it")}, components={"it": component})) == [said]


BAD_SCOPES: dict[str, tuple[dict[str, Scope], str | None, list[str]]] = {
    "a parent that is not there": (
        {"a": PipelineScope(parent="gone", pipeline="p")},
        "a",
        ["scopes.a: its parent 'gone' does not exist"],
    ),
    "a circle": (
        {"a": PipelineScope(parent="b", pipeline="p"), "b": PipelineScope(parent="a", pipeline="p")},
        "a",
        [
            "scopes.a: the scopes contain each other in a circle",
            "scopes.b: the scopes contain each other in a circle",
        ],
    ),
    "itself": (
        {"a": LoopScope(parent="a", items=ITEMS)},
        None,
        ["scopes.a: the scopes contain each other in a circle"],
    ),
    "a task in none": ({}, "gone", ["tasks.make: its scope 'gone' does not exist"]),
}


@pytest.mark.parametrize("case", BAD_SCOPES)
def test_scopes_are_a_tree_in_which_every_task_has_its_place(case: str) -> None:
    scopes, scope, said = BAD_SCOPES[case]
    assert problems(spec({"make": Task(component="make", scope=scope)}, scopes=scopes)) == said


def test_an_input_that_the_component_does_not_have_is_answered_with_those_it_has() -> None:
    argument = {"number": Const(value=1), "speed": Const(value=1)}
    assert problems(spec({"a": Task(component="need", arguments=argument)})) == [
        "tasks.a.arguments.speed: component 'need' has no such input (it has: number)"
    ]
    assert problems(spec({"a": Task(component="make", arguments={"x": ITEMS})})) == [
        "tasks.a.arguments.x: component 'make' has no such input (it has: none)"
    ]


REFERENCES: dict[str, tuple[Value, str]] = {
    "a parameter": (Param(name="gone"), "the pipeline has no parameter 'gone' (it has: size, title)"),
    "a loop": (Item(loop="gone"), "reads the item of loop 'gone', which is not around it"),
    "another loop": (Item(loop="loop"), "reads the item of loop 'loop', which is not around it"),
    "a volume": (VolumePath(volume="disk"), "reads volume 'disk', which the task does not mount"),
    "a task": (OutputRef(task="gone", port="count"), "task 'gone' does not exist"),
    "a task to collect": (Collect(task="gone", port="count"), "task 'gone' does not exist"),
    "an output": (
        OutputRef(task="make", port="gone"),
        "task 'make' has no output 'gone' (it has: any, count, data, names)",
    ),
    "one of several": (
        OneOf(candidates=(OutputRef(task="make", port="count"), OutputRef(task="gone", port="count"))),
        "task 'gone' does not exist",
    ),
    "an output of a loop": (
        OutputRef(task="each", port="count"),
        "task 'each' lies in a loop, so it has many outputs 'count': collect them",
    ),
    "a collection of one": (
        Collect(task="make", port="count"),
        "task 'make' is not in a loop as seen from here: there is nothing to collect",
    ),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_what_a_value_refers_to_is_there_and_can_be_seen(case: str) -> None:
    value, said = REFERENCES[case]
    port = "many" if isinstance(value, Collect) else "number"
    assert given(port, value)[0] == f"tasks.use.arguments.{port}: {said}"


@pytest.mark.parametrize("scope", ["loop", "loop/inner", "nested"])
def test_from_inside_a_loop_its_own_outputs_are_one_each(scope: str) -> None:
    assert given("number", OutputRef(task="each", port="count"), scope=scope) == []
    assert given("number", Item(loop="loop"), scope=scope) == []
    assert given("many", Collect(task="each", port="count"), scope=scope) == [
        "tasks.use.arguments.many: task 'each' is not in a loop as seen from here: there is nothing to collect"
    ]


def test_from_another_loop_outputs_are_collected() -> None:
    assert given("number", OutputRef(task="each", port="count"), scope="other") == [
        "tasks.use.arguments.number: task 'each' lies in a loop, so it has many outputs 'count': collect them"
    ]
    assert given("many", Collect(task="each", port="count"), scope="other") == []


UNFIT: dict[str, tuple[str, Value, str]] = {
    "text for a number": ("number", Const(value="1"), "expects float, but '1' is given"),
    "a bool for a number": ("number", Const(value=True), "expects float, but True is given"),
    "a parameter": ("number", Param(name="title"), "expects float, but str is given"),
    "a number for text": ("text", Param(name="size"), "expects str, but int is given"),
    "failed tasks as text": ("text", RunFact(fact="failed_tasks"), "expects str, but list is given"),
    "a path as a list": ("many", RunFact(fact="id"), "expects list, but str is given"),
    "an output": ("number", OutputRef(task="make", port="names"), "expects float, but list is given"),
    "one of several": (
        "number",
        OneOf(candidates=(OutputRef(task="make", port="count"), OutputRef(task="make", port="names"))),
        "expects float, but list is given",
    ),
    "collected numbers": ("number", Collect(task="each", port="count"), "expects float, but list is given"),
    "an artifact for a value": (
        "number",
        OutputRef(task="make", port="data"),
        "expects a float value, but an artifact (Dataset) is given",
    ),
    "a value for an artifact": (
        "data",
        Const(value="a.csv"),
        "expects an artifact (Dataset), but a str value is given",
    ),
    "another kind of artifact": (
        "model",
        OutputRef(task="make", port="data"),
        "expects a Model, but a Dataset is given",
    ),
    "artifacts for one": ("data", Collect(task="each", port="data"), "expects one artifact, but a list is given"),
    "an artifact for several": ("all", OutputRef(task="make", port="data"), "expects a list of artifacts"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_value_is_of_its_inputs_type(case: str) -> None:
    port, value, said = UNFIT[case]
    assert f"tasks.use.arguments.{port}: {said}" in given(port, value)


@pytest.mark.parametrize(
    ("port", "value"),
    [
        ("number", Const(value=1)),
        ("number", Const(value=None)),
        ("number", Param(name="size")),
        ("text", RunFact(fact="name")),
        ("model", OutputRef(task="make", port="any")),
        ("all", Collect(task="each", port="data")),
        ("many", Collect(task="each", port="count")),
    ],
)
def test_what_fits_passes(port: str, value: Value) -> None:
    assert given(port, value) == []


def test_nothing_is_no_value_of_an_input_that_is_required() -> None:
    assert problems(spec({"a": Task(component="need", arguments={"number": Const(value=None)})})) == [
        "tasks.a.arguments.number: expects int, but None is given"
    ]


def test_a_path_in_a_mounted_volume_is_text() -> None:
    disk = Volume(name="disk", source=PvcSource(claim="c"), mount_path="/disk")
    assert given("text", VolumePath(volume="disk"), volumes=(disk,)) == []
    assert given("number", VolumePath(volume="disk"), volumes=(disk,)) == [
        "tasks.use.arguments.number: expects float, but str is given"
    ]


def test_nothing_is_there_twice() -> None:
    disk = Volume(name="disk", source=PvcSource(claim="c"), mount_path="/disk")
    key = SecretEnv(env="KEY", secret="s", key="k")
    twice = Task(
        component="make", options=(Option(name="big"), Option(name="big")), volumes=(disk, disk), secrets=(key, key)
    )
    assert problems(spec({"a": twice})) == [
        "tasks.a.options: 'big' is there twice",
        "tasks.a.volumes: 'disk' is there twice",
        "tasks.a.secrets: 'KEY' is there twice",
    ]


def test_a_task_waits_for_tasks_that_are_there() -> None:
    assert problems(spec({"a": Task(component="make", after=("gone",))})) == [
        "tasks.a.after: task 'gone' does not exist"
    ]


def test_what_a_condition_or_loop_reads_is_checked_from_outside_of_it() -> None:
    clause = Clause(left=Param(name="gone"), operator="==", right=Const(value=1))
    scopes: dict[str, Scope] = {
        "if": ConditionScope(when=(clause,)),
        "else": ConditionScope(unless=((clause,), (YES,))),
        "loop": LoopScope(items=Item(loop="loop")),
    }
    tasks = {name: Task(component="make", scope=scope) for name, scope in zip("abc", scopes, strict=True)}
    assert problems(spec(tasks, scopes=scopes)) == [
        "tasks.a: its condition 'if': the pipeline has no parameter 'gone' (it has: none)",
        "tasks.b: its condition 'else': the pipeline has no parameter 'gone' (it has: none)",
        "tasks.c: its loop 'loop': reads the item of loop 'loop', which is not around it",
    ]


def test_a_circle_of_tasks_is_named_task_by_task() -> None:
    waits = {"a": Task(component="make"), "b": ("a", "d"), "c": ("b",), "d": ("c",)}
    tasks = {name: one if isinstance(one, Task) else Task(component="make", after=one) for name, one in waits.items()}
    assert problems(spec(tasks)) == ["tasks: the tasks wait for each other in a circle: b -> d -> c -> b"]


def test_a_task_that_waits_for_what_its_own_condition_reads_of_it_is_a_circle() -> None:
    own = Clause(left=OutputRef(task="a", port="count"), operator=">", right=Const(value=0))
    tasks = {"a": Task(component="make", scope="if")}
    assert problems(spec(tasks, scopes={"if": ConditionScope(when=(own,))})) == [
        "tasks: the tasks wait for each other in a circle: a -> a"
    ]


def test_a_loops_width_is_at_least_one() -> None:
    for width in (0, -1):
        with pytest.raises(ValueError, match="greater than or equal to 1"):
            LoopScope(items=ITEMS, width=width)


EXIT = use("text", RunFact(fact="state"))
EXITS: dict[str, tuple[dict[str, Task], str | None, list[str]]] = {
    "none, but its facts are read": (
        {"a": EXIT},
        None,
        ["tasks.a.arguments.text: only an exit task may read the run's state"],
    ),
    "one that is not there": (
        {"a": Task(component="make")},
        "gone",
        ["exit_task: task 'gone' does not exist"],
    ),
    "the only task": ({"a": EXIT}, "a", ["exit_task: a pipeline needs at least one task besides its exit task"]),
    "one in a condition": (
        {"a": Task(component="make"), "end": use("text", RunFact(fact="error"), scope="if")},
        "end",
        ["exit_task: 'end' lies in a loop or condition, so it might not run"],
    ),
    "one that waits": (
        {"a": Task(component="make"), "end": use("text", RunFact(fact="state"), after=("a",))},
        "end",
        ["exit_task: 'end' runs whatever happened, so it may not wait for or read other tasks"],
    ),
    "one that reads": (
        {"a": Task(component="make"), "end": use("number", OutputRef(task="a", port="count"))},
        "end",
        ["exit_task: 'end' runs whatever happened, so it may not wait for or read other tasks"],
    ),
    "one that another waits for": (
        {"a": Task(component="make", after=("end",)), "end": EXIT},
        "end",
        ["tasks.a: waits for the exit task 'end', which runs last"],
    ),
    "one whose facts another reads": (
        {"a": EXIT, "end": EXIT},
        "end",
        ["tasks.a.arguments.text: only an exit task may read the run's state"],
    ),
    "a sound one": ({"a": Task(component="make"), "end": EXIT}, "end", []),
    "a sound one in a nested pipeline": (
        {"a": Task(component="make"), "end": use("text", RunFact(fact="state"), scope="sub")},
        "end",
        [],
    ),
}


@pytest.mark.parametrize("case", EXITS)
def test_an_exit_task_runs_last_whatever_happened_and_alone_knows_how_it_went(case: str) -> None:
    tasks, exit_task, said = EXITS[case]
    scopes = {"if": ConditionScope(when=(YES,)), "sub": PipelineScope(pipeline="sub")}
    assert problems(spec(tasks, exit_task=exit_task, scopes=scopes)) == said


OPERANDS: dict[str, tuple[Value, list[str]]] = {
    "the run's name": (RunFact(fact="name"), []),
    "how the run ended": (RunFact(fact="state"), ["only an exit task may read the run's state"]),
    "a value": (OutputRef(task="a", port="count"), []),
    "an artifact": (
        OutputRef(task="a", port="data"),
        ["reads an artifact (Dataset), which only a task can look into: have that task return a value"],
    ),
    "one of two artifacts": (
        OneOf(candidates=(OutputRef(task="a", port="data"), OutputRef(task="a", port="count"))),
        ["reads an artifact (Dataset), which only a task can look into: have that task return a value"],
    ),
}


@pytest.mark.parametrize("case", OPERANDS)
def test_a_condition_compares_what_the_server_can_read_and_is_told_once_wherever_tasks_lie_in_it(case: str) -> None:
    operand, said = OPERANDS[case]
    scopes: dict[str, Scope] = {
        "if": ConditionScope(when=(Clause(left=operand, operator="==", right=Const(value=1)),)),
        "loop": LoopScope(items=ITEMS, parent="if"),
    }
    tasks = {"a": Task(component="make")} | {name: Task(component="make", scope="loop") for name in "bc"}
    assert problems(spec(tasks, scopes=scopes)) == [f"tasks.b: its condition 'if': {problem}" for problem in said]
