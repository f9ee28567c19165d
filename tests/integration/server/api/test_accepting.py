"""A user takes what a waiting task is offered, and every reason why that is not possible is said."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any

import pytest

MakeSpec = Callable[..., dict[str, Any]]
CLUSTER = """
allow_overcommit = true
[agent]
preload = []
[[node]]
name = "quick"
cpus = 1
memory = "1Gi"
[[node]]
name = "slow"
cpus = 1
speed = 0.05
memory = "1Gi"
"""
SLEEPS = "import time\n\n\ndef greet(name: str) -> str:\n    time.sleep(300)\n    return name\n"


def on_quick(make_spec: MakeSpec, source: str = SLEEPS, **task: Any) -> dict[str, Any]:
    """A pipeline of one task that prefers `quick`."""
    return make_spec(source=source, task={"cache": False, **task})


@pytest.fixture
async def waiting(serve: Any, make_spec: MakeSpec) -> Any:
    """A server whose strategy has a second task wait for `quick`, though `slow` is free."""
    async with serve(cluster=CLUSTER, placer="tests_accept_placer:OnQuick") as served:
        first = await served.run(on_quick(make_spec))
        await served.when(first["id"], lambda run: run["tasks"][0]["state"] == "running")
        second = await served.run(on_quick(make_spec, source=""))
        await served.held(second["id"])
        yield served, first["id"], second["id"]


@pytest.fixture(autouse=True)
def placer(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy: everything on `quick`."""
    (tmp_path / "tests_accept_placer.py").write_text(
        "from server.domain.placement import Placement, PlacementPlan\n"
        "from server.placers.interface import PlacerInterface\n\n\n"
        "class OnQuick(PlacerInterface):\n"
        "    name, summary = 'on_quick', 'everything on quick'\n\n"
        "    def place(self, request):\n"
        "        return PlacementPlan(tuple(\n"
        "            Placement(task.run_id, task.key, 'quick', task.options[-1].name) for task in request.tasks()))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


async def test_the_command_that_explain_names_works(waiting: Any, listening: Any, mlopx: Any) -> None:
    served, _, run = waiting
    found = await served.get(f"/api/v1/runs/{run}/explain/task", task="greet")
    command = found["actions"][0]["command"]
    assert command == f"mlopx accept {run} greet --node slow"
    assert f"`{command}`" in found["sentence"]
    assert "slow is free" in found["sentence"]
    async with listening(served) as url:
        text = await mlopx(url, *shlex.split(command)[1:])
    assert text.startswith("greet goes to slow; ")
    ended = await served.ended(run)
    assert ended["state"] == "succeeded"
    assert ended["tasks"][0]["node"] == "slow"
    after = await served.get(f"/api/v1/runs/{run}/explain/task", task="greet")
    assert after["decision"]["strategy"] == "user"
    assert "which a user accepted instead of waiting" in after["sentence"]


async def test_a_task_that_started_meanwhile_is_left_alone(waiting: Any, read_problem: Any) -> None:
    served, first, second = waiting
    for run in (first, second):
        both = [
            served.http.post(f"/api/v1/runs/{run}/accept", json={"task": "greet", "node": "slow"}) for _ in range(2)
        ]
        answers = await asyncio.gather(*both)
        if run == first:
            assert [one.status_code for one in answers] == [409, 409]
            read_problem(answers[0], 409, "does not wait any more: it runs on quick since ")
        else:
            assert sorted(one.status_code for one in answers) == [200, 409]
    run = await served.ended(second)
    assert len(run["tasks"][0]["attempts"]) == 1
    again = await served.http.post(f"/api/v1/runs/{second}/accept", json={"task": "greet", "node": "slow"})
    read_problem(again, 409, "task greet is over: succeeded")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"task": "greet"}, 422, "what is accepted?"),
        ({"task": "greet", "option": "t4"}, 422, "has no option 't4'"),
        ({"task": "greet", "node": "nowhere"}, 404, "there is no node 'nowhere'"),
        ({"task": "greet", "node": "quick"}, 409, "quick cannot take greet now: busy"),
        ({"task": "other", "node": "slow"}, 404, "has no task 'other'"),
    ],
)
async def test_what_cannot_be_accepted_is_said(
    waiting: Any, read_problem: Any, body: dict[str, Any], status: int, says: str
) -> None:
    served, _, run = waiting
    read_problem(await served.http.post(f"/api/v1/runs/{run}/accept", json=body), status, says)


async def test_an_option_goes_to_the_quickest_node_that_is_free(
    serve: Any, make_spec: MakeSpec, read_problem: Any
) -> None:
    options = [
        {"name": "gpu", "resources": {"accelerator": {"accelerator": "gpu"}}},
        {"name": "large", "resources": {"memory_bytes": 2**29}},
        {"name": "small", "resources": {"memory_bytes": 2**20}},
    ]
    async with serve(cluster=CLUSTER, placer="tests_accept_placer:OnQuick") as served:
        first = await served.run(on_quick(make_spec))
        await served.when(first["id"], lambda run: run["tasks"][0]["state"] == "running")
        spec = on_quick(make_spec, source="")
        spec["tasks"]["greet"]["options"] = options
        run = await served.run(spec)
        await served.held(run["id"])
        refused = await served.http.post(f"/api/v1/runs/{run['id']}/accept", json={"task": "greet", "option": "gpu"})
        assert read_problem(refused, 409, "no node can run greet with option gpu")["hint"].startswith(
            "quick and slow: too "
        )
        answer = await served.http.post(f"/api/v1/runs/{run['id']}/accept", json={"task": "greet", "option": "small"})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {
            "run_id": run["id"],
            "task": "greet",
            "node": "slow",
            "option": "small",
            "sentence": answer.json()["sentence"],
        }
        assert "with option small" in answer.json()["sentence"]
