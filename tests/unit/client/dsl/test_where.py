"""The place that an error names is the user's line, whatever lies between it and the error."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest

import mlopx.remote
from mlopx import If, Loop, component, pipeline
from mlopx.dsl import where
from mlopx.dsl.types import artifact_type
from mlopx.dsl.where import here, raised_at, shown
from mlopx.errors import DefinitionError
from mlopx.spec import OutputRef, PipelineSpec

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]


@component
def score(x: int = 1) -> float:
    return float(x)


@component
def merge(values: list, first: float, second: float) -> None: ...


@pipeline
def flow(x: int = 1) -> None:
    score(x=x)


@pipeline
def inner() -> Any:
    return score()


def through_a_stack_of_contexts() -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(Loop([]))  # here


def through_a_mapped_call() -> None:
    list(map(score, ["one"]))  # here


def through_a_context_of_the_users() -> None:
    @contextlib.contextmanager
    def only_good() -> Iterator[None]:
        with If():  # here
            yield

    with only_good():
        score()


@pytest.mark.parametrize(
    "definition", [through_a_stack_of_contexts, through_a_mapped_call, through_a_context_of_the_users]
)
def test_pythons_own_library_is_never_the_place(told: Told, definition: Callable[[], None]) -> None:
    told(definition)


def test_what_an_installed_package_raises_is_told_at_the_line_that_calls_it(told: Told) -> None:
    def definition() -> None:
        httpx.URL("http://server:port")  # here

    assert "InvalidURL" in told(definition).message


def test_a_package_of_pipelines_that_is_installed_is_a_place_too(tmp_path: Path) -> None:
    file = tmp_path / "site-packages" / "flows.py"
    file.parent.mkdir()
    file.write_text("def act(): 1 / 0\nact()\n")
    with pytest.raises(ZeroDivisionError) as caught:
        compile_and_run(file)
    assert raised_at(caught.value) == f"{shown(__file__)}:{compile_and_run.__code__.co_firstlineno + 1}"
    caught.value.__traceback__ = caught.value.__traceback__ and caught.value.__traceback__.tb_next
    while caught.value.__traceback__ and caught.value.__traceback__.tb_frame.f_code.co_filename != str(file):
        caught.value.__traceback__ = caught.value.__traceback__.tb_next
    assert raised_at(caught.value) == f"{file}:1"


def compile_and_run(file: Path) -> None:
    exec(compile(file.read_text(), str(file), "exec"), {})


def test_an_error_that_no_line_of_the_users_raised_has_no_place() -> None:
    assert raised_at(ValueError("never raised")) is None


def test_files_in_the_working_folder_are_named_as_they_lie_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(str(tmp_path / "flows" / "a.py")) == os.path.join("flows", "a.py")
    assert shown("/elsewhere/a.py") == "/elsewhere/a.py"


def test_a_file_on_another_drive_is_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise ValueError(f"path is on mount {path}, start on mount C:")

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert shown("D:/a.py") == "D:/a.py"


def test_where_no_frame_is_the_users_there_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "_is_users", lambda name: False)
    assert here() is None


def test_here_is_the_line_that_asks() -> None:
    place = here()
    assert place == f"{shown(__file__)}:{test_here_is_the_line_that_asks.__code__.co_firstlineno + 1}"


def test_a_folder_beside_the_library_of_a_like_name_is_the_users() -> None:
    file = f"{Path(mlopx.__file__).parent}_flows/a.py"
    scope: dict[str, Any] = {"here": here}
    exec(compile("\nplace = here()", file, "exec"), scope)
    assert scope["place"] == f"{shown(file)}:2"


def test_handles_can_be_copied_and_asked_for_attributes_of_pythons_own(build: Build) -> None:
    def definition() -> None:
        task, nested = score(), inner()
        for one in (task, task.output, nested, task.outputs):
            assert not hasattr(one, "__array__")
            assert copy.copy(one) is not one
        with Loop([{"a": 1}]) as item:
            assert not hasattr(item, "__array__")
            score(x=item["a"])
            score(x=item.a)

    tasks = build(definition).tasks
    assert tasks["score-2"].arguments == tasks["score-3"].arguments


def test_what_a_nested_pipeline_returns_is_read_by_name_or_alone(build: Build) -> None:
    @pipeline
    def several() -> Any:
        return {"task": score(), "nested": inner(), "value": score().output, "constant": 3}

    @pipeline
    def passed_on() -> Any:
        return several()

    def definition() -> None:
        merge(values=[1], first=passed_on().outputs["nested"], second=several().outputs.task)
        merge(values=[1], first=inner(), second=inner().outputs["output"])

    arguments = build(definition).tasks["merge"].arguments
    assert arguments["first"] == OutputRef(task="passed-on/several/inner/score", port="output")
    assert arguments["second"] == OutputRef(task="several/score", port="output")
    with pytest.raises(DefinitionError, match="has no output 'constant'"):
        build(lambda: several().outputs["constant"])


def test_a_mark_of_someone_elses_is_no_artifact() -> None:
    assert artifact_type(Annotated[int, "a remark"]) is None


def test_a_pipeline_is_submitted_with_its_arguments_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Handle:
        def wait(self) -> None:
            sent.append("waited")

    def submit(spec: PipelineSpec, arguments: Mapping[str, Any] | None, **options: Any) -> Handle:
        sent.append((spec.name, arguments, options))
        return Handle()

    monkeypatch.setattr(mlopx.remote, "submit", submit)
    flow.submit({"x": 2}, priority=3)
    flow.run()
    assert sent == [("flow", {"x": 2}, {"priority": 3}), ("flow", None, {}), "waited"]


def test_a_definition_file_prints_its_spec_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    flow.main(["--dry-run"])
    assert '"name": "flow"' in capsys.readouterr().out
