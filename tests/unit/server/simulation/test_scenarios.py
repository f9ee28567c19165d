"""Scenario files: what they may say, what is said about bad ones, and what the shipped ones give."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from server.simulation.engine import Finished, simulate
from server.simulation.pipeline_lines import pipeline_schema
from server.simulation.problems import ScenarioError
from server.simulation.reading import SHIPPED, CaseMaker, find_scenario, read_scenario, shipped_names
from server.simulation.report import measures
from server.simulation.scenario import scenario_schema

TWO_NODES = """
[[cluster.node]]
kind = "slow"
speed = 0.5
[[cluster.node]]
kind = "fast"
"""
LINES = [
    {"id": 0, "arrival": {"calm": 0.0}, "seconds_by_type": [[40, 10], [None, 20]], "after": [[], [0]]},
    {"id": 1, "arrival": {"calm": 5.0}, "seconds_by_type": [[6.5, 5]], "after": [[]]},
]
FROM_FILE = """
[arrivals]
file = "pipelines.jsonl"
key = "calm"
kinds = ["slow", "fast"]
cpus = 1
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., CaseMaker]:
    """Write a scenario with its pipelines, and read it."""

    def make(text: str = FROM_FILE + TWO_NODES, lines: list[Any] = LINES) -> CaseMaker:
        (tmp_path / "pipelines.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        path = tmp_path / "scenario.toml"
        path.write_text(text)
        return CaseMaker(path, read_scenario(path))

    return make


def run(maker: CaseMaker, seed: int = 0) -> Finished:
    return simulate(maker.case(maker.scenario.server[0], seed))


def test_pipelines_of_a_file_run_as_it_says(write: Callable[..., CaseMaker]) -> None:
    finished = run(write())
    times = {(task.run_id, task.task): task for task in finished.tasks}
    assert times["r00000", "t1"].node == "fast"
    assert times["r00000", "t1"].run_seconds == pytest.approx(20)
    assert {run.submitted_at for run in finished.runs} == {0.0, 5.0}


def test_a_gzipped_file_is_the_same(write: Callable[..., CaseMaker], tmp_path: Path) -> None:
    plain = run(write())
    with gzip.open(tmp_path / "pipelines.jsonl.gz", "wt") as file:
        file.write("\n".join(json.dumps(line) for line in LINES))
    assert run(write(FROM_FILE.replace(".jsonl", ".jsonl.gz") + TWO_NODES)).tasks == plain.tasks


def test_tasks_in_full_may_offer_options_and_name_what_they_wait_for(write: Callable[..., CaseMaker]) -> None:
    options = [
        {"name": "gpu", "accelerator": "nvidia.com/gpu", "seconds": {"fast": 2}},
        {"name": "cpu", "seconds": {"slow": 30, "fast": 20}},
    ]
    tasks = [
        {"name": "load", "seconds": {"slow": 5, "fast": 5}, "memory": "1Gi", "output_bytes": 1e6},
        {"name": "train", "options": options, "after": ["load"], "task_kind": "training", "model": "cnn"},
    ]
    nodes = TWO_NODES + 'accelerator = "nvidia.com/gpu"\naccelerators = 1\n[[server]]\nplacer = "custom"\n'
    finished = run(write(FROM_FILE + nodes, [{"id": "mine", "arrival": 1.5, "tasks": tasks}]))
    assert [(task.task, task.option) for task in finished.tasks] == [("load", "default"), ("train", "gpu")]


BAD_SCENARIOS = {
    "unknown key": (FROM_FILE + TWO_NODES + "cups = 2", "cluster.node.1.cups: there is no such key"),
    "no source": (TWO_NODES, "exactly one of"),
    "not toml": ("[cluster", "is not TOML"),
    "twice": (FROM_FILE + TWO_NODES + '[[cluster.node]]\nkind = "fast"', "two nodes are named fast"),
    "memory": (FROM_FILE + TWO_NODES + 'memory = "much"', "cluster.node fast: memory"),
    "loss": (FROM_FILE + TWO_NODES + '[[loss]]\nnode = "gone"\nat = 5', "there is no node 'gone'"),
    "missing file": (FROM_FILE.replace("pipelines", "other") + TWO_NODES, "other.jsonl: cannot be read"),
    "csv": (FROM_FILE + '[cluster]\ncsv = "nodes.csv"', "nodes.csv: cannot be read"),
    "arrival": (FROM_FILE.replace("calm", "busy") + TWO_NODES, "pipelines.jsonl:1: arrival has the keys calm"),
    "kinds": (FROM_FILE.replace('kinds = ["slow", "fast"]', "") + TWO_NODES, "needs kinds in"),
    "too big": (FROM_FILE.replace("cpus = 1", "cpus = 2") + TWO_NODES, "task t0 of pipeline p0 fits on no node"),
}


@pytest.mark.parametrize("name", list(BAD_SCENARIOS))
def test_a_bad_scenario_is_told_with_its_file_and_key(write: Callable[..., CaseMaker], name: str) -> None:
    text, said = BAD_SCENARIOS[name]
    with pytest.raises(ScenarioError) as caught:
        run(write(text))
    assert said in caught.value.message
    assert "/" in caught.value.message


X = {"name": "x", "seconds": {"slow": 1}}
GPU = {"name": "gpu", "seconds": {"fast": 1}}
BAD_LINES: dict[str, tuple[Any, str]] = {
    "columns": ({"id": 0, "arrival": 0, "seconds_by_type": [[1]]}, ":1: task 0 has 1 seconds for 2 kinds"),
    "after": ({"id": 0, "arrival": 0, "seconds_by_type": [[1, 1]], "after": [[3]]}, "names a task that does not exist"),
    "key": ({"id": 0, "arrival": 0, "second_by_type": [[1, 1]]}, ":1: second_by_type: there is no such key"),
    "empty": ({"id": 0, "arrival": 0}, "needs tasks, or seconds_by_type"),
    "negative": (
        {"id": 0, "arrival": 0, "seconds_by_type": [[-1, 1]]},
        ":1: seconds_by_type[0][0]: input should be greater",
    ),
    "ages": (
        {"id": 0, "arrival": 0, "seconds_by_type": [[1e300, 1]]},
        ":1: seconds_by_type[0][0]: input should be less",
    ),
    "truth": (
        {"id": 0, "arrival": 0, "seconds_by_type": [[True, 1]]},
        "[0][0]: input should be a valid number, not true",
    ),
    "early": ({"id": 0, "arrival": -1, "seconds_by_type": [[1, 1]]}, ":1: arrival: input should be greater"),
    "never": ({"id": 0, "arrival": float("nan"), "seconds_by_type": [[1, 1]]}, ":1: NaN is no number"),
    "list": ([1, 2], ":1: a pipeline is an object with"),
    "twins": ({"id": 0, "arrival": 0, "tasks": [X, X]}, ":1: task 0: a later task is named 'x' too"),
    "both": ({"id": 0, "arrival": 0, "tasks": [X], "seconds_by_type": [[1, 1]]}, "has both tasks and seconds_by_type"),
    "options": (
        {"id": 0, "arrival": 0, "tasks": [{**X, "options": [GPU]}]},
        ":1: task 0: has both seconds and options",
    ),
    "option twins": (
        {"id": 0, "arrival": 0, "tasks": [{"options": [GPU, GPU]}]},
        "two of its options have the same name",
    ),
    "no seconds": (
        {"id": 0, "arrival": 0, "tasks": [{"options": [{"name": "g"}]}]},
        "tasks[0].options[0].seconds: is miss",
    ),
    "nowhere": ({"id": 0, "arrival": 0, "seconds_by_type": [[None, None]]}, "has no seconds for any kind"),
    "circle": ({"id": 0, "arrival": 0, "seconds_by_type": [[1, 1], [1, 1]], "after": [[1], [0]]}, "circle"),
}


@pytest.mark.parametrize("name", list(BAD_LINES))
def test_a_bad_pipeline_is_told_with_its_line(write: Callable[..., CaseMaker], name: str) -> None:
    line, said = BAD_LINES[name]
    with pytest.raises(ScenarioError, match=r"pipelines\.jsonl:1") as caught:
        run(write(lines=[line]))
    assert said in caught.value.message


def test_a_key_that_is_there_twice_and_nesting_without_end_are_told(write: Callable[..., CaseMaker]) -> None:
    maker = write()
    for text, said in {'{"id": 0, "id": 1}': "the key 'id' is there twice", "[" * 9000: "nested too deeply"}.items():
        (maker.path.parent / "pipelines.jsonl").write_text(text)
        with pytest.raises(ScenarioError, match=r"pipelines\.jsonl:1: ") as caught:
            run(maker)
        assert said in caught.value.message


def test_pipelines_of_one_id_are_told(write: Callable[..., CaseMaker]) -> None:
    line = {"id": "a", "arrival": 0, "seconds_by_type": [[1, 1]]}
    with pytest.raises(ScenarioError, match="2 pipelines have the id a"):
        run(write(lines=[line, line]))


def test_a_task_may_take_no_time(write: Callable[..., CaseMaker]) -> None:
    finished = run(write(lines=[{"id": "a", "arrival": 0, "seconds_by_type": [[0, 0], [5, 5]], "after": [[], [0]]}]))
    assert finished.runs[0].turnaround_seconds == pytest.approx(5, abs=0.1)


def test_run_times_for_kinds_that_are_not_there_are_noted(write: Callable[..., CaseMaker]) -> None:
    maker = write(lines=[{"id": 0, "arrival": 0, "tasks": [{"seconds": {"slow": 1, "turbo": 1}}]}])
    run(maker)
    assert maker.notes() == ["there are run times for kinds that no node of the cluster is: turbo"]
    known = write()
    run(known)
    assert known.notes() == []


def test_more_time_than_the_calendar_has_is_told(write: Callable[..., CaseMaker]) -> None:
    ages = {"seconds_by_type": [[1e9, 1e9]] * 300, "after": [[]] + [[n] for n in range(299)]}
    with pytest.raises(ScenarioError, match="too long to simulate"):
        run(write(lines=[{"id": 0, "arrival": 0, **ages}]))


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_scenarios_are_valid_by_the_published_schema(name: str) -> None:
    document = tomllib.loads((SHIPPED / f"{name}.toml").read_text())
    jsonschema.Draft202012Validator(scenario_schema()).validate(document)
    read_scenario(find_scenario(name))


def test_pipelines_are_valid_by_the_published_schema() -> None:
    for line in LINES:
        jsonschema.Draft202012Validator(pipeline_schema()).validate(line)


PUBLISHED = {
    "original-a": {
        "random_random, their rules": (859.4, 245.46),
        "fifo_random, their rules": (890.8, 281.92),
        "fifo_round_robin, their rules": (859.0, 258.1),
        "its custom, their rules": (285.0, 54.3),
        "kubernetes, no GPU requests": (404.2, None),
    },
    "original-b": {
        "random_random, their rules": (1655.0, None),
        "fifo_random, their rules": (1810.0, None),
        "fifo_round_robin, their rules": (1405.0, None),
        "its custom, their rules": (813.0, None),
    },
}
PUBLISHED_ROUND_ROBIN_WAITS = {"adult-lr": 158, "kdd-rf": 491, "unsw-svm": 532, "mnist-nn": 649}
"""Of those whose turn does not depend on a second more or less of somebody else's run."""


def original(name: str) -> dict[str, list[Any]]:
    """Measures of every server of a scenario, one per seed."""
    path = find_scenario(name)
    maker = CaseMaker(path, read_scenario(path))
    return {
        server.name or server.placer: [measures(simulate(maker.case(server, seed))) for seed in maker.scenario.seeds]
        for server in maker.scenario.server
    }


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_original_experiments_come_out_as_published(name: str) -> None:
    found = original(name)
    for server, (total, waiting) in PUBLISHED[name].items():
        figures = found[server]
        assert sum(one.execution_span for one in figures) / len(figures) == pytest.approx(total, rel=0.15), server
        if waiting is not None:
            assert sum(one.waiting.mean for one in figures) / len(figures) == pytest.approx(waiting, rel=0.15), server
    ours = found["online, shared nodes"][0]
    assert ours.makespan <= {"original-a": 175, "original-b": 690}[name]
    assert ours.waiting.mean <= 10


def test_the_original_s_round_robin_makes_the_same_pipelines_wait_for_each_other() -> None:
    path = find_scenario("original-a")
    maker = CaseMaker(path, read_scenario(path))
    server = next(one for one in maker.scenario.server if "RoundRobin" in one.placer)
    waits = {run.run_id: run.waiting_seconds for run in simulate(maker.case(server, 0)).runs}
    for name, seconds in PUBLISHED_ROUND_ROBIN_WAITS.items():
        assert waits[name] == pytest.approx(seconds, rel=0.03)


@pytest.mark.parametrize("name", ["online", "data-heavy", "scale"])
def test_generated_scenarios_end_and_their_load_shows(name: str) -> None:
    path = find_scenario(name)
    scenario = read_scenario(path)
    generator = scenario.generator
    assert generator is not None
    small = scenario.model_copy(update={"generator": generator.model_copy(update={"pipelines": 40})})
    finished = run(CaseMaker(path, small))
    assert len(finished.runs) == 40
    assert {one.state for one in finished.runs} == {"succeeded"}
    assert 0.02 < measures(finished).utilisation["cpu"] <= 1
