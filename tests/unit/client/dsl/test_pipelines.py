"""Pipelines: parameters, nesting, hints, and that the same definition always gives the same spec.

Where a line tells mypy or ruff to overlook something, that mistake is what the test is about.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlopx import (
    Dataset,
    Elif,
    Else,
    If,
    Input,
    Loop,
    Model,
    Output,
    collect,
    component,
    node_label,
    on_exit,
    one_of,
    option,
    pipeline,
)
from mlopx.errors import DefinitionError
from mlopx.spec import (
    Collect,
    Const,
    OutputRef,
    Param,
    Parameter,
    PipelineScope,
    PipelineSpec,
    RunDefaults,
    WorkloadHints,
    to_json,
)

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]


@component
def score(x: int = 1) -> float:
    return float(x)


@component
def load(*, data: Output[Dataset]) -> None: ...


@component
def train(data: Input[Dataset], *, model: Output[Model]) -> None: ...


@component
def merge(models: list[Input[Model]]) -> float:
    return 0.0


@pipeline
def doubled(x: int, y: int = 2) -> Any:
    return score(x=y)


@pipeline
def fitted(data: Input[Dataset]) -> Any:
    return train(data=data).outputs.model


@pipeline
def judged(models: list[Input[Model]]) -> Any:
    return {"score": merge(models=models), "constant": 3}


@pipeline
def ending() -> None:
    score()
    on_exit(score())


def body() -> None:
    score()


def without_a_type() -> None:
    @pipeline  # here
    def flow(x) -> None: ...  # type: ignore[no-untyped-def]


def of_a_type_that_cannot_travel() -> None:
    @pipeline  # here
    def flow(x: complex) -> None: ...


def with_an_output() -> None:
    @pipeline  # here
    def flow(x: Output[Model]) -> None: ...


def of_a_type_that_nobody_knows() -> None:
    @pipeline  # here
    def flow(x: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def many_values() -> None:
    @pipeline  # here
    def flow(*x: int) -> None: ...


def by_position() -> None:
    @pipeline  # here
    def flow(x: int, /) -> None: ...


def with_a_default_of_another_type() -> None:
    @pipeline  # here
    def flow(x: int = "three") -> None: ...  # type: ignore[assignment]


def without_letters() -> None:
    @pipeline(name="2026")  # here
    def flow() -> None: ...


def of_a_priority_in_words() -> None:
    @pipeline(priority="high")  # type: ignore[arg-type]  # here
    def flow() -> None: ...


def without_tasks() -> None:
    @pipeline  # here
    def flow() -> None: ...

    flow.build()


def of_artifacts_only() -> None:
    @pipeline  # here
    def flow(data: Input[Dataset]) -> None:
        train(data=data)

    flow.build()


NEEDS_TYPE = "pipeline parameter 'x' needs a type: str, int, float, bool, list or dict"
TYPES = "write x: float, or x: Input[Dataset] for what another pipeline gives it"
NAMELESS = "leave out the / or * in the function's parameters"


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (without_a_type, NEEDS_TYPE, TYPES),
        (
            of_a_type_that_cannot_travel,
            NEEDS_TYPE,
            TYPES,
        ),
        (with_an_output, NEEDS_TYPE, TYPES),
        (
            of_a_type_that_nobody_knows,
            "an annotation of flow cannot be resolved: name 'Nothing' is not defined",
            "annotate with str, int, float, bool, list, dict, Input[...] or Output[...]",
        ),
        (many_values, "pipeline parameter 'x' has no name to give it by", NAMELESS),
        (by_position, "pipeline parameter 'x' has no name to give it by", NAMELESS),
        (with_a_default_of_another_type, "pipeline parameter 'x' is a int, but its default is 'three'", None),
        (without_letters, "'2026' cannot be made into a pipeline name", "begin it with a letter"),
        (
            of_a_priority_in_words,
            "the run settings are wrong: priority: "
            "Input should be a valid integer, unable to parse string as an integer",
            None,
        ),
        (without_tasks, "pipeline 'flow' has no tasks", "call a component in its function"),
        (
            of_artifacts_only,
            "pipeline 'flow' takes artifacts (data), so it cannot run alone",
            "call it inside another pipeline, whose tasks make these artifacts",
        ),
        (lambda: pipeline("flow"), "@pipeline takes a function, not 'flow'", "write @pipeline(name='flow')"),  # type: ignore[call-overload]
        (
            lambda: pipeline(score),
            "@pipeline takes a function, not a Component",
            "decorate a function written with def",
        ),
        (
            lambda: pipeline(functools.partial(body)),
            "@pipeline takes a function, not a partial",
            "decorate a function written with def",
        ),
        (lambda: pipeline(owner="me"), "@pipeline has no setting 'owner'", None),  # type: ignore[call-overload]
        (
            lambda: pipeline(deadline="soon")(body),
            '\'soon\' is not a time span such as 90, "200ms", "10m" or "2h"',
            None,
        ),
        (lambda: pipeline(deadline=0)(body), "a time limit of 0 lets nothing run", 'write "10m" or "2h"'),
        (
            lambda: doubled(1),
            "pipeline 'doubled' is not run by calling it",
            "use doubled.submit(...), .run(...) or .build()",
        ),
        (
            lambda: pipeline(hints=5)(body),  # type: ignore[arg-type]
            "hints are a file's name or a dict, not 5",
            'write hints="metadata.json", or a dict of components_type, dataset and model',
        ),
        (
            lambda: pipeline(hints={"data": {}})(body),
            "the metadata has unknown entries: data",
            "it holds components_type, dataset and model",
        ),
        (
            lambda: pipeline(hints={"components_type": ["score"]})(body),
            "components_type must map task names to kinds of work",
            None,
        ),
        (
            lambda: pipeline(hints={"components_type": {"score": "cooking"}})(body),
            "the workload hints are wrong: task_kind: "
            "Input should be 'preprocessing', 'training', 'evaluation', 'inference' or 'other'",
            None,
        ),
        (
            lambda: pipeline(hints={"dataset": {"colour": "red"}})(body),
            "the workload hints are wrong: colour: Extra inputs are not permitted",
            None,
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_pipeline_that_cannot_be_is_refused_at_its_line(
    told_at_once: Told, definition: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told_at_once(definition)
    assert error.message == said
    assert hint is None or error.hint == hint


@pytest.mark.parametrize(
    ("definition", "said", "hint"),
    [
        (lambda: doubled(), "nested pipeline 'doubled': missing a required argument: 'x'", None),
        (lambda: doubled(1, 2, 3), "nested pipeline 'doubled': too many positional arguments", None),
        (lambda: doubled(1, z=3), "nested pipeline 'doubled': got an unexpected keyword argument 'z'", None),
        (lambda: doubled("one"), "doubled: 'x' expects int, but 'one' is given", None),
        (lambda: fitted("data.csv"), "fitted: 'data' expects an artifact (Dataset), but 'data.csv' is given", None),
        (lambda: fitted(score()), "fitted: 'data' expects an artifact (Dataset), but a float is given", None),
        (lambda: fitted(fitted(load())), "fitted: 'data' expects an artifact (Dataset), but a Model is given", None),
        (
            lambda: judged(train(load())),
            "judged: 'models' expects a list of Model artifacts, but a Model is given",
            None,
        ),
        (
            lambda: ending(),
            "nested pipeline 'ending' has an exit task; only the outermost can",
            "call on_exit in the outermost pipeline",
        ),
        (
            lambda: json.loads("{"),
            "building pipeline 'lambda' failed: JSONDecodeError: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
            None,
        ),
        (lambda: 1 / 0, "building pipeline 'lambda' failed: ZeroDivisionError: division by zero", None),
        (
            lambda: score(x=score().output + 1),
            "building pipeline 'lambda' failed: TypeError: unsupported operand type(s) for +: 'Handle' and 'int'",
            "what a task made, only the run will know: compute with it in a task, and compare its .output in an If",
        ),
    ],
)
def test_what_goes_wrong_in_a_pipelines_function_is_told_at_its_line(
    told: Told, definition: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told(definition)
    assert (error.message, error.hint) == (said, hint)


def test_an_error_without_a_line_of_the_users_names_the_pipeline() -> None:
    @pipeline
    def flow(x: int = 1) -> None:
        score(x=x)

    flow.function = int
    with pytest.raises(DefinitionError) as caught:
        flow.build()
    assert caught.value.where == flow.where


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON: Expecting property name"),
        ("[]", "must hold a JSON object"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_metadata_file_that_cannot_be_used_is_refused(
    told_at_once: Told, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "metadata.json"
    if text is not None:
        file.write_text(text)
    error = told_at_once(lambda: pipeline(hints=file)(body))
    assert error.message.startswith(f"the metadata file {file} {said}")


def test_a_metadata_file_says_what_kinds_of_work_the_tasks_are(tmp_path: Path) -> None:
    @component(kind="other")
    def rest() -> None: ...

    def flow() -> None:
        score()
        rest()
        rest().hints(kind="inference")
        rest().hints(operations=5.0)

    file = tmp_path / "metadata.json"
    file.write_text(json.dumps({"components_type": {"score": "training"}, "dataset": {"name": "adult"}}))
    spec = pipeline(hints=str(file))(flow).build()
    kinds = {path: task.hints.task_kind for path, task in spec.tasks.items() if task.hints}
    assert kinds == {"score": "training", "rest": "other", "rest-2": "inference", "rest-3": "other"}
    assert spec.tasks["rest-3"].hints == WorkloadHints(task_kind="other", operations=5.0)
    assert spec.hints is not None
    assert spec.hints.dataset is not None
    assert spec.hints.dataset.name == "adult"


def test_kinds_of_work_are_told_by_task_as_it_is_written_or_as_it_is_shown() -> None:
    @component
    def two_words() -> None: ...

    def flow() -> None:
        two_words()

    for name in ("two_words", "two-words"):
        spec = pipeline(hints={"components_type": {name: "training"}})(flow).build()
        assert spec.tasks["two-words"].hints == WorkloadHints(task_kind="training")


def test_kinds_of_work_of_tasks_that_are_not_there_are_refused() -> None:
    with pytest.raises(DefinitionError) as caught:
        pipeline(hints={"components_type": {"score": "training", "scores": "other"}})(body).build()
    assert caught.value.message == "components_type in the hints names 'scores', which is no task of the pipeline"
    assert caught.value.hint == "its tasks are: score"
    assert "test_pipelines.py:" in (caught.value.where or "")


def test_parameters_have_types_and_defaults(build: Build) -> None:
    def flow(
        x: int, rate: float = 1, names: list[str] | None = None, on: bool = True, pair: tuple[int, int] = (1, 2)
    ) -> None:
        score(x=x)

    assert build(flow).parameters == {
        "x": Parameter(type="int"),
        "rate": Parameter(type="float", optional=True, default=1),
        "names": Parameter(type="list", optional=True),
        "on": Parameter(type="bool", optional=True, default=True),
        "pair": Parameter(type="list", optional=True, default=[1, 2]),
    }


def test_name_description_and_run_settings_come_from_the_decorator_or_the_function() -> None:
    @pipeline
    def my_flow_2() -> None:
        """Score once.

        Not twice.
        """
        score()

    told = pipeline(name="My flow", description="Other.", priority=3, project="ml", deadline="2h")(body).build()
    plain = my_flow_2.build()
    assert (plain.name, plain.description, plain.run) == ("my-flow-2", "Score once.", RunDefaults())
    assert (told.name, told.description) == ("my-flow", "Other.")
    assert told.run == RunDefaults(priority=3, project="ml", deadline_seconds=7200)


def test_a_nested_pipeline_is_a_scope_with_its_own_names(build: Build) -> None:
    def flow(z: int = 5) -> None:
        first = doubled(1)
        second = doubled(x=z, y=z)
        score(x=1).after(first, second).named("last")
        with Loop([1, 2]) as item:
            doubled(item)

    spec = build(flow)
    assert list(spec.tasks) == ["doubled/score", "doubled-2/score", "last", "doubled-3/score"]
    assert spec.scopes["doubled"] == PipelineScope(pipeline="doubled")
    assert spec.scopes["doubled-3"] == PipelineScope(parent="loop-1", pipeline="doubled")
    assert spec.tasks["doubled/score"].arguments == {"x": Const(value=2)}
    assert spec.tasks["doubled-2/score"].arguments == {"x": Param(name="z")}
    assert spec.tasks["last"].after == ("doubled/score", "doubled-2/score")


def test_artifacts_go_into_and_out_of_nested_pipelines(build: Build) -> None:
    def flow() -> None:
        data = load()
        with Loop([1, 2]):
            found = fitted(data)
        judged(models=collect(found.output)).outputs["score"]
        fitted(data=data.output)

    spec = build(flow)
    assert spec.tasks["fitted/train"].arguments == {"data": OutputRef(task="load", port="data")}
    assert spec.tasks["judged/merge"].arguments == {"models": Collect(task="fitted/train", port="model")}


def test_pipelines_nest_in_nested_pipelines(build: Build) -> None:
    @pipeline
    def outer(x: int) -> Any:
        return doubled(x)

    def flow() -> None:
        found = outer(1)
        with If(found.output > 1):
            score()

    spec = build(flow)
    assert list(spec.tasks) == ["outer/doubled/score", "score"]
    assert spec.scopes["outer/doubled"] == PipelineScope(parent="outer", pipeline="doubled")


def test_building_twice_gives_the_same_text() -> None:
    @pipeline(priority=2, hints={"components_type": {"score": "training"}, "dataset": {"name": "adult"}})
    def flow(limit: float = 0.5, names: list = ["a", "b"]) -> None:  # type: ignore[type-arg]  # noqa: B006
        first = score().request(cpu=1, memory="1Gi").on(node_label("zone").is_in("b", "a")).env(B="1", A="2")
        with If(first.output > limit):
            left = score(x=1)
        with Elif(first.output > 0):
            right = score(x=2).any_of(option("a", cpu=1), option("b", cpu=2))
        with Else():
            other = score(x=3)
        with Loop(names, width=2):
            fitted(load())
        score().after(score()).retry(2)
        merged = one_of(left.output, right.output, other.output)
        with If(merged > 1):
            doubled(1)

    first, second = flow.build(), flow.build()
    assert first == second
    assert to_json(first) == to_json(second)


def test_a_build_that_failed_leaves_nothing_behind() -> None:
    @pipeline
    def broken() -> None:
        score()
        with Loop([1, 2]):
            raise ValueError("not today")

    @pipeline
    def sound() -> None:
        score()

    with pytest.raises(DefinitionError, match="not today"):
        broken.build()
    assert score(x=2) == 2.0
    assert list(sound.build().tasks) == ["score"]
