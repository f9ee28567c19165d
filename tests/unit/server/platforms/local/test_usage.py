"""What tasks use of a node: counted once, never backwards, and told in the node's own CPUs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.local.cluster_file import node_of
from server.platforms.local.links import AgentLink
from server.platforms.local.log_file import LogFile
from server.platforms.local.processes import CpuTimes, cpu_times
from server.platforms.local.running import Running
from server.platforms.local.usage import CpuAccount, UsageMeter

MIB = 1 << 20


def report(seconds: float, user: float, system: float = 0.0, pid: int = 1, memory: int = 0) -> dict[str, Any]:
    return {
        "pid": pid,
        "seconds": seconds,
        "user_seconds": user,
        "system_seconds": system,
        "memory_bytes": memory,
    }


def meter(cpus: int = 2, speed: float = 0.5) -> UsageMeter:
    return UsageMeter(node_of("alpha", cpus * 1000, speed, 1024 * MIB, {}))


def test_a_second_of_a_slow_cpu_is_its_share_of_a_core() -> None:
    usage = meter().usage(report(10.0, user=3.0, system=1.0, memory=256 * MIB))
    assert (usage.user_seconds, usage.system_seconds, usage.idle_seconds) == (6.0, 2.0, 12.0)
    assert (usage.memory_total_bytes, usage.memory_used_bytes) == (1024 * MIB, 256 * MIB)


def test_pressure_is_passed_on_where_the_agent_tells_it() -> None:
    told = {**report(10.0, user=1.0), "pressure_seconds": {"cpu": 2.5}}
    assert meter().usage(told).pressure_seconds == {"cpu": 2.5}
    assert meter().usage(report(10.0, user=1.0)).pressure_seconds == {}


def test_a_task_that_uses_more_than_its_node_has_takes_no_idle_time_back() -> None:
    asked = meter(cpus=1, speed=1.0)
    assert asked.usage(report(10.0, user=2.0)).idle_seconds == 8.0
    assert asked.usage(report(11.0, user=6.0)).idle_seconds == 8.0
    assert asked.usage(report(12.0, user=6.0)).idle_seconds == 9.0


def test_a_new_agent_begins_at_zero() -> None:
    asked = meter(cpus=1, speed=1.0)
    asked.usage(report(100.0, user=50.0))
    usage = asked.usage(report(1.0, user=0.25, pid=2))
    assert (usage.user_seconds, usage.idle_seconds) == (0.25, 0.75)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=30
    )
)
def test_cpu_time_never_goes_back_and_holds_every_task_that_ended(steps: list[tuple[str, bool, float, float]]) -> None:
    account, before, ended = CpuAccount(), CpuTimes(0.0, 0.0), CpuTimes(0.0, 0.0)
    for task, is_end, user, system in steps:
        if is_end:
            account.close(task, CpuTimes(user, system))
            ended = CpuTimes(ended.user_seconds + user, ended.system_seconds + system)
        else:
            account.look(task, [CpuTimes(user / 2, system), CpuTimes(user / 2, 0.0)])
        total = account.total
        for name in CpuTimes._fields:
            assert getattr(total, name) >= getattr(before, name) - 1e-9
            assert getattr(total, name) >= getattr(ended, name) - 1e-9
        before = total


def test_a_report_measures_tasks_that_run(tmp_path: Path) -> None:
    task = Running("run/task:1", "tag", {}, LogFile(tmp_path / "log"), str(tmp_path), pid=os.getpid())
    starting = Running("run/next:1", "tag", {}, LogFile(tmp_path / "next"), str(tmp_path))
    account, known = CpuAccount(), os.times()
    told = account.report([task, starting], 5.0)
    assert (told["event"], told["pid"], told["seconds"]) == ("usage", os.getpid(), 5.0)
    assert told["user_seconds"] >= known.user + known.children_user - 0.02
    assert told["memory_bytes"] > MIB
    assert set(account.live) == {task.id}
    for one in (task, starting):
        one.log.close()


async def test_an_agent_that_cannot_be_asked_tells_nothing(tmp_path: Path) -> None:
    link = AgentLink("alpha", tmp_path, {}, lambda _link, _message: None)
    assert await link.usage() is None  # it has not said yet what it can do
    link.hello = {"tells_usage": True}
    assert await link.usage() is None  # the connection is gone


def test_cpu_times_are_those_of_the_kernel_and_nothing_for_a_process_that_is_gone() -> None:
    sum(range(1_000_000))
    times, known = cpu_times(os.getpid()), os.times()
    assert times.user_seconds == pytest.approx(known.user + known.children_user, abs=0.1)
    assert times.system_seconds == pytest.approx(known.system + known.children_system, abs=0.1)
    assert cpu_times(2**22 + 1) == (0.0, 0.0)
