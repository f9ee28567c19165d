"""Specs as text: what is written is read back equal, and what is no spec of ours is refused with a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlopx.errors import SpecError
from mlopx.spec import (
    SPEC_VERSION,
    Component,
    Const,
    FunctionCode,
    Parameter,
    ParameterInput,
    PipelineSpec,
    Resources,
    Task,
    digest,
    json_schema,
    parse_spec,
    read_json,
    slug,
    to_json,
)

HINT = "build one with the library: `mlopx build FILE -o spec.json`"
STEP = Component(
    name="step",
    code=FunctionCode(source="def step(a): ...", entrypoint="step"),
    inputs={"a": ParameterInput(type="dict", optional=True)},
)
SPEC = PipelineSpec(
    version="1.0",
    name="flow",
    description="wörds – 和",
    parameters={"b": Parameter(type="int"), "a": Parameter(type="str", optional=True)},
    components={"step": STEP},
    tasks={"step": Task(component="step", resources=Resources(cpu_millicores=500), after=())},
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def document(**changes: Any) -> dict[str, Any]:
    """SPEC as JSON says it, with changes; None takes a key out."""
    found: dict[str, Any] = {**json.loads(to_json(SPEC)), **changes}
    return {key: value for key, value in found.items() if value is not None}


def refused(text: str | bytes) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert "Traceback" not in str(caught.value)
    return caught.value


def test_a_spec_is_read_back_as_it_was_written() -> None:
    assert parse_spec(to_json(SPEC)) == SPEC
    assert parse_spec(to_json(SPEC).encode()) == SPEC


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), st.text(max_size=20), st.integers(-1000, 1000))
def test_whatever_stands_in_a_spec_survives_the_way_to_text_and_back(
    value: dict[str, Any], words: str, priority: int
) -> None:
    task = Task(component="step", arguments={"a": Const(value=value)}, environment={"WORDS": words})
    made = SPEC.model_copy(update={"tasks": {"step": task}, "description": words})
    made = PipelineSpec.model_validate({**made.model_dump(), "run": {"priority": priority}})
    again = parse_spec(to_json(made))
    assert again == made
    assert to_json(again) == to_json(made)
    assert digest(again) == digest(made)


def test_the_text_is_readable_complete_and_leaves_out_what_goes_without_saying() -> None:
    text = to_json(SPEC)
    assert text.endswith("}\n")
    assert "wörds – 和" in text
    assert json.loads(text)["tasks"] == {"step": {"component": "step", "resources": {"cpu_millicores": 500}}}
    assert list(json.loads(text)["parameters"]) == ["b", "a"]


def test_the_digest_is_that_of_equal_specs_only() -> None:
    assert digest(SPEC) == digest(parse_spec(to_json(SPEC)))
    assert digest(SPEC) == digest(parse_spec(json.dumps(document(exit_task=None, scopes={}), indent=None)))
    others = [
        document(name="other"),
        document(description="words"),
        document(tasks={"again": {"component": "step"}}),
        document(components={"step": {**STEP.model_dump(), "image": "python"}}),
    ]
    assert len({digest(SPEC), *(digest(parse_spec(json.dumps(one))) for one in others)}) == 5


def test_the_digest_stays_what_it_is_from_version_to_version() -> None:
    assert digest(SPEC) == "sha256:e224dd674a609068b8bbefa2ee5579a13c8da92db0956ebcc2e75c2f0e95f657"


@pytest.mark.parametrize(
    "text", ["", "hello", "{", b"\xff\xfe", '{"a": NaN}', '{"a": 1e999}', '{"a": 1, "a": 2}', "[" * 99_999]
)
def test_what_is_no_json_is_no_spec(text: str | bytes) -> None:
    error = refused(text)
    assert error.message.startswith("this is not a pipeline spec: it cannot be read as JSON (")
    assert len(error.message) < 200
    assert error.hint == HINT


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"kind": "Pod"}'])
def test_json_of_another_kind_is_no_spec(text: str) -> None:
    error = refused(text)
    assert error.message == 'this is not a pipeline spec: it has no "kind": "mlopx.PipelineSpec"'
    assert error.hint == HINT


@pytest.mark.parametrize(
    ("version", "said", "hint"),
    [
        ("2.0", "the pipeline spec is of version 2.0; this side reads 1.x", "upgrade the server"),
        ("0.9", "the pipeline spec is of version 0.9; this side reads 1.x", "rebuild it with a current library"),
        (None, "the pipeline spec has no readable version (found None)", HINT),
        (1.0, "the pipeline spec has no readable version (found 1.0)", HINT),
        ("one", "the pipeline spec has no readable version (found 'one')", HINT),
        ("1.x", "the pipeline spec is malformed:\n  version: String should match pattern '^\\d+\\.\\d+$'", HINT),
    ],
)
def test_a_version_that_cannot_be_read_is_refused_with_what_to_do(version: Any, said: str, hint: str) -> None:
    error = refused(json.dumps(document(version=version)))
    assert (error.message, error.hint) == (said, hint)


@pytest.mark.parametrize("version", [SPEC_VERSION, "1.7"])
def test_a_newer_minor_version_is_read_where_it_can_be(version: str) -> None:
    assert parse_spec(json.dumps(document(version=version))).version == version


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "  colour: Extra inputs are not permitted"),
        ({"tasks": {"step": {"component": "step", "cpu": 2}}}, "  tasks.step.cpu: Extra inputs are not permitted"),
        ({"name": "My Flow"}, "  name: String should match pattern"),
        ({"name": None}, "  name: Field required"),
        ({"tasks": {}}, "  tasks: Dictionary should have at least 1 item"),
        (
            {"tasks": {"step": {"component": "step", "resources": {"cpu_millicores": 9, "cpu_limit_millicores": 1}}}},
            "  tasks.step.resources: Value error, the CPU limit 1m is below the request 9m",
        ),
        (
            {"tasks": {"step": {"component": "step", "arguments": {"a": {"kind": "magic"}}}}},
            "  tasks.step.arguments.a: Input tag",
        ),
    ],
)
def test_an_unknown_key_or_a_bad_value_is_told_with_its_place(changes: dict[str, Any], said: str) -> None:
    error = refused(json.dumps(document(**changes)))
    assert error.message.startswith("the pipeline spec is malformed:\n")
    assert said in error.message
    assert error.hint == HINT


def test_of_very_many_mistakes_the_first_are_told_and_the_rest_counted() -> None:
    error = refused(json.dumps(document(**{f"key{number}": 1 for number in range(30)})))
    assert len(error.message.splitlines()) == 22
    assert error.message.endswith("\n  … and 10 more")


def test_a_spec_that_breaks_a_rule_is_refused_when_it_is_read() -> None:
    error = refused(json.dumps(document(tasks={"step": {"component": "gone"}})))
    assert error.message == (
        "the pipeline spec breaks its own rules:\n  tasks.step: its component 'gone' does not exist"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {"b": 1, "b": 2}}', "'b' stands twice in one object"),
        ("[-Infinity]", "-Infinity is no number that JSON knows"),
        ("1e400", "the number 1e400 is too large"),
        (b'"\xff"', "it is not UTF-8 text at byte 1"),
        ('"\\ud800"', "it has half of a character: \\ud800 to \\udfff only make sense in pairs"),
        ("[" * 99_999, "it is nested too deeply"),
    ],
)
def test_json_is_read_strictly(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_json(text)
    assert str(caught.value) == said


def test_the_published_schema_names_its_dialect_and_refuses_unknown_keys() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert {"version", "name", "tasks"} <= set(schema["required"])


@pytest.mark.parametrize(
    ("text", "name"), [("train_model", "train-model"), ("My  Flow!", "my-flow"), ("_a_", "a"), ("x" * 90, "x" * 63)]
)
def test_a_title_becomes_a_name(text: str, name: str) -> None:
    assert slug(text) == name


def test_a_spec_cannot_be_changed_once_it_is_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SPEC.name = "other"  # type: ignore[misc]  # specs are frozen: that it fails is the test
