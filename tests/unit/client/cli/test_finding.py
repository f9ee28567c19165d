"""Which run is meant by what people type, and what is said where that is not clear."""

from __future__ import annotations

import httpx
import pytest

from mlopx.cli.finding import find_run
from mlopx.errors import ServerError, UsageError
from mlopx.remote import Client

RUNS = ("flow-b2", "flow-a1", "other-c3")


def client(*runs: str, status: int = 404) -> Client:
    """Of a server with these runs, newest first; what it does not know it answers with `status`."""

    def answers(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/runs")
        if not path:
            return httpx.Response(200, json={"runs": [{"id": run} for run in runs]})
        if path[1:] in runs:
            return httpx.Response(200, json={"id": path[1:]})
        return httpx.Response(status, json={"detail": "no"})

    return Client(transport=httpx.MockTransport(answers))


@pytest.mark.parametrize(
    ("text", "run"),
    [("latest", "flow-b2"), ("flow-a1", "flow-a1"), ("oth", "other-c3"), ("flow-a", "flow-a1")],
)
def test_an_id_a_unique_beginning_or_latest_is_enough(text: str, run: str) -> None:
    assert find_run(client(*RUNS), text) == run


def test_a_beginning_of_several_runs_is_answered_with_them() -> None:
    with pytest.raises(UsageError, match=r"^'flow' could be flow-b2, flow-a1\n  hint: write more of the id$"):
        find_run(client(*RUNS), "flow")
    with pytest.raises(UsageError, match=r"^'r' could be r0, r1, r2, r3, r4 or 2 more\n"):
        find_run(client(*(f"r{number}" for number in range(7))), "r")


@pytest.mark.parametrize("text", ["gone", "", "flow-a1?x=1", "a/b", "../runs"])
def test_what_is_no_run_is_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_run(client(*RUNS), text)
    assert str(caught.value) == f"there is no run {text!r}\n  hint: `mlopx runs` lists them"


def test_where_there_are_no_runs_latest_is_none() -> None:
    with pytest.raises(UsageError, match="there are no runs yet"):
        find_run(client(), "latest")


def test_another_failure_is_not_taken_for_a_missing_run() -> None:
    with pytest.raises(ServerError) as caught:
        find_run(client(*RUNS, status=500), "flow-a")
    assert caught.value.status == 500
