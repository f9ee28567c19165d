"""Charts of what ran where: each attempt is a bar on its node at its time, in letters and as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx.cli.gantt import Bar, bars_of, gantt_svg, gantt_text, lanes, summary

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
NODES = [{"name": name, "allocatable": {"cpu_millicores": cpus * 1000}} for name, cpus in (("quick", 2), ("slow", 1))]


def instant(seconds: float | None) -> str | None:
    return None if seconds is None else (START + timedelta(seconds=seconds)).isoformat()


def attempt(node: str | None, begin: float | None, end: float | None, state: str = "succeeded") -> dict[str, Any]:
    times = {"started_at": instant(begin), "finished_at": instant(end)}
    return {"node": node, "actual_node": None, "state": state, **times}


def task(key: str, *attempts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "attempts": list(attempts), **more}


def run(name: str, *tasks: dict[str, Any], submitted: float = 0, finished: float | None = 20) -> dict[str, Any]:
    turnaround = None if finished is None else finished - submitted
    return {
        "id": name,
        "tasks": list(tasks),
        "submitted_at": instant(submitted),
        "finished_at": instant(finished),
        "waiting_seconds": 1.0,
        "turnaround_seconds": turnaround,
    }


def bar(begin: float, end: float) -> Bar:
    return Bar("r", "t", "quick", begin, end, 1.0, is_failed=False)


def test_every_attempt_that_ended_is_a_bar_from_the_first_submission_on() -> None:
    first = task("fit", attempt("quick", 12, 14, "failed"), attempt("slow", 15, 19), cpus=2)
    found = bars_of([run("b", first, submitted=10), run("a", task("load", attempt("slow", 11, 12)), submitted=10)])
    assert [(one.run, one.task, one.node, one.start, one.end, one.cpus, one.is_failed) for one in found] == [
        ("a", "load", "slow", 1, 2, 1, False),
        ("b", "fit", "quick", 2, 4, 2, True),
        ("b", "fit", "slow", 5, 9, 2, False),
    ]


def test_the_node_on_which_it_really_ran_counts() -> None:
    moved = {**attempt("quick", 0, 1), "actual_node": "slow"}
    nowhere = {**attempt(None, 2, 3)}
    assert [one.node for one in bars_of([run("r", task("a", moved), task("b", nowhere))])] == ["slow", "?"]


def test_what_waits_or_runs_is_no_bar() -> None:
    assert bars_of([run("r", task("a", attempt("quick", None, None)), task("b", attempt("quick", 1, None)))]) == []


def test_side_by_side_takes_rows_and_one_after_the_other_takes_one() -> None:
    assert [[(one.start, one.end) for one in row] for row in lanes([bar(0, 5), bar(1, 3), bar(3, 6), bar(5, 7)])] == [
        [(0, 5), (5, 7)],
        [(1, 3), (3, 6)],
    ]


def test_a_chart_has_a_row_per_node_a_letter_per_run_and_its_length() -> None:
    runs = [run("first", task("a", attempt("quick", 0, 10))), run("second", task("b", attempt("quick", 10, 20)))]
    lines = gantt_text(runs, NODES, width=40).splitlines()
    assert lines[0].startswith("quick")
    assert (lines[0].count("A"), lines[0].count("B")) == (15, 17)
    assert lines[0].rindex("A") < lines[0].index("B")
    assert lines[1].strip("slow |") == ""
    assert lines[-4].endswith("20 s")
    assert lines[-2:] == ["A = first", "B = second"]
    assert max(map(len, lines)) <= 40


def test_what_is_expected_is_drawn_with_dots_after_what_ran() -> None:
    coming = Bar("r", "b", "slow", 10, 20, 1.0, is_failed=False, is_coming=True)
    lines = gantt_text([run("r", task("a", attempt("quick", 0, 10)))], NODES, 60, [coming]).splitlines()
    assert "." not in lines[0]
    assert "A" not in lines[1]
    assert lines[1].index(".") > lines[0].rindex("A")


def test_where_nothing_ran_that_is_said() -> None:
    assert gantt_text([run("r")], NODES) == "nothing ran yet"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_a_chart_is_no_wider_than_it_may_be_however_many_run_side_by_side(width: int) -> None:
    tasks = [task(f"t{number}", attempt("quick", number / 10, 10 + number)) for number in range(8)]
    assert max(map(len, gantt_text([run("a-run", *tasks)], NODES, width).splitlines())) <= width


def test_figures_are_means_over_runs_and_busy_cpu_time_over_what_there_was() -> None:
    runs = [
        run("a", task("x", attempt("quick", 0, 10), cpus=2)),
        run("b", task("y", attempt("slow", 0, 5)), finished=10),
        run("c", finished=None),
    ]
    found = summary(runs, NODES)
    assert found.makespan_seconds == 20
    assert found.mean_turnaround_seconds == 15
    assert found.utilisation == {"quick": 0.5, "slow": 0.25}


def test_before_anything_ended_nothing_is_claimed() -> None:
    found = summary([run("c", finished=None)], NODES)
    assert (found.makespan_seconds, found.mean_turnaround_seconds) == (0, 0)
    assert found.utilisation == {"quick": 0, "slow": 0}


def test_the_picture_names_every_bar_and_lets_no_markup_of_users_in() -> None:
    text = gantt_svg([run("<r>", task("a&b", attempt("quick", 0, 10, "failed")))], NODES, "What <ran>")
    tree = Xml.fromstring(text)
    titles = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["What <ran>", "a&b of <r>: 10.0 s on quick (failed)"]
    assert "1 task attempts of 1 runs on 2 nodes over 10 seconds" in text


def test_a_picture_of_nothing_is_still_one() -> None:
    assert Xml.fromstring(gantt_svg([], NODES, "empty")).tag.endswith("svg")
