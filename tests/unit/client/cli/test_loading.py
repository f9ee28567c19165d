"""Which pipeline a file holds: by its ending, its content, and where it defines several, by which is the outermost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlopx import component, pipeline
from mlopx.cli.loading import _choose, load_pipeline, load_spec
from mlopx.errors import DefinitionError, UsageError
from mlopx.remote import ForeignPipeline
from mlopx.spec import to_json

FOREIGN = '{"root": {"dag": {}}, "schemaVersion": "2.1.0"}'


@component
def step(a: int) -> int:
    return a


@pipeline
def inner(a: int = 1):
    step(a=a)


@pipeline(name="whole-flow")
def outer():
    inner(a=2)


@pipeline
def another():
    step(a=3)


def test_a_spec_that_was_built_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    path.write_text(to_json(inner.build()))
    assert load_spec(path) == inner.build()


@pytest.mark.parametrize("name", ["flow.yaml", "flow.yml", "flow.json"])
def test_a_compiled_kubeflow_pipeline_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FOREIGN)
    assert load_pipeline(path) == ForeignPipeline(name, FOREIGN)


def test_where_a_spec_of_ours_is_needed_a_kubeflow_file_is_refused_with_what_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(FOREIGN)
    with pytest.raises(UsageError, match="holds a pipeline of Kubeflow; here a definition file") as caught:
        load_spec(path)
    assert caught.value.hint == "`mlopx submit`, `mlopx plan` and `mlopx-server place` take it"


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match=r"^there is no file gone\.py$"):
        load_pipeline(Path("gone.py"))


def test_a_process_that_ends_without_a_word_is_told_with_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 9\n")
    program.chmod(0o755)
    path = tmp_path / "flow.py"
    path.touch()
    monkeypatch.setattr("mlopx.cli.loading.sys.executable", str(program))
    with pytest.raises(DefinitionError) as caught:
        load_pipeline(path)
    assert caught.value.message == f"{path} could not be loaded: its process ended with 9:\nno memory"
    assert caught.value.hint == f"does `python {path} --dry-run` work?"


def test_of_several_pipelines_the_one_that_uses_the_others_is_meant() -> None:
    assert _choose([inner, outer, inner], "", "flow.py") is outer
    assert _choose([another, another], "", "flow.py") is another


@pytest.mark.parametrize(("name", "chosen"), [("inner", inner), ("whole-flow", outer), ("outer", outer)])
def test_a_pipeline_may_be_named_as_itself_or_as_its_function(name: str, chosen: object) -> None:
    assert _choose([inner, outer, another], name, "flow.py") is chosen


@pytest.mark.parametrize(
    ("found", "name", "said"),
    [
        ([], "", "flow.py defines no pipeline\n  hint: decorate the function that makes it with @pipeline"),
        (
            [inner, another],
            "",
            "flow.py defines these pipelines: inner, another\n  hint: say which with --pipeline NAME",
        ),
        (
            [inner, outer],
            "gone",
            "flow.py defines no pipeline 'gone', but these: inner, whole-flow\n  hint: say which with --pipeline NAME",
        ),
    ],
)
def test_where_it_is_not_clear_which_is_meant_those_that_are_there_are_named(
    found: list[object], name: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _choose(found, name, "flow.py")
    assert str(caught.value) == said
