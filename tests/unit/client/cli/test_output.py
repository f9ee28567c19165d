"""How the command says things: spans, sizes, tables, JSON, and errors as advice with an exit code."""

from __future__ import annotations

import json

import pytest

from mlopx.cli import output
from mlopx.errors import ConnectionFailedError, DefinitionError, MlopxError, RunFailedError, ServerError, UsageError


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (99.94, "99.9 s"),
        (100, "1 min 40 s"),
        (119.6, "2 min 00 s"),
        (3600, "1 h 00 min"),
        (90_061, "25 h 01 min"),
    ],
)
def test_spans_are_told_in_the_unit_that_people_would_use(seconds: float | None, said: str) -> None:
    assert output.span(seconds) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (5, 12, "5.0 to 12.0 s"),
        (5, 5.01, "5.0 s"),
        (5, 100, "5.0 s to 1 min 40 s"),
        (77, 114, "1 min 17 s to 1 min 54 s"),
        (7200, 7230, "2 h 00 min"),
    ],
)
def test_ranges_name_their_unit_once_where_both_ends_have_it(low: float, high: float, said: str) -> None:
    assert output.between(low, high) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (2**42, "4096.0 GiB")],
)
def test_sizes_are_told_in_binary_units(count: float | None, said: str) -> None:
    assert output.size(count) == said


def test_a_moment_that_has_not_come_is_a_dash() -> None:
    assert output.moment(None) == "-"
    assert output.moment("2026-01-31T12:00:00+00:00").endswith(":00:00")


def test_json_keeps_every_letter_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.show({"name": "wörds"})
    said = capsys.readouterr().out
    assert "wörds" in said
    assert json.loads(said) == {"name": "wörds"}


def test_in_a_pipe_tables_have_no_colours_and_markup_of_names_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("[red]a[/red]", output.state("failed"), 7), ("b", output.state("unheard-of"), 12)]
    output.console().print(output.table(("name", "state", "count"), rows, right=("count",)))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert [line.split() for line in said.splitlines()] == [
        ["name", "state", "count"],
        ["[red]a[/red]", "failed", "7"],
        ["b", "unheard-of", "12"],
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MlopxError("no", hint="do that", where="flow.py:3"), 1),
        (UsageError("no", hint="do that", where="flow.py:3"), 2),
        (DefinitionError("no", hint="do that", where="flow.py:3"), 2),
        (ConnectionFailedError("no", hint="do that", where="flow.py:3"), 3),
        (RunFailedError("no", hint="do that", where="flow.py:3"), 5),
    ],
)
def test_an_error_of_ours_is_a_message_a_place_and_a_hint(
    error: MlopxError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, output.advice():
        raise error
    assert ended.value.code == code
    assert ended.value.__cause__ is None
    assert capsys.readouterr().err == "error: no\n  at flow.py:3\n  hint: do that\n"


def test_in_a_terminal_an_error_is_broken_between_words_but_neither_in_commands_nor_in_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    code = "    this(is, a, line) of code, and it is longer than sixty columns are wide"
    long = "nodes small, medium and large: too little cpu (asks 64, the node has 1)"
    with pytest.raises(SystemExit), output.advice():
        raise UsageError(
            f"it cannot run\n  task giant: {long}\n{code}", hint="see what they have: `mlopx nodes --json`"
        )
    assert capsys.readouterr().err.splitlines() == [
        "error: it cannot run",
        "  task giant: nodes small, medium and large: too little cpu",
        "      (asks 64, the node has 1)",
        code,
        "  hint: see what they have: `mlopx nodes --json`",
    ]


def test_a_command_in_a_sentence_stays_on_one_line() -> None:
    said = output.in_lines("it waits; take what is free: `mlopx accept r t`.", 44)
    assert said == "it waits; take what is free:\n`mlopx accept r t`."


def test_what_the_server_refused_ends_with_four(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, output.advice():
        raise ServerError("no such run", status=404)
    assert ended.value.code == 4
    assert capsys.readouterr().err == "error: no such run\n"


def test_an_interrupted_command_ends_as_shells_expect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, output.advice():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\n"


def test_what_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), output.advice():
        raise ZeroDivisionError
