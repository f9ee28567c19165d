"""Components: what a function's signature becomes, and what is said of one that could not run as a task.

Where a line tells mypy or ruff to overlook something, that mistake is what the test is about.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, List, NamedTuple, Optional  # noqa: UP035 - people write these

import pytest

from mlopx import (
    Artifact,
    Component,
    Dataset,
    Input,
    Model,
    Output,
    TaskInfo,
    component,
    container_component,
    input_path,
    input_value,
    output_path,
)
from mlopx.errors import DefinitionError
from mlopx.spec import (
    ArtifactInput,
    ArtifactOutput,
    ContainerCode,
    FunctionCode,
    ParameterInput,
    ParameterOutput,
    Resources,
    Retry,
)

Told = Callable[[Callable[..., Any]], DefinitionError]

FACTOR = 3


class Scores(NamedTuple):
    accuracy: float
    labels: list


class Handles(NamedTuple):
    file: object


class Shelf:
    def take(self, x: int) -> int:
        return x


def many_values() -> None:
    @component  # here
    def step(*values: int) -> None: ...


def many_names() -> None:
    @component  # here
    def step(**values: int) -> None: ...


def by_position() -> None:
    @component  # here
    def step(x: int, /) -> None: ...


def without_a_type() -> None:
    @component  # here
    def step(x) -> None: ...  # type: ignore[no-untyped-def]


def of_a_type_that_cannot_travel() -> None:
    @component  # here
    def step(x: complex) -> None: ...


def of_two_types() -> None:
    @component  # here
    def step(x: int | str) -> None: ...


def of_a_list_of_no_artifacts() -> None:
    @component  # here
    def step(x: Input[list[int]]) -> None: ...


def with_a_list_of_outputs() -> None:
    @component  # here
    def step(x: Output[list[Model]]) -> None: ...


def of_a_type_that_nobody_knows() -> None:
    @component  # here
    def step(x: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def of_half_a_type() -> None:
    @component  # here
    def step(x: int[3]) -> None: ...  # type: ignore[misc]


def with_a_default_of_another_type() -> None:
    @component  # here
    def step(x: int = "three") -> None: ...  # type: ignore[assignment]


def with_a_default_that_is_no_json() -> None:
    @component  # here
    def step(x: list = {1}) -> None: ...  # type: ignore[assignment]  # noqa: B006


def returning_what_cannot_travel() -> None:
    @component  # here
    def step() -> complex:
        return 1j


def returning_an_object() -> None:
    @component  # here
    def step() -> Handles: ...  # type: ignore[empty-body]


def with_packages_as_a_text() -> None:
    @component(packages="numpy")  # here
    def step() -> None: ...


def without_letters() -> None:
    @component(name="42")  # here
    def step() -> None: ...


def with_an_input_in_other_letters() -> None:
    @component  # here
    def step(é: int) -> None: ...  # noqa: PLC2401 - what the test is about


def using_what_lies_outside() -> None:
    @component  # here
    def step(x: int) -> int:
        return x * FACTOR


def using_what_lies_around() -> None:
    factor = 3

    @component  # here
    def step(x: int) -> int:
        return x * factor


def using_it_as_a_default() -> None:
    @component  # here
    def step(x: int = FACTOR) -> int:
        return x


def waiting() -> None:
    @component  # here
    async def step() -> None: ...


def retried_less_than_never() -> None:
    @component(retries=-1)  # here
    def step() -> None: ...


RUNS_ALONE = "import and define what it needs inside the function, or pass it as a parameter"
TYPES = "use str, int, float, bool, list, dict, or Input[Dataset] for anything in a file"
RETURNS = "return str, int, float, bool, list, dict or a NamedTuple of these; write files to an Output[...]"
ANNOTATE = "annotate with str, int, float, bool, list, dict, Input[...] or Output[...]"


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (
            many_values,
            "step takes *values; a component's inputs have names",
            "write each input by name; of many values, take a list",
        ),
        (
            many_names,
            "step takes *values; a component's inputs have names",
            "write each input by name; of many values, take a list",
        ),
        (
            by_position,
            "step takes 'x' by position only; a component's inputs are given by name",
            "leave out the / in its parameters",
        ),
        (without_a_type, "parameter 'x' of step has no type", "write x: float, x: Input[Dataset], …"),
        (
            of_a_type_that_cannot_travel,
            "parameter 'x' of step has type <class 'complex'>, which cannot travel between tasks",
            TYPES,
        ),
        (of_two_types, "parameter 'x' of step has type int | str, which cannot travel between tasks", TYPES),
        (
            of_a_list_of_no_artifacts,
            "parameter 'x' of step has type typing.Annotated[list[int], 'mlopx-input'], "
            "which cannot travel between tasks",
            TYPES,
        ),
        (
            with_a_list_of_outputs,
            "output 'x' of step is a list of artifacts; a task writes a known number of them",
            "write one Output[...] for each, or make them in a Loop and collect them",
        ),
        (
            of_a_type_that_nobody_knows,
            "an annotation of step cannot be resolved: name 'Nothing' is not defined",
            ANNOTATE,
        ),
        (of_half_a_type, "an annotation of step cannot be resolved: type 'int' is not subscriptable", ANNOTATE),
        (with_a_default_of_another_type, "parameter 'x' of step is a int, but its default is 'three'", None),
        (
            with_a_default_that_is_no_json,
            "{1} (set) is not JSON",
            "arguments are texts, numbers, booleans, lists, dicts, or outputs of other tasks",
        ),
        (
            returning_what_cannot_travel,
            "step returns <class 'complex'>, which cannot travel between tasks",
            RETURNS,
        ),
        (returning_an_object, "step returns <class 'object'>, which cannot travel between tasks", RETURNS),
        (with_packages_as_a_text, "packages must be a list of requirements", 'write packages=["numpy"]'),
        (without_letters, "'42' cannot be made into a component name", "begin it with a letter"),
        (
            with_an_input_in_other_letters,
            "component 'step' is wrong: inputs.é: 'é' does not match ^[A-Za-z_][A-Za-z0-9_]{0,127}$",
            None,
        ),
        (
            using_what_lies_outside,
            "step uses FACTOR from outside; a component's function runs alone, somewhere else",
            RUNS_ALONE,
        ),
        (
            using_what_lies_around,
            "step uses factor from outside; a component's function runs alone, somewhere else",
            RUNS_ALONE,
        ),
        (
            using_it_as_a_default,
            "step uses FACTOR from outside; a component's function runs alone, somewhere else",
            RUNS_ALONE,
        ),
        (waiting, "step is no plain function", "use def, not async def"),
        (
            retried_less_than_never,
            "component 'step' is wrong: max_retries: Input should be greater than or equal to 0",
            None,
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_function_that_could_not_run_as_a_task_is_refused_where_it_is_decorated(
    told_at_once: Told, definition: Callable[[], None], said: str, hint: str | None
) -> None:
    error = told_at_once(definition)
    assert (error.message, error.hint) == (said, hint)


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (lambda: component("train"), "@component takes a function, not 'train'", "write @component(name='train')"),  # type: ignore[call-overload]
        (lambda: component(Shelf), "@component takes a function, not a type", "decorate a function written with def"),
        (
            lambda: component(functools.partial(print, 1)),
            "@component takes a function, not a partial",
            "decorate a function written with def",
        ),
        (
            lambda: component(lambda x: x),
            "a lambda cannot be a component",
            "write it as a function with def",
        ),
        (lambda: component(nam="x"), "@component has no setting 'nam'", "did you mean name=?"),  # type: ignore[call-overload]
        (
            lambda: component(cpu="lots")(plain),
            "'lots' is not a CPU amount such as \"500m\", 0.5 or 2",
            None,
        ),
        (
            lambda: component(timeout=0)(plain),
            "a time limit of 0 lets nothing run",
            'write "10m" or "2h"',
        ),
        (
            lambda: component(kind="cooking")(plain),
            "the workload hints are wrong: task_kind: "
            "Input should be 'preprocessing', 'training', 'evaluation', 'inference' or 'other'",
            None,
        ),
        (
            lambda: component(memory="2Gi", memory_limit="1Gi")(plain),
            "the memory limit '1Gi' is below the request '2Gi'",
            "raise the limit, or request less",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    told_at_once: Told, make: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told_at_once(make)
    assert (error.message, error.hint) == (said, hint)


def plain(x: int = 1) -> int:
    return x


def test_a_method_is_refused_by_its_full_name() -> None:
    with pytest.raises(DefinitionError) as caught:
        component(Shelf.take)
    assert (caught.value.message, caught.value.hint) == ("Shelf.take is a method", "a component is a plain function")


def test_a_function_that_no_file_holds_is_refused_with_advice() -> None:
    scope: dict[str, Any] = {}
    exec("def step(x: int) -> int:\n    return x\n", scope)
    with pytest.raises(DefinitionError) as caught:
        component(scope["step"])
    assert caught.value.message == "the source of step cannot be read"
    assert caught.value.where == "<string>:1"
    assert "not in an interactive prompt" in (caught.value.hint or "")


def test_annotations_become_ports() -> None:
    @component
    def step(
        info: TaskInfo,
        rate: float,
        names: list[str],
        pair: tuple[int, int],
        entries: dict[str, int],
        data: Input[Dataset],
        models: list[Input[Model]],
        others: Input[list[Model]],
        bare: Dataset,
        model: Output[Model],
        file: Output[Artifact],
        limit: float | None = None,
        title: Optional[str] = None,  # noqa: UP045 - people write this too
        words: List = (),  # type: ignore[type-arg, assignment]  # noqa: UP006
        base: Input[Model] = None,  # type: ignore[assignment]
    ) -> bool:
        return True

    assert step.spec.inputs == {
        "rate": ParameterInput(type="float"),
        "names": ParameterInput(type="list"),
        "pair": ParameterInput(type="list"),
        "entries": ParameterInput(type="dict"),
        "data": ArtifactInput(type="Dataset"),
        "models": ArtifactInput(type="Model", is_list=True),
        "others": ArtifactInput(type="Model", is_list=True),
        "bare": ArtifactInput(type="Dataset"),
        "limit": ParameterInput(type="float", optional=True),
        "title": ParameterInput(type="str", optional=True),
        "words": ParameterInput(type="list", optional=True, default=[]),
        "base": ArtifactInput(type="Model", optional=True),
    }
    assert step.spec.outputs == {
        "model": ArtifactOutput(type="Model"),
        "file": ArtifactOutput(type="Artifact"),
        "output": ParameterOutput(type="bool"),
    }


def test_the_fields_of_a_named_tuple_are_outputs_and_its_definition_travels() -> None:
    @component
    def evaluate() -> Scores:
        return Scores(0.5, [])

    assert evaluate.spec.outputs == {"accuracy": ParameterOutput(type="float"), "labels": ParameterOutput(type="list")}
    code = evaluate.spec.code
    assert isinstance(code, FunctionCode)
    made: dict[str, Any] = {"NamedTuple": NamedTuple, "Any": Any}
    exec(code.source, made)
    assert made["evaluate"]()._asdict() == {"accuracy": 0.5, "labels": []}


@pytest.mark.parametrize("returned", [None, type(None)])
def test_a_function_that_returns_nothing_has_no_outputs(returned: Any) -> None:
    def step() -> None: ...

    step.__annotations__["return"] = returned
    assert component(step).spec.outputs == {}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Train a model!", "train-a-model"),
        ("__train__2", "train-2"),
        ("Éclair", "clair"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_name_becomes_lower_case_letters_digits_and_hyphens(given: str, name: str) -> None:
    assert component(name=given)(plain).spec.name == name


def test_the_first_paragraph_of_the_docstring_describes_a_component() -> None:
    @component
    def step() -> None:
        """Say one thing.

        And then more.
        """

    assert step.spec.description == "Say one thing."
    assert component(description="Other words.")(plain).spec.description == "Other words."


def test_the_settings_of_a_component_are_what_its_tasks_begin_with() -> None:
    made = component(
        image="python:3.11", packages=["numpy"], cpu=0.5, memory="512Mi", timeout="10m", retries=2, kind="training"
    )(plain)
    assert (made.spec.image, made.spec.packages) == ("python:3.11", ("numpy",))
    assert made.defaults.resources == Resources(cpu_millicores=500, memory_bytes=512 * 2**20)
    assert made.defaults.timeout_seconds == 600
    assert made.defaults.retry == Retry(max_retries=2)
    assert made.defaults.kind == "training"
    assert component(retries=0)(plain).defaults.retry is None


def test_outside_of_a_pipeline_a_component_is_its_function() -> None:
    made = component(plain)
    assert (made(4), made(x=5), made()) == (4, 5, 1)


def test_a_component_within_a_function_travels_without_its_margin_and_with_its_texts_unchanged() -> None:
    @component
    def step() -> str:
        # a remark
        return """one
            two
  three"""

    code = step.spec.code
    assert isinstance(code, FunctionCode)
    assert code.source == 'def step() -> str:\n    # a remark\n    return """one\n            two\n  three"""\n'
    assert (code.file, code.entrypoint) == ("test_components.py", "step")


def test_a_component_may_use_what_it_imports_and_defines_itself() -> None:
    @component
    def step(x: int) -> list:
        import math

        class Box:
            size = x

        def inner(y: int) -> float:
            return math.sqrt(y) + Box.size

        return [inner(one) for one in range(x)]

    assert step.spec.outputs == {"output": ParameterOutput(type="list")}


def convert(**settings: Any) -> Component:
    ports: dict[str, Any] = {
        "inputs": {"rate": float, "data": Dataset},
        "outputs": {"model": Model, "score": float},
        "image": "example/convert:1",
    }
    return container_component("Convert data", **{**ports, **settings})


def test_a_container_component_is_its_command_with_places_to_fill() -> None:
    made = convert(
        command=["convert", input_path("data"), "--rate", input_value("rate")],
        args=[output_path("model"), output_path("score")],
        description="Convert.",
    )
    assert (made.spec.name, made.spec.description, made.spec.image) == ("convert-data", "Convert.", "example/convert:1")
    assert made.spec.code == ContainerCode(
        command=("convert", input_path("data"), "--rate", input_value("rate")),
        args=(output_path("model"), output_path("score")),
    )
    assert made.spec.inputs == {"rate": ParameterInput(type="float"), "data": ArtifactInput(type="Dataset")}
    assert made.spec.outputs == {"model": ArtifactOutput(type="Model"), "score": ParameterOutput(type="float")}


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (
            lambda: container_component("a", image="i", command=[input_value("rate")]),
            "the command speaks of 'rate', which is no input of the component",
            "the inputs are: none",
        ),
        (
            lambda: container_component("a", image="i", outputs={"m": Model}, command=[output_path("n")]),
            "the command speaks of 'n', which is no output of the component",
            "the outputs are: m",
        ),
        (
            lambda: container_component("a", image="i", inputs={"data": Dataset}, args=[input_value("data")]),
            "input 'data' is an artifact, whose value no command can hold",
            'write input_path("data")',
        ),
        (
            lambda: container_component("a", image="i", inputs={"rate": float}, args=[input_path("rate")]),
            "input 'rate' is a value, which lies in no file",
            'write input_value("rate")',
        ),
        (
            lambda: container_component("a", image="i", command=["sleep", 5]),
            "a command is made of texts and placeholders, not of 5",
            'write numbers as texts: "5"',
        ),
        (
            lambda: container_component("a", image="i", command="sleep 5"),
            "command must be a list of texts and placeholders",
            "write command=['sleep', '5']",
        ),
        (
            lambda: container_component("a", image="i", inputs={"models": list[Input[Model]]}),
            "port 'models' is a list of artifacts, for which no place in a command can stand",
            "give the command one port for each, or read the list in a Python function",
        ),
        (
            lambda: container_component("a", image="i", inputs={"x": complex}),
            "port 'x' has type <class 'complex'>, which cannot travel between tasks",
            "use str, int, float, bool, list, dict, or Dataset, Model, … for anything in a file",
        ),
        (
            lambda: container_component("a", image="i", inputs={"learning-rate": float}),
            "container component 'a' is wrong: inputs.learning-rate: "
            "'learning-rate' does not match ^[A-Za-z_][A-Za-z0-9_]{0,127}$",
            None,
        ),
        (
            lambda: container_component("a", image=""),
            "container component 'a' has no image",
            'write image="python:3.11"',
        ),
        (
            lambda: container_component("1", image="i"),
            "'1' cannot be made into a component name",
            "begin it with a letter",
        ),
        (
            lambda: convert()(rate=1.0),
            "container component 'convert-data' can only be used in a pipeline",
            "call it in a function with @pipeline",
        ),
    ],
)
def test_a_container_component_that_could_not_run_is_refused(
    told_at_once: Told, make: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told_at_once(make)
    assert (error.message, error.hint) == (said, hint)
