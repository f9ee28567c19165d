"""`mlopx-server estimate`: tables as people have them, what is said of bad ones, and what comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from server.cli.app import app
from server.cli.sheets import Column, UnreadableSheetError, read_sheet

RUNS = """component,node,input_bytes,seconds,peak_memory_bytes,state
align,laptop,1000000,12.1,210e6,succeeded
align,laptop,2000000,22.4,250e6,succeeded
align,laptop,4000000,42.8,330e6,succeeded
"""
NODES = "node,cpus,speed_single,speed_memory\nlaptop,8,450,12000\nbig,32,900,24000\n"
TASKS = "task,component,node,input_bytes\na,align,big,8000000\nb,align,,8000000\n"

Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def found(runs: str = RUNS, nodes: str | None = NODES, tasks: str = TASKS, *more: str) -> Result:
        paths = {"history": runs, "profiles": nodes, "predict": tasks}
        arguments = ["estimate", *more]
        for name, text in paths.items():
            if text is not None:
                (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
                arguments += [f"--{name}", str(tmp_path / f"{name}.csv")]
        return CliRunner().invoke(app, arguments)

    return found


def predictions(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["predictions"]
    return found


def test_every_task_is_predicted_where_asked_or_everywhere(ask: Ask) -> None:
    found = predictions(ask(RUNS, NODES, TASKS, "--json"))
    assert [(one["row"], one["task"], one["node"]) for one in found] == [
        (1, "a", "big"),
        (2, "b", "laptop"),
        (2, "b", "big"),
    ]
    on_big, on_laptop = found[0], found[1]
    assert on_laptop["p50"] == pytest.approx(84, rel=0.1)
    assert on_big["p50"] == pytest.approx(42, rel=0.1)
    assert all(0 < one["p10"] < one["p50"] < one["p90"] for one in found)
    assert on_big["peak_memory_bytes"] == pytest.approx(490e6, rel=0.25)
    assert on_big["peak_memory_p90_bytes"] > on_big["peak_memory_bytes"]
    assert on_laptop["source"] == "from 3 runs on laptop"


def test_without_json_there_is_a_line_for_people(ask: Ask) -> None:
    lines = ask().stdout.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"a  align on big: [\d.]+ s \([\d.]+ to [\d.]+\), from 3 runs on other nodes, .*", lines[0])


def test_units_of_the_speeds_do_not_matter(ask: Ask) -> None:
    scaled = NODES.replace("450", "4.5").replace("900", "9").replace("12000", "12").replace("24000", "24")
    one, other = (predictions(ask(RUNS, text, TASKS, "--json")) for text in (NODES, scaled))
    assert [entry["p50"] for entry in one] == pytest.approx([entry["p50"] for entry in other])


def test_other_names_delimiters_and_a_byte_order_mark_are_understood(ask: Ask) -> None:
    runs = "\ufeff" + RUNS.replace(",", ";").replace("component", "Process").replace("seconds", "Run Time")
    nodes = NODES.replace(",", "\t").replace("node", "Machine").replace("speed_single", "CPU speed")
    assert predictions(ask(runs, nodes, TASKS, "--json")) == predictions(ask(RUNS, NODES, TASKS, "--json"))


def test_nodes_need_no_table(ask: Ask) -> None:
    assert {one["node"] for one in predictions(ask(RUNS, None, TASKS, "--json"))} == {"laptop", "big"}


def test_columns_that_are_not_understood_are_named(ask: Ask) -> None:
    result = ask(RUNS.replace("peak_memory_bytes", "colour"))
    assert result.exit_code == 0
    assert "history.csv:1: columns that are not understood are ignored: colour" in result.stderr


def test_a_needed_column_that_is_missing_is_named_with_what_is_there(ask: Ask) -> None:
    result = ask(RUNS.replace("seconds", "colour"))
    assert result.exit_code == 2
    assert "history.csv has no column seconds; it has component, node, input_bytes, colour" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("22.4", "soon", "history.csv:3:seconds: 'soon' is not a number; this line is left out"),
        ("22.4", "-3", "history.csv:3:seconds: '-3' is not between 0 and 1e+30"),
        ("22.4", "", "history.csv:3:seconds: is empty, but must be given"),
        ("succeeded\nalign,laptop,4", "exploded\nalign,laptop,4", "history.csv:3:state: 'exploded' is none of"),
        ("laptop,2000000", ",2000000", "history.csv:3:node: is empty"),
    ],
)
def test_a_bad_run_is_named_by_file_line_and_column_and_left_out(ask: Ask, old: str, new: str, said: str) -> None:
    result = ask(RUNS.replace(old, new, 1), NODES, TASKS, "--json")
    assert said in result.stderr
    assert predictions(result)[1]["source"] == "from 2 runs on laptop"


def test_a_bad_task_ends_the_command(ask: Ask) -> None:
    result = ask(RUNS, NODES, TASKS.replace("big,8000000", "big,large"))
    assert result.exit_code == 2
    assert "predict.csv:2:input_bytes: 'large' is not a number" in result.stderr


def test_a_speed_that_is_no_number_leaves_the_others(ask: Ask) -> None:
    result = ask(RUNS, NODES.replace("24000", "quick"), TASKS, "--json")
    assert "profiles.csv:3:speed_memory: 'quick' is not a number" in result.stderr
    assert predictions(result)[0]["p50"] == pytest.approx(42, rel=0.25)


@pytest.mark.parametrize(("runs", "said"), [("", "history.csv is empty"), (None, "history.csv cannot be read")])
def test_a_table_that_is_not_there_is_one_sentence(tmp_path: Path, runs: str | None, said: str) -> None:
    (tmp_path / "tasks.csv").write_text(TASKS)
    if runs is not None:
        (tmp_path / "history.csv").write_text(runs)
    arguments = ["--history", str(tmp_path / "history.csv"), "--predict", str(tmp_path / "tasks.csv")]
    result = CliRunner().invoke(app, ["estimate", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_runs_that_ran_out_of_time_need_no_seconds_and_a_cut_off_one_counts(ask: Ask) -> None:
    runs = RUNS + "align,laptop,4000000,,,failed\nalign,laptop,4000000,300,,timeout\n"
    slower, usual = (predictions(ask(text, NODES, TASKS, "--json"))[1]["p50"] for text in (runs, RUNS))
    assert slower > usual


def test_parameters_are_read_as_json_or_as_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n"{""trees"": 100}",trees=100; kind=big\n')
    row = read_sheet(path, (Column("a"), Column("b"))).rows[0]
    assert row.mapping("a") == {"trees": 100}
    assert row.mapping("b") == {"trees": "100", "kind": "big"}


def test_lines_that_are_too_long_are_said(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n1,2\n")
    assert "has 2 cells, the header 1" in read_sheet(path, (Column("a"),)).warnings[0]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UnreadableSheetError, match="not text in UTF-8"):
        read_sheet(path, (Column("a"),))


def test_a_line_of_the_nodes_without_a_name_is_left_out_and_said(ask: Ask) -> None:
    result = ask(RUNS, NODES + ",4,300,9000\n")
    assert result.exit_code == 0
    assert "profiles.csv:4:node: is empty, but must be given; this line is left out" in result.stderr


@pytest.mark.parametrize("column", ["speed", "speed_single"])
def test_a_speed_of_nothing_is_none_and_one_in_other_units_is_named_and_left_out(ask: Ask, column: str) -> None:
    nodes = f"node,{column}\nlaptop,450\nbig,{{}}\nother,600\n"
    unknown = predictions(ask(RUNS, nodes.format(0), TASKS, "--json"))
    slip = ask(RUNS, nodes.format("9e9"), TASKS, "--json")
    assert f"profiles.csv:3:{column}: '9e9' is more than 10000 times faster or slower than the usual 600" in slip.stderr
    assert [one["p50"] for one in predictions(slip)] == pytest.approx([one["p50"] for one in unknown], rel=0.2)
    assert all(20 < one["p50"] < 300 for one in unknown)


def test_it_is_said_when_no_run_can_be_learnt_from(ask: Ask) -> None:
    result = ask("component,node,seconds\nalign,laptop,soon\n")
    assert result.exit_code == 0
    assert "no run of" in result.stderr
    assert "a guess" in result.stdout


def test_a_comma_for_a_point_is_told(ask: Ask) -> None:
    result = ask("component;node;seconds\nalign;laptop;12,5\n")
    assert "'12,5' is not a number (a point divides: 12.5); this line is left out" in result.stderr


def test_seeds_change_nothing(ask: Ask) -> None:
    runs = "component,node,seconds,parameters\n" + "".join(f"a,laptop,{10 + n},seed={n**9 + 1}\n" for n in range(6))
    found = predictions(ask(runs, None, "component,node,parameters\na,laptop,seed=3\na,laptop,\n", "--json"))
    assert found[0]["p50"] == found[1]["p50"] == pytest.approx(12.5, rel=0.05)


def test_runs_of_unknown_size_do_not_blur_those_of_known_ones(ask: Ask) -> None:
    runs = "component,node,seconds,input_bytes\na,n,3,0\na,n,40,1000\na,n,80,2000\n"
    (found,) = predictions(ask(runs, None, "component,input_bytes\na,1000\n", "--json"))
    assert found["p50"] == pytest.approx(40, rel=0.05)
    assert found["p90"] < 60


def test_cells_may_hold_line_ends_and_lines_are_counted_as_an_editor_counts_them(ask: Ask) -> None:
    runs = RUNS + '"two\nlines",laptop,1,5,,succeeded\n"para\u2029graph",laptop,1,x,,succeeded\n'
    result = ask(runs, NODES, 'task,component,node\na,"two\nlines",laptop\n', "--json")
    assert [(one["component"], one["source"]) for one in predictions(result)] == [
        ("two\nlines", "from 1 run on laptop")
    ]
    assert "history.csv:7:seconds: 'x' is not a number" in result.stderr


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("parameters", '"' + '{""a"":' * 3000 + "1" + "}" * 3000 + '"', "parameters: has too many brackets"),
        ("accelerators", "nvidia.com/gpu=-1", "accelerators: '-1' is below 0"),
    ],
)
def test_a_cell_that_is_nonsense_is_named_and_its_line_left_out(ask: Ask, column: str, cell: str, said: str) -> None:
    runs = f"component,node,seconds,{column}\nsort,laptop,3,\nsort,laptop,5,{cell}\n"
    result = ask(runs, NODES, "component,node\nsort,laptop\n", "--json")
    assert predictions(result)[0]["source"] == "from 1 run on laptop"
    assert said in result.stderr


def test_runs_that_all_failed_teach_nothing_and_that_is_said(ask: Ask) -> None:
    result = ask("component,node,seconds,state\nsort,laptop,3,failed\n", NODES, "component,node\nsort,laptop\n")
    assert result.exit_code == 0
    assert "no run of" in result.stderr
