"""What a task may do on the local platform, and what is told of it. Each is a real process of a real agent."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mlopx.spec import SecretEnv
from server.domain import events as happened
from server.domain.errors import PlatformError
from server.domain.resources import Resources
from server.platforms.local.processes import with_variable
from server.testing.local_ground import Ground, Opener, opener

INT = {"outputs": {"result": {"kind": "parameter", "type": "int"}}}
TEXT = {"outputs": {"result": {"kind": "parameter", "type": "str"}}}
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); return 1"
"""No file of the process can grow: as on a full disk."""

DATASET = {"outputs": {"data": {"kind": "artifact", "type": "Dataset"}}}


def of_task(ground: Ground) -> list[int]:
    """Processes that descend from the agent's zygote, without the zygote itself."""
    (folder,) = (ground.folder / "agents").iterdir()
    return with_variable("MLOPX_AGENT", str(folder))[1:]


async def test_a_function_returns_its_value_and_its_prints_are_its_log(ground: Opener) -> None:
    async with ground() as it:
        launch = await it.start("def work():\n    print('hello')\n    return 41 + 1\n", component=INT)
        end = await it.told_of(launch)
        assert end.outputs["result"].value == 42
        assert it.log(launch) == b"hello\n"
        started = await it.told_of(launch, (happened.TaskStarted,))
        assert started.node == "alpha"
        assert started.at <= end.at


async def test_binding_twice_runs_once(ground: Opener) -> None:
    async with ground() as it:
        it.is_acknowledging = False
        launch = await it.start("def work():\n    print('ran')\n")
        await it.platform.bind(launch)
        await it.told_of(launch)
        await it.platform.bind(launch)
        await it.run("def work():\n    pass\n", name="another")
        assert it.log(launch) == b"ran\n"


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("raise ValueError('no rows')", "user-code", "ValueError: no rows"),
        ("import not_there_at_all", "import", "not_there_at_all"),
        ("import os; os._exit(137)", "exit-code", "exit code 137"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit-code", "SIGSEGV"),
        ("raise SystemExit(7)", "exit-code", "exit(7)"),
        (FULL_DISK, "exit-code", "the task ran, but its result could not be written"),
        ("return 'text'", "output", "must be of type int"),
        ("return None", "output", "nothing (None)"),
    ],
)
async def test_the_error_names_what_went_wrong(ground: Opener, body: str, kind: str, says: str) -> None:
    async with ground() as it:
        end = await it.run(f"def work():\n    {body}\n", component=INT)
        assert isinstance(end, happened.TaskFailed)
        assert end.error.kind == kind
        assert says in end.error.message


async def test_a_traceback_shows_the_users_lines_only(ground: Opener) -> None:
    async with ground() as it:
        end = await it.run("def work():\n    wrong = {}\n    return wrong['key']\n", component=INT)
        assert "return wrong['key']" in end.error.traceback
        assert "mlopx" not in end.error.traceback


async def test_an_output_that_was_not_written_is_named(ground: Opener) -> None:
    async with ground() as it:
        end = await it.run("def work(data):\n    pass\n", component=DATASET)
        assert end.error.kind == "output"
        assert "output 'data' (Dataset) was not written" in end.error.message


async def test_an_output_may_not_lead_out_of_what_tasks_share(ground: Opener) -> None:
    async with ground() as it:
        end = await it.run(
            "def work(data):\n    import os\n    os.symlink('/etc/hostname', data.path)\n", component=DATASET
        )
        assert end.error.kind == "output"
        assert "/etc/hostname" in end.error.message


async def test_a_hundred_megabytes_of_output_stay_bounded(ground: Opener) -> None:
    source = """
        def work():
            print("first line")
            for _ in range(100):
                print("x" * (1 << 20))
            print("last line")
    """
    async with ground() as it:
        launch = await it.start(source)
        assert isinstance(await it.told_of(launch), happened.TaskSucceeded)
        log = it.log(launch)
        assert len(log) < 8 << 20
        assert log.startswith(b"first line\n")
        assert log.endswith(b"last line\n")
        assert b"bytes of output were left out here" in log


async def test_children_that_a_task_leaves_behind_are_killed(ground: Opener) -> None:
    source = """
        def work():
            import os, time
            for hide in (False, True):
                if os.fork() == 0:
                    if hide:
                        os.setsid()
                        if os.fork():
                            os._exit(0)
                    time.sleep(600)
            return os.getpid()
    """
    async with ground() as it:
        assert isinstance(await it.run(source, component=INT), happened.TaskSucceeded)
        assert of_task(it) == []


@pytest.mark.parametrize("throttle", ["governor", "auto"])
async def test_a_timeout_ends_even_a_task_that_ignores_sigterm(ground: Opener, throttle: str, monkeypatch: Any) -> None:
    source = """
        def work():
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                while True: pass
            while True: pass
    """
    async with ground(throttle=throttle) as it:
        end = await it.run(source, timeout_seconds=0.3)
        assert end.error.kind == "timeout"
        assert "timeout of 0.3 s" in end.error.message
        assert of_task(it) == []


async def test_a_cancelled_task_may_clean_up(ground: Opener) -> None:
    source = """
        def work():
            import signal, sys, time
            def clean(*_):
                print("cleaned up", flush=True)
                sys.exit(1)
            signal.signal(signal.SIGTERM, clean)
            print("running", flush=True)
            time.sleep(600)
    """
    async with ground() as it:
        launch = await it.start(source)
        await it.told_of(launch, (happened.TaskStarted,))
        await until(lambda: b"running" in it.log(launch))
        await it.cancel(launch)
        assert isinstance(await it.told_of(launch), happened.TaskCancelled)
        assert b"cleaned up" in it.log(launch)


async def test_what_is_cancelled_before_it_came_never_runs(ground: Opener) -> None:
    async with ground() as it:
        launch = it.launch("def work():\n    pass\n")
        await it.cancel(launch)
        assert isinstance(await it.told_of(launch), happened.TaskCancelled)
        await it.platform.bind(launch)
        assert [one for one in it.told if isinstance(one.event, happened.TaskStarted)] == []


@pytest.mark.parametrize("throttle", ["governor", "auto"])
async def test_a_task_that_takes_more_memory_than_it_asked_for_is_killed(ground: Opener, throttle: str) -> None:
    source = """
        def work():
            import time
            held = [bytearray(16 << 20) for _ in range(12)]
            for one in held:
                one[::4096] = b"x" * len(one[::4096])
            time.sleep(60)
    """
    async with ground(throttle=throttle) as it:
        end = await it.run(source, requests=Resources(cpu_millicores=1000, memory_bytes=100 << 20, pods=1))
        assert end.error.kind == "oom"
        assert "OOMKilled" in end.error.message
        assert "100 MiB" in end.error.message
        assert end.error.exit_code == 137
        assert end.peak_memory_bytes >= 90 << 20


async def test_memory_counts_over_all_processes_of_a_task(ground: Opener) -> None:
    source = """
        def work():
            import os, time
            for _ in range(4):
                if os.fork() == 0:
                    held = bytearray(40 << 20)
                    held[::4096] = b"x" * len(held[::4096])
                    time.sleep(60)
            time.sleep(60)
    """
    async with ground() as it:
        end = await it.run(source, requests=Resources(cpu_millicores=1000, memory_bytes=100 << 20, pods=1))
        assert end.error.kind == "oom"


async def test_tasks_do_not_see_the_servers_settings(ground: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPX_TOKEN", "hush-token")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush@somewhere/db")
    source = """
        def work():
            import json, os
            return json.dumps(dict(os.environ))
    """
    async with ground() as it:
        end = await it.run(source, component=TEXT)
        assert "hush" not in end.outputs["result"].value
        assert "MLOPX_RUN" in end.outputs["result"].value


async def test_secrets_come_as_environment_and_a_missing_one_is_named(ground: Opener) -> None:
    source = "def work():\n    import os\n    return os.environ['WORD']\n"
    async with ground() as it:
        end = await it.run(source, component=TEXT, secrets=(SecretEnv(env="WORD", secret="vault", key="word"),))
        assert end.outputs["result"].value == "hush"
        with pytest.raises(PlatformError, match="secret 'vault' has no key 'other' here"):
            await it.start(source, name="other", secrets=(SecretEnv(env="WORD", secret="vault", key="other"),))


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
async def test_under_root_a_task_has_no_rights(ground: Opener) -> None:
    source = """
        def work(data):
            import os
            open(data.path, "w").write("mine")
            found = [os.getuid(), os.getgid(), len(os.getgroups())]
            for path in ("/etc/passwd", data.path + "/../../../../state-of-others"):
                try:
                    open(path, "a")
                    found.append("wrote " + path)
                except OSError:
                    pass
            return str(found)
    """
    outputs = {"data": {"kind": "artifact", "type": "Dataset"}, "result": {"kind": "parameter", "type": "str"}}
    async with ground() as it:
        end = await it.run(source, component={"outputs": outputs})
        assert end.outputs["result"].value == "[65534, 65534, 0]"
        path = Path(end.outputs["data"].artifact.uri.removeprefix("file://"))
        assert path.read_text() == "mine"
        assert path.stat().st_uid == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
async def test_a_folder_that_is_closed_while_an_agent_runs_stops_no_task() -> None:
    source = """
        def work():
            import os
            return os.getuid()
    """
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with opener(Path(folder) / "state")() as it:
            assert (await it.run(source, name="before", component=INT)).outputs["result"].value == 65534
            Path(folder).chmod(0o700)
            assert (await it.run(source, name="after", component=INT)).outputs["result"].value == 65534


async def test_a_bad_package_fails_the_task_with_its_name(ground: Opener) -> None:
    async with ground() as it:
        end = await it.run("def work():\n    pass\n", component={"packages": ["not a requirement!!"]})
        assert end.error.kind == "environment"
        assert "not a requirement!!" in end.error.message


async def test_sizes_and_digests_of_outputs_are_recorded(ground: Opener) -> None:
    async with ground() as it:
        end = await it.run("def work(data):\n    open(data.path, 'w').write('abc')\n", component=DATASET)
        artifact = end.outputs["data"].artifact
        assert artifact.size_bytes == 3
        assert artifact.digest == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_tasks_side_by_side_keep_their_own_files_and_logs(ground: Opener) -> None:
    source = """
        def work():
            import os
            open("own.txt", "w").write(os.environ["MLOPX_TASK"])
            print(os.environ["MLOPX_TASK"])
            return open("own.txt").read()
    """
    async with ground() as it:
        launches = [await it.start(source, name=f"task-{number}", component=TEXT) for number in range(8)]
        for number, launch in enumerate(launches):
            end = await it.told_of(launch)
            assert end.outputs["result"].value == f"task-{number}"
            assert it.log(launch) == f"task-{number}\n".encode()


async def until(holds: Any, seconds: float = 60.0) -> None:
    """Wait for a condition."""
    import asyncio

    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        await asyncio.sleep(0.01)
