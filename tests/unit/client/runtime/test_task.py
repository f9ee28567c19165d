"""What runs inside a task: arguments in, outputs out, and failures told in the user's own terms."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mlopx.runtime import compressed, run, source

INT = {"kind": "parameter", "type": "int"}
Manifest = dict[str, Any]


def manifest(body: str, inputs: Manifest | None = None, outputs: Manifest | None = None, **more: Any) -> Manifest:
    """The manifest of a task whose code is `body`, in which the function is called `step`."""
    return {
        "task": "step",
        "source": textwrap.dedent(body),
        "entrypoint": "step",
        "inputs": inputs or {},
        "outputs": outputs or {},
        **more,
    }


def returned(body: str, **types: str) -> Manifest:
    """The result of a function without inputs that returns parameters of these types."""
    return run(manifest(body, outputs={name: {"kind": "parameter", "type": one} for name, one in types.items()}))


def values(result: Manifest) -> dict[str, Any]:
    assert result["error"] is None
    assert result["state"] == "succeeded"
    return {name: output["value"] for name, output in result["outputs"].items()}


def failure(result: Manifest) -> dict[str, Any]:
    assert result["state"] == "failed"
    assert result["outputs"] == {}
    found: dict[str, Any] = result["error"]
    return found


def test_a_function_gets_its_arguments_by_name_and_its_value_is_the_output() -> None:
    given = {"b": {"kind": "parameter", "value": [1, 2]}, "a": {"kind": "parameter", "value": 3}}
    result = run(manifest("def step(a, *, b, c=10): return a * sum(b) + c", given, {"output": INT}))
    assert values(result) == {"output": 19}
    assert result["peak_memory_bytes"] > 1 << 20


@pytest.mark.parametrize(
    "last",
    ["return (1, 'x')", "return [1, 'x']", "return {'word': 'x', 'count': 1}", "return Both(count=1, word='x')"],
)
def test_several_outputs_come_as_a_tuple_a_dict_or_a_named_tuple(last: str) -> None:
    body = f"""
    class Both(NamedTuple):
        count: int
        word: str
    def step() -> Both:
        {last}
    """
    assert values(returned(body, count="int", word="str")) == {"count": 1, "word": "x"}


def test_a_named_tuple_is_read_by_its_names_not_by_its_order() -> None:
    body = "def step(): return NamedTuple('Both', [('word', str), ('count', int)])('x', 1)"
    assert values(returned(body, count="int", word="str")) == {"count": 1, "word": "x"}


@pytest.mark.parametrize("last", ["1", "(1, 2, 3)", "{'a': 1}", "None"])
def test_another_number_of_values_than_promised_fails_with_what_to_return(last: str) -> None:
    error = failure(returned(f"def step(): return {last}", a="int", b="int"))
    assert error["kind"] == "output"
    assert error["message"].startswith("the function must return 2 values (a, b), but it returned ")
    assert error["hint"] == "return a NamedTuple, a tuple in that order, or a dict with those keys"
    assert error["traceback"] == ""


@pytest.mark.parametrize(
    ("last", "wanted", "got"),
    [
        ("'1'", "int", "str: '1'"),
        ("True", "int", "bool: True"),
        ("1", "bool", "int: 1"),
        ("1.5", "int", "float: 1.5"),
        ("None", "str", "nothing (None)"),
        ("[1]", "dict", "list: [1]"),
        ("'x' * 5000", "int", "str: 'xxx"),
    ],
)
def test_a_value_of_another_type_than_promised_fails_and_is_shown(last: str, wanted: str, got: str) -> None:
    error = failure(returned(f"def step(): return {last}", output=wanted))
    assert error["message"].startswith(f"output 'output' must be of type {wanted}, but the function returned {got}")
    assert len(error["message"]) < 400


@pytest.mark.parametrize("last", ["float('nan')", "float('inf')"])
def test_a_number_that_json_does_not_know_is_told(last: str) -> None:
    error = failure(returned(f"def step(): return {last}", output="float"))
    assert error["message"].startswith("output 'output' is not JSON: ")


def test_values_inside_a_list_are_json_too() -> None:
    error = failure(returned("def step(): return [object()]", output="list"))
    assert error["message"] == "output 'output' is not JSON: Object of type object is not JSON serializable"
    assert error["hint"].startswith("write it to an Output artifact, or turn it into plain numbers")


def test_numbers_and_arrays_of_numeric_libraries_become_plain_ones() -> None:
    body = "def step():\n    import numpy\n    return numpy.float64(0.5), numpy.arange(3), numpy.int64(4)"
    assert values(returned(body, a="float", b="list", c="int")) == {"a": 0.5, "b": [0, 1, 2], "c": 4}


def test_what_a_function_without_outputs_returns_is_left_alone() -> None:
    assert values(returned("def step(): return object()")) == {}


def artifact(path: Path, kind: str = "Dataset", **more: Any) -> Manifest:
    return {"kind": "artifact", "type": kind, "path": str(path), **more}


def test_artifacts_are_written_measured_and_keep_their_metadata(tmp_path: Path) -> None:
    body = """
    def step(data: Output[Dataset]):
        with open(data.path, "w") as file:
            file.write("a,b")
        data.metadata["rows"] = 1
    """
    path = tmp_path / "not" / "yet" / "there"
    result = run(manifest(body, outputs={"data": artifact(path)}))
    assert result["outputs"]["data"] == {
        "type": "Dataset",
        "path": str(path),
        "metadata": {"rows": 1},
        "size_bytes": 3,
        "digest": "sha256:" + hashlib.sha256(b"a,b").hexdigest(),
    }


def test_artifacts_are_read_with_their_metadata_one_or_many(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    (tmp_path / "y").write_text("2")
    given = {
        "one": artifact(tmp_path / "x", "Model", metadata={"k": 5}, uri="s3://x"),
        "all": {"kind": "artifacts", "type": "Metrics", "items": [{"path": str(tmp_path / name)} for name in "xy"]},
    }
    body = """
    def step(one: Input[Model], all: Input[List[Metrics]]) -> list:
        from pathlib import Path
        texts = [each.type + Path(each.path).read_text() for each in all]
        return [one.type, one.uri, one.metadata["k"], *texts]
    """
    found = values(run(manifest(body, given, {"output": {"kind": "parameter", "type": "list"}})))
    assert found["output"] == ["Model", "s3://x", 5, "Metrics1", "Metrics2"]


def test_an_artifact_that_was_not_written_fails_with_what_to_do(tmp_path: Path) -> None:
    error = failure(run(manifest("def step(model): pass", outputs={"model": artifact(tmp_path / "m", "Model")})))
    assert error["message"] == "output 'model' (Model) was not written"
    assert error["hint"] == "write a file or folder to model.path before the function ends"


def test_metrics_need_no_file_of_their_own(tmp_path: Path) -> None:
    body = """
    def step(scores, curve):
        scores.log_metric("accuracy", 0.9)
        curve.log_confusion_matrix(["a", "b"], [(1, 2), (3, 4)])
        curve.log_roc_curve([0], [1], [2])
    """
    outputs = {
        "scores": artifact(tmp_path / "s", "Metrics"),
        "curve": artifact(tmp_path / "c", "ClassificationMetrics"),
    }
    found = run(manifest(body, outputs=outputs))["outputs"]
    assert json.loads((tmp_path / "s").read_text()) == found["scores"]["metadata"] == {"accuracy": 0.9}
    assert found["curve"]["metadata"] == {
        "confusionMatrix": {"categories": ["a", "b"], "matrix": [[1, 2], [3, 4]]},
        "rocCurve": [{"fpr": 0.0, "tpr": 1.0, "threshold": 2.0}],
    }


def test_metadata_that_is_no_json_is_told(tmp_path: Path) -> None:
    body = "def step(scores): scores.metadata['it'] = object()"
    error = failure(run(manifest(body, outputs={"scores": artifact(tmp_path / "s", "Metrics")})))
    assert error["message"].startswith("the metadata of output 'scores' is not JSON: ")


def test_a_folder_has_the_digest_of_its_names_and_contents(tmp_path: Path) -> None:
    body = """
    def step(data, names):
        import os
        os.makedirs(data.path + "/sub")
        for name in names:
            with open(os.path.join(data.path, name), "w") as file:
                file.write("12")
    """
    found = []
    for number, names in enumerate((["a", "sub/b"], ["sub/b", "a"], ["a", "sub/c"])):
        given = {"names": {"kind": "parameter", "value": names}}
        result = run(manifest(body, given, {"data": artifact(tmp_path / str(number))}))
        assert result["outputs"]["data"]["size_bytes"] == 4
        found.append(result["outputs"]["data"]["digest"])
    assert found[0] == found[1] != found[2]


def test_an_exception_is_told_with_the_users_own_lines_and_none_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    body = "def step():\n    return deeper()\n\ndef deeper():\n    raise ValueError('too hot')\n"
    error = failure(run(manifest(body, file="flow.py", line=10)))
    assert (error["kind"], error["type"], error["message"], error["hint"]) == ("user-code", "ValueError", "too hot", "")
    lines = [line for line in error["traceback"].splitlines() if line.strip(" ^~")]
    assert lines == [
        '  File "flow.py", line 11, in step',
        "    return deeper()",
        '  File "flow.py", line 14, in deeper',
        "    raise ValueError('too hot')",
        "ValueError: too hot",
    ]
    assert capfd.readouterr().err.rstrip() == error["traceback"].rstrip()


def test_an_exception_without_words_is_named() -> None:
    assert failure(run(manifest("def step(): raise KeyboardInterrupt")))["message"] == "KeyboardInterrupt"


def test_a_missing_package_is_told_with_how_to_get_it() -> None:
    error = failure(run(manifest("def step():\n    import not_there_at_all.part\n")))
    assert error["kind"] == "import"
    assert error["message"] == "No module named 'not_there_at_all'"
    assert error["hint"] == (
        "'not_there_at_all' is not installed here: add packages=['not_there_at_all'] to the component,"
        " or use an image that has it"
    )


def test_a_package_that_is_there_but_lacks_something_is_not_called_missing() -> None:
    error = failure(run(manifest("def step():\n    from json import not_there_at_all\n")))
    assert error["kind"] == "import"
    assert error["message"].startswith("cannot import name 'not_there_at_all' from 'json'")
    assert (
        error["hint"] == "'json' is here, but in a version that does not have this: name the one you need in packages"
    )


@pytest.mark.parametrize(
    ("last", "kind", "said"),
    [
        ("raise MemoryError", "oom", "MemoryError"),
        ("raise SystemExit(3)", "exit-code", "the function called exit(3)"),
        ("return outside", "user-code", "name 'outside' is not defined"),
    ],
)
def test_other_ends_are_told_by_their_kind(last: str, kind: str, said: str) -> None:
    error = failure(run(manifest(f"def step():\n    {last}\n")))
    assert (error["kind"], error["message"]) == (kind, said)


def test_a_name_from_outside_of_the_function_is_told_to_be_missing_there() -> None:
    error = failure(run(manifest("def step(): return outside")))
    assert error["hint"] == "a component's function runs alone: import and define what it needs inside the function"


def test_annotations_need_not_mean_anything_where_the_task_runs() -> None:
    given = {"a": {"kind": "parameter", "value": 2}}
    assert values(run(manifest("def step(a: not_there.Type) -> int: return a", given, {"output": INT}))) == {
        "output": 2
    }


def test_a_function_that_asks_is_told_where_it_runs() -> None:
    body = (
        "def step(info: TaskInfo) -> list:\n    return [info.run_id, info.task, info.attempt, info.node, info.option]"
    )
    facts = {"run_id": "r", "attempt": 2, "node": "quick", "option": None}
    result = run(manifest(body, outputs={"output": {"kind": "parameter", "type": "list"}}, **facts))
    assert values(result) == {"output": ["r", "step", 2, "quick", None]}


def test_the_result_is_left_as_a_file_where_one_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = run(manifest("def step(): raise ValueError('no')", result_path=str(path)))
    assert json.loads(path.read_text()) == result
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_the_file_that_travels_comes_out_of_its_text_as_it_went_in() -> None:
    import base64
    import zlib

    assert zlib.decompress(base64.b85decode(compressed())).decode() == source()


@pytest.mark.parametrize(("last", "code"), [("pass", 0), ("raise ValueError('no')", 1)])
def test_as_a_program_it_ends_as_its_task_did(tmp_path: Path, last: str, code: int) -> None:
    from mlopx.runtime.task import main

    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest(f"def step(): {last}")))
    assert main(["task.py", str(path)]) == code
