"""The worker process for real: a strategy can neither block nor crash the server, and no worker outlives it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.components.decision_unit import DecisionUnit, Outcome, placers
from server.domain.errors import ConfigurationError
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task
from server.testing.contracts.placer import REQUESTS

STRATEGIES = """
import os, signal, sys, threading, time
from server.domain.placement import Hold, PlacementPlan
from server.placers.fifo_greedy import FifoGreedy


class Good(FifoGreedy):
    name, summary, source, version = "good", "Works like greedy.", "a test", "7"


class Chatty(Good):
    def place(self, request):
        print("thinking about", len(request.runs), "runs")
        sys.stdout.write("x" * 100_000)
        os.write(1, b"straight to the descriptor")
        assert sys.stdin.read() == ""
        return super().place(request)


class Endless(Good):
    def place(self, request):
        while True:
            pass


class Sleepy(Good):
    def place(self, request):
        time.sleep(3600)


class FirstTimeEndless(Good):
    def place(self, request):
        if request.cycle == 1:
            signal.pause()
        return super().place(request)


class Leaves(Good):
    def place(self, request):
        os._exit(7)


class Crashes(Good):
    def place(self, request):
        os.kill(os.getpid(), signal.SIGSEGV)


class Quits(Good):
    def place(self, request):
        sys.exit("enough")


class Raises(Good):
    def place(self, request):
        raise ValueError("the map is not the territory")


class Nonsense(Good):
    def place(self, request):
        return {"plan": "none"}


class Unreadable(Good):
    def place(self, request):
        return PlacementPlan(holds=tuple(object() for _ in range(3)))


class Forgetful(Good):
    def place(self, request):
        return PlacementPlan()


class SlowToLoad(Good):
    def __init__(self):
        time.sleep(1.5)


class SlowToWarm(Good):
    def warm(self):
        time.sleep(2.0)


class CannotGetWarm(Good):
    def warm(self):
        raise OSError("no disk to write to")


class CannotBeMade(Good):
    def __init__(self):
        raise RuntimeError("no licence")
"""


@pytest.fixture
def strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with well- and ill-behaved strategies."""
    (tmp_path / "strange_strategies.py").write_text(STRATEGIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "strange_strategies"


@asynccontextmanager
async def started(placer: str, **more: Any) -> AsyncIterator[DecisionUnit]:
    ids = itertools.count(1)
    unit = DecisionUnit(placer=placer, new_id=lambda: f"d{next(ids)}", **{"time_limit_seconds": 60.0, **more})
    try:
        await unit.start()
        yield unit
    finally:
        await unit.aclose()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "Z" not in stat.rpartition(")")[2].split()[0]


async def gone(pid: int) -> None:
    """Wait until a process is gone."""
    async with asyncio.timeout(60):
        while is_alive(pid):
            await asyncio.sleep(0.01)


def a_question(cycle: int = 1) -> Any:
    runs = [a_run(name, a_task(name)) for name in "abc"]
    return a_request([a_node("one", cpus=2), a_node("two", cpus=0.5)], runs, cycle=cycle, time_limit_seconds=60.0)


@pytest.mark.parametrize("name", placers)
def test_the_worker_answers_as_the_same_strategy_does_here(name: str) -> None:
    async def scenario() -> None:
        patient = {"start_patience_seconds": 300.0, "start_limit_seconds": 300.0, "time_limit_seconds": 300.0}
        async with started(name, **patient) as unit:
            for build in REQUESTS.values():
                request = replace(build(), time_limit_seconds=300.0)
                there, here = await unit.decide(request), unit.decide_now(request)
                assert there.plan == here.plan
                assert there.bind_now == here.bind_now
                assert there.problem is None

    run(scenario())


def test_until_a_strategy_is_warm_the_fallback_answers_and_it_goes_on_getting_warm(strategies: str) -> None:
    async def scenario() -> None:
        more = {"start_patience_seconds": 0.1, "time_limit_seconds": 0.2}
        async with started(f"{strategies}:SlowToWarm", **more) as unit:
            worker, told = unit.worker_pid, asyncio.Event()
            unit.on_ready = told.set
            assert not unit.is_ready
            cold = await unit.decide(REQUESTS["chains_on_unequal_nodes"]())
            assert (cold.strategy, unit.failures) == ("fifo_greedy", {"cold": 1})
            placed = [one for one in cold.decisions if one.node is not None]
            assert placed
            assert all(one.reason.endswith("; good is not ready yet") for one in placed)
            await asyncio.wait_for(told.wait(), 60)
            assert unit.is_ready
            unit.time_limit_seconds = 20.0  # by now it is quick, on a busy machine not that quick
            assert (await unit.decide(REQUESTS["chains_on_unequal_nodes"]())).strategy == "good"
            assert unit.worker_pid == worker

    run(scenario())


def test_a_strategy_that_cannot_get_warm_is_asked_all_the_same(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:CannotGetWarm") as unit:
            assert (await unit.decide(REQUESTS["chains_on_unequal_nodes"]())).problem is None

    run(scenario())


def test_a_foreign_strategy_is_loaded_in_the_worker_only(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:Good") as unit:
            outcome = await unit.decide(a_question())
            assert (outcome.strategy, outcome.problem) == ("good", None)
            (info,) = [info for info in unit.catalogue() if info.is_current]
            assert (info.summary, info.source, info.version) == ("Works like greedy.", "a test", "7")
            assert strategies not in sys.modules

    run(scenario())


def test_what_a_strategy_prints_does_not_get_in_the_way(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:Chatty") as unit:
            assert [(await unit.decide(a_question(cycle))).problem for cycle in range(3)] == [None] * 3

    run(scenario())


async def decide_with(strategy: str, **more: Any) -> tuple[Outcome, DecisionUnit]:
    async with started(strategy, **more) as unit:
        return await unit.decide(a_question()), unit


@pytest.mark.parametrize(
    ("strategy", "kind", "said"),
    [
        ("Leaves", "died", "its worker process ended (exit code 7)"),
        ("Crashes", "died", "its worker process ended (killed by SIGSEGV)"),
        ("Quits", "raised", "it raised SystemExit: enough"),
        ("Raises", "raised", "it raised ValueError: the map is not the territory"),
        ("Nonsense", "raised", "place() returned dict, not a PlacementPlan"),
        ("Unreadable", "raised", "the plan holds a object where a Hold belongs"),
        ("Forgetful", "invalid", "is not answered"),
    ],
)
def test_a_strategy_that_misbehaves_is_replaced_for_the_cycle(
    strategies: str, strategy: str, kind: str, said: str
) -> None:
    outcome, unit = run(decide_with(f"{strategies}:{strategy}"))
    assert said in outcome.problem
    assert outcome.strategy == "fifo_greedy"
    assert outcome.fallback_from == "good"
    assert [one.run_id for one in outcome.bind_now] == ["a", "b"]
    assert unit.failures == {kind: 1}


@pytest.mark.parametrize("strategy", ["Endless", "Sleepy"])
def test_a_strategy_that_is_late_is_stopped_at_the_deadline(strategies: str, strategy: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:{strategy}", time_limit_seconds=0.3) as unit:
            pid = unit.worker_pid
            assert pid is not None
            began = time.monotonic()
            outcome = await unit.decide(a_question())
            assert 0.3 <= time.monotonic() - began < 60.0
            assert "did not answer within 0.3 s and was stopped" in str(outcome.problem)
            assert outcome.bind_now
            assert unit.failures == {"late": 1}
            await gone(pid)

    run(scenario())


def test_after_a_failure_the_next_cycle_has_a_new_warm_worker(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:FirstTimeEndless", time_limit_seconds=0.3) as unit:
            first = unit.worker_pid
            assert (await unit.decide(a_question(cycle=1))).strategy == "fifo_greedy"
            unit.time_limit_seconds = 20.0
            second = await unit.decide(a_request([a_node("one")], [], cycle=2, time_limit_seconds=20.0))
            assert second.problem is None
            assert unit.worker_pid not in (None, first)

    run(scenario())


def test_a_worker_killed_between_cycles_is_noticed_and_replaced(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:Good", time_limit_seconds=20.0) as unit:
            pid = unit.worker_pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await gone(pid)
            outcomes = [await unit.decide(a_question(cycle)) for cycle in range(2)]
            assert outcomes[-1].problem is None
            assert unit.worker_pid not in (None, pid)

    run(scenario())


def test_while_a_slow_strategy_loads_the_fallback_answers(strategies: str) -> None:
    async def scenario() -> None:
        unit = DecisionUnit(placer=f"{strategies}:SlowToLoad", new_id=str, time_limit_seconds=0.2)
        try:
            outcome = await unit.decide(a_question())
            assert "was not ready within 0.2 s" in str(outcome.problem)
            await unit.start()
            assert unit.worker_pid is not None
        finally:
            await unit.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("placer", "said"),
    [
        ("strange_strategies:CannotBeMade", "RuntimeError: no licence"),
        ("strange_strategies:Missing", "has no 'Missing'"),
        ("no_such_module_here:Placer", "No module named 'no_such_module_here'"),
    ],
)
def test_a_strategy_that_cannot_be_loaded_stops_the_start(strategies: str, placer: str, said: str) -> None:
    async def scenario() -> None:
        async with started(placer):
            pass

    with pytest.raises(ConfigurationError) as caught:
        run(scenario())
    assert said in str(caught.value)


def test_a_cancelled_question_does_not_answer_the_next_one(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:Good", time_limit_seconds=20.0) as unit:
            asked = asyncio.create_task(unit.decide(REQUESTS["more_work_than_room"]()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            outcome = await unit.decide(a_question())
            assert outcome.problem is None
            assert {one.run_id for one in outcome.plan.placements} == {"a", "b", "c"}

    run(scenario())


def test_closing_leaves_no_worker_behind_even_in_the_middle_of_a_decision(strategies: str) -> None:
    async def scenario() -> None:
        async with started(f"{strategies}:Endless", time_limit_seconds=30.0) as unit:
            pid = unit.worker_pid
            assert pid is not None
            asked = asyncio.create_task(unit.decide(a_request([], [], time_limit_seconds=30.0)))
            await asyncio.sleep(0.1)
            await unit.aclose()
            assert not is_alive(pid)
            assert (await asked).strategy == "fifo_greedy"
            assert unit.worker_pid is None

    run(scenario())


SERVER = """
    import asyncio, sys
    from server.components.decision_unit import DecisionUnit
    from server.testing.contracts.placer import REQUESTS

    async def serve():
        unit = DecisionUnit(placer=sys.argv[1], new_id=str, time_limit_seconds=600)
        await unit.start()
        print(unit.worker_pid, flush=True)
        if sys.argv[2] == "busy":
            await unit.decide(REQUESTS["chains_on_unequal_nodes"]())
        await asyncio.sleep(600)

    asyncio.run(serve())
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_leaves_no_worker_behind(
    strategies: str, tmp_path: Path, project_root: Path, state: str, how: signal.Signals
) -> None:
    program = tmp_path / "serve.py"
    program.write_text(textwrap.dedent(SERVER))
    server = subprocess.Popen(
        [sys.executable, program, f"{strategies}:Endless", state],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{project_root}"},
    )
    try:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert is_alive(pid)
        server.send_signal(how)
        server.wait(60)
        run(gone(pid))
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def test_the_worker_knows_no_secrets_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nosy.py").write_text(
        textwrap.dedent(
            """
            import os
            from server.placers.fifo_greedy import FifoGreedy

            class Nosy(FifoGreedy):
                name, summary = "nosy", "Looks around."
                source = str(sorted(name for name in os.environ if "MLOPX" in name or "DATABASE" in name))
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("MLOPX_STRICT_TESTS", raising=False)
    monkeypatch.setenv("MLOPX_TOKEN", "s3cret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cret@localhost/x")

    async def scenario() -> None:
        async with started("nosy:Nosy") as unit:
            (info,) = [info for info in unit.catalogue() if info.is_current]
            assert info.source == "[]"

    run(scenario())


def test_nobody_waits_for_a_strategy_that_gets_warm_even_where_no_fallback_is_named(strategies: str) -> None:
    async def scenario() -> None:
        more = {"start_patience_seconds": 0.1, "time_limit_seconds": 60.0, "fallback": None}
        async with started(f"{strategies}:SlowToWarm", **more) as unit:
            cold = await unit.decide(REQUESTS["chains_on_unequal_nodes"]())
            assert (cold.strategy, unit.failures) == ("fifo_greedy", {"cold": 1})
            assert cold.plan.placements
            assert cold.problem is not None
            assert "was not ready within 0.1 s" in cold.problem

    run(scenario())
