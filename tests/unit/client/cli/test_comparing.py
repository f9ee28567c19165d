"""How `mlopx compare` tells two runs apart: only what differs, and everything that does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Api = Any
Said = Callable[..., str]
DETAIL, SPEC = "GET /api/v1/runs/{run_id}", "GET /api/v1/runs/{run_id}/spec"
MODEL = "sha256:0123456789abcdef0123"


@pytest.fixture
def compare(api: Api, said: Said) -> Callable[..., str]:
    """Compares the run of the examples with one that `change` made of it."""

    def run(change: Callable[[dict[str, Any], dict[str, Any]], None], *words: str, columns: int = 80) -> str:
        first, spec = api.example(DETAIL), api.example(SPEC)
        second, other = api.example(DETAIL), api.example(SPEC)
        second["id"] = "churn-other"
        change(second, other)
        api.says(DETAIL, first, first, second, second)
        api.says(SPEC, spec, other)
        return said("compare", "churn-vpud6est2e", "churn-other", *words, columns=columns)

    return run


Compare = Callable[..., str]


def as_it_is(run: dict[str, Any], spec: dict[str, Any]) -> None:
    """Changes nothing."""


def section(text: str, title: str) -> list[list[str]]:
    """The rows under a title, in words."""
    lines = text.split(f"\n{title}")[1].splitlines()[1:]
    until = lines.index("") if "" in lines else len(lines)
    return [line.split() for line in lines[:until]]


def test_of_two_equal_runs_it_is_said_how_much_is_the_same(compare: Compare) -> None:
    text = compare(as_it_is)
    assert "\nparameters (1 the same)\n" in text
    assert "\ntasks (2 the same)\n" in text
    assert text.endswith("\nthe code of all components is the same\n")
    assert "quick" not in text


def test_with_all_also_what_is_the_same_is_told(compare: Compare) -> None:
    text = compare(as_it_is, "--all")
    assert ["name", "world", "world"] in section(text, "parameters")
    assert "differs" not in text


def test_parameters_figures_nodes_times_and_digests_that_differ_are_told(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        run["parameters"] = {"name": "world", "rate": 0.1}
        greet, train = run["tasks"]
        greet["node"], greet["attempts"][0]["run_seconds"] = "slow", 130.0
        train["outputs"]["model"]["artifact"] |= {"metadata": {"accuracy": 0.5}, "digest": MODEL}

    text = compare(change, columns=120)
    assert section(text, "parameters (1 the same)")[1:] == [["rate", "-", "0.1"]]
    assert section(text, "values and figures (1 the same)")[1:] == [["train", "model", "accuracy", "0.9", "0.5"]]
    assert section(text, "tasks (1 the same)")[1:] == [
        ["greet", "quick,", "4.3", "s", "slow,", "2", "min", "10", "s"],
    ]
    assert section(text, "data")[1:] == [["train", "model", "sha256:b94d27b9934d", "sha256:0123456789ab"]]


def test_a_task_that_was_reused_is_told_apart_from_one_that_ran(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        run["tasks"][0] |= {"from_cache": True, "node": None}

    assert ["greet", "quick,", "4.3", "s", "-,", "reused"] in section(compare(change), "tasks (1 the same)")


def test_code_that_differs_is_shown_line_by_line(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        code = spec["components"]["greet"]["code"]
        code["source"] = code["source"].replace("hello", "good morning")
        spec["components"]["new"] = {"code": {"source": "def new(): ...\n"}}

    text = compare(change)
    assert "\ncode of greet\n--- first\n+++ second\n" in text
    assert "-    return f'hello {name}'" in text
    assert "+    return f'good morning {name}'" in text
    assert "\ncode of new\n" in text
    assert "+def new(): ..." in text
    assert "the code of all components is the same" not in text


def test_a_value_that_is_long_is_cut(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        run["tasks"][0]["outputs"]["output"]["value"] = list(range(999))

    text = compare(change, columns=200)
    assert "[0, 1, 2, 3" in text
    assert "998" not in text
    assert "…" in text


def test_containers_are_compared_by_image_and_command(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        spec["components"]["greet"] = {
            "code": {"kind": "container", "command": ["run", "--fast"], "args": []},
            "image": "trainer:2",
        }

    text = compare(change)
    assert "+image trainer:2" in text
    assert "+command run --fast" in text


def test_of_a_foreign_pipeline_the_document_is_compared(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        spec["foreign"] = {"format": "kubeflow", "file": "flow.yaml", "text": "root: {}\n"}

    assert "code of the pipeline's document\n" in compare(change)


def test_data_that_went_into_the_runs_is_compared_too(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        run["parameters"] = {"name": "s3://bucket/other.csv"}

    assert section(compare(change), "parameters")[1:] == [["name", "world", "s3://bucket/other.csv"]]


def test_programs_get_all_of_it_with_what_differs_marked(compare: Compare) -> None:
    def change(run: dict[str, Any], spec: dict[str, Any]) -> None:
        run["parameters"] = {"name": "moon"}

    found = json.loads(compare(change, "--json"))
    assert (found["first"], found["second"]) == ("churn-vpud6est2e", "churn-other")
    assert found["parameters"] == [{"name": "name", "first": "world", "second": "moon", "differs": True}]
    assert {one["name"]: one["differs"] for one in found["run"]}["turnaround"] is False
    assert found["code"] == {}
