"""Parameters on the command line: typed by what the pipeline declares, or refused with what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlopx.cli.parameters import read_parameters, read_texts
from mlopx.errors import UsageError
from mlopx.spec import Component, FunctionCode, Parameter, PipelineSpec, Task

TYPES: dict[str, Any] = {
    "word": "str",
    "count": "int",
    "rate": "float",
    "is_on": "bool",
    "names": "list",
    "table": "dict",
}
SPEC = PipelineSpec(
    version="1.0",
    name="flow",
    parameters={name: Parameter(type=kind) for name, kind in TYPES.items()},
    components={"step": Component(name="step", code=FunctionCode(source="...", entrypoint="step"))},
    tasks={"step": Task(component="step")},
)


@pytest.mark.parametrize(
    ("pair", "found"),
    [
        ("word=7", {"word": "7"}),
        ("word=a=b", {"word": "a=b"}),
        ("word=", {"word": ""}),
        ("count=7", {"count": 7}),
        ("rate=7", {"rate": 7}),
        ("is_on=TRUE", {"is_on": True}),
        ('names=["a"]', {"names": ["a"]}),
        ('table={"A": null}', {"table": {"A": None}}),
    ],
)
def test_a_value_is_read_as_its_parameters_type(pair: str, found: dict[str, Any]) -> None:
    assert read_parameters(SPEC, [pair], None) == found


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("count", "'count' is not NAME=VALUE\n  hint: write -p lr=0.1"),
        ("=7", "'=7' is not NAME=VALUE\n  hint: write -p lr=0.1"),
        ("count=7.5", "parameter 'count' expects int, not '7.5'"),
        ("count=true", "parameter 'count' expects int, not 'true'"),
        ("is_on=1", "parameter 'is_on' expects bool, not '1'"),
        ("rate=NaN", "parameter 'rate' expects float, not 'NaN'"),
        ("names=a,b", "parameter 'names' expects list, not 'a,b'"),
        (
            "gone=1",
            "the pipeline has no parameter 'gone'\n  hint: it has: count, is_on, names, rate, table, word",
        ),
    ],
)
def test_what_does_not_fit_is_told(pair: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_parameters(SPEC, [pair], None)
    assert str(caught.value) == said


def test_what_is_typed_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "parameters.json"
    path.write_text('{"count": 1, "word": "a"}')
    assert read_parameters(SPEC, ["count=2"], path) == {"count": 2, "word": "a"}
    assert read_texts(["count=2"], path) == {"count": "2", "word": "a"}


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1]", "must hold a JSON object of names and values"), ('{"a": 1, "a": 2}', "is not JSON: 'a' stands twice")],
)
def test_a_parameter_file_that_cannot_be_meant_is_told_by_name(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "parameters.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        read_parameters(SPEC, [], path)
    assert caught.value.message.startswith(f"the parameter file {path} {said}")


def test_a_parameter_file_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match=r"the parameter file gone\.json cannot be read: No such file or directory"):
        read_parameters(SPEC, [], Path("gone.json"))
