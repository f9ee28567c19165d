"""Agents outlive the server, and their death is seen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from server.domain import events as happened
from server.platforms.local.processes import children_of, is_ended, with_variable
from server.testing.local_ground import Ground, Opener

INT = {"outputs": {"result": {"kind": "parameter", "type": "int"}}}
SLOW = """
    def work():
        import time
        print("running", flush=True)
        time.sleep(1.0)
        return 7
"""
ENDLESS = "def work():\n    import time\n    time.sleep(600)\n"


def agent_pid(ground: Ground) -> int:
    return int(ground.platform._links["alpha"].hello["pid"])


def marked(ground: Ground) -> list[int]:
    return with_variable("MLOPX_AGENT", str(ground.folder / "agents" / "alpha"))


async def gone(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while not all(is_ended(pid) for pid in pids):
        assert time.monotonic() < end, "processes were left behind"
        await asyncio.sleep(0.02)


async def test_a_task_that_outlives_the_server_is_found_again(ground: Opener) -> None:
    async with ground(stop_tasks=False) as first:
        launch = await first.start(SLOW, component=INT)
        await first.told_of(launch, (happened.TaskStarted,))
        agent = agent_pid(first)
    async with ground() as second:
        assert agent_pid(second) == agent
        await second.platform.reconcile({launch.attempt_id: (launch.run_id, launch.key, launch.attempt)})
        end = await second.told_of(launch)
        assert end.outputs["result"].value == 7


async def test_an_end_is_told_until_it_is_acknowledged(ground: Opener) -> None:
    async with ground(stop_tasks=False) as first:
        first.is_acknowledging = False
        launch = await first.start("def work():\n    return 1\n", component=INT)
        await first.told_of(launch)
    async with ground(stop_tasks=False) as second:
        assert isinstance(await second.told_of(launch), happened.TaskSucceeded)
        await asyncio.sleep(0.1)
    async with ground() as third:
        await third.platform.reconcile({launch.attempt_id: (launch.run_id, launch.key, launch.attempt)})
        assert isinstance(await third.told_of(launch), happened.TaskLost)


async def test_a_task_ends_when_its_process_is_gone_however_late_its_agent_hears(ground: Opener) -> None:
    async with ground() as it:
        launch = await it.start(SLOW, component=INT)
        started = await it.told_of(launch, (happened.TaskStarted,))
        agent = agent_pid(it)
        (task,) = (pid for zygote in children_of(agent) for pid in children_of(zygote))
        os.kill(agent, signal.SIGSTOP)
        try:
            await gone([task])
            gone_at = time.time()  # noqa: TID251 - real processes end at real times
            await asyncio.sleep(2)
        finally:
            os.kill(agent, signal.SIGCONT)
        end = await it.told_of(launch)
        assert (end.at - started.at).total_seconds() >= 1
        assert end.at.timestamp() < gone_at + 1


async def test_an_end_survives_the_agent(ground: Opener) -> None:
    async with ground(stop_tasks=False) as first:
        first.is_acknowledging = False
        launch = await first.start("def work():\n    return 1\n", component=INT)
        await first.told_of(launch)
        os.kill(agent_pid(first), signal.SIGKILL)
    async with ground() as second:
        assert isinstance(await second.told_of(launch), happened.TaskSucceeded)


async def test_tasks_of_a_killed_agent_are_lost_and_leave_nothing(ground: Opener) -> None:
    async with ground() as it:
        launch = await it.start(ENDLESS)
        await it.told_of(launch, (happened.TaskStarted,))
        left = marked(it)
        os.kill(agent_pid(it), signal.SIGKILL)
        end = await it.told_of(launch)
        assert isinstance(end, happened.TaskLost)
        assert "alpha" in end.reason
        await gone(left)
        again = await it.run("def work():\n    return 2\n", name="again", component=INT)
        assert again.outputs["result"].value == 2


async def test_tasks_of_a_killed_zygote_are_lost(ground: Opener) -> None:
    async with ground() as it:
        launch = await it.start(ENDLESS)
        await it.told_of(launch, (happened.TaskStarted,))
        left = marked(it)
        (zygote,) = children_of(agent_pid(it))
        os.kill(zygote, signal.SIGKILL)
        assert isinstance(await it.told_of(launch), happened.TaskLost)
        await gone(left)


async def test_a_server_that_stops_its_agents_loses_no_running_task(ground: Opener) -> None:
    async with ground() as first:
        launch = await first.start(ENDLESS)
        await first.told_of(launch, (happened.TaskStarted,))
        left = [agent_pid(first), *marked(first)]
    await gone(left)
    async with ground() as second:
        end = await second.told_of(launch)
        assert isinstance(end, happened.TaskLost)


async def test_an_agent_that_nobody_comes_back_to_leaves(ground: Opener) -> None:
    async with ground(stop_tasks=False, grace_seconds=0.2) as it:
        await it.told_of(await it.start(ENDLESS), (happened.TaskStarted,))
        left = [agent_pid(it), *marked(it)]
    await gone(left)


async def test_agents_leave_nothing_in_the_temporary_folder(ground: Opener) -> None:
    async with ground() as it:
        socket = Path(it.platform._links["alpha"]._socket)
        await it.told_of(await it.start(ENDLESS), (happened.TaskStarted,))
        first = agent_pid(it)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while agent_pid(it) == first:
                await asyncio.sleep(0.02)
        assert socket.is_socket()
    assert not socket.parent.exists()


async def test_an_agent_without_a_grace_time_waits_for_who_started_it(ground: Opener) -> None:
    async with ground() as it:
        config = json.loads((it.folder / "agents" / "alpha" / "config.json").read_text())
    config["grace_seconds"] = 0
    file = it.folder / "again.json"
    file.write_text(json.dumps(config))
    agent = await asyncio.create_subprocess_exec(sys.executable, "-m", "server.platforms.local.agent", str(file))
    while not Path(config["socket"]).exists():
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.4)
    reader, writer = await asyncio.open_unix_connection(config["socket"])
    assert json.loads(await reader.readline())["pid"] == agent.pid
    writer.close()
    assert await agent.wait() == 0


async def test_an_idle_agent_takes_up_new_settings(ground: Opener) -> None:
    async with ground(stop_tasks=False) as first:
        before = agent_pid(first)
    async with ground(preload=("json",)) as second:
        end: Any = await second.run("def work():\n    return 3\n", component=INT)
        assert end.outputs["result"].value == 3
        assert agent_pid(second) != before
