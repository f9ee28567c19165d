"""The governor gives a task exactly its share; cgroups are written as the kernel wants them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.local import cgroups
from server.platforms.local.cgroups import CgroupV1, CgroupV2
from server.platforms.local.throttle import PERIOD_SECONDS, TICK_SECONDS, Governor, Limits

NANO = 1_000_000_000


class Machine:
    """Processes that use a whole core each while they are not stopped, and take a tick to hear a signal."""

    def __init__(self, processes: int) -> None:
        self.spent = dict.fromkeys(range(1, processes + 1), 0)
        self.stopped: set[int] = set()

    def governor(self) -> Governor:
        return Governor(members_of=lambda _: list(self.spent), spent=self.spent.__getitem__, signal_to=self.signal)

    def signal(self, pid: int, number: int) -> None:
        if number == signal.SIGSTOP:
            self.stopped.add(pid)
        else:
            self.stopped.discard(pid)

    def run(self, governor: Governor, seconds: float, tick: float = TICK_SECONDS) -> float:
        """Let time pass; the cores used on average."""
        before = sum(self.spent.values())
        for _ in range(round(seconds / tick)):
            for pid in self.spent:
                if pid not in self.stopped:
                    self.spent[pid] += round(tick * NANO)
            governor.tick("task", 1, tick)
        return (sum(self.spent.values()) - before) / NANO / seconds


@given(cores=st.floats(0.05, 3.9), processes=st.integers(1, 8))
def test_the_governor_gives_a_task_its_share_however_many_processes_it_has(cores: float, processes: int) -> None:
    machine = Machine(processes)
    governor = machine.governor()
    governor.prepare("task", Limits(cores))
    used = machine.run(governor, 30.0)
    assert used == pytest.approx(min(cores, processes), rel=0.05, abs=0.02)


def test_an_idle_task_saves_up_no_more_than_one_period() -> None:
    machine = Machine(1)
    governor = machine.governor()
    governor.prepare("task", Limits(0.5))
    machine.stopped.add(1)
    for _ in range(1000):
        governor.tick("task", 1, TICK_SECONDS)
    machine.stopped.discard(1)
    assert machine.run(governor, 1.0) <= 0.5 + PERIOD_SECONDS * 0.5 + 2 * TICK_SECONDS


def test_a_late_tick_is_made_up_for() -> None:
    machine = Machine(2)
    governor = machine.governor()
    governor.prepare("task", Limits(0.4))
    assert machine.run(governor, 60.0, tick=0.07) == pytest.approx(0.4, rel=0.1)


def v1(root: Path) -> CgroupV1:
    for name, files in {
        "cpu,cpuacct": ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
        "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    }.items():
        for folder in (root / name / "mlopx-x", root / name / "mlopx-x" / "t"):
            folder.mkdir(parents=True)
            for file in files:
                (folder / file).touch()
    found = CgroupV1.probe(root, "5:cpu,cpuacct:/\n4:memory:/\n1:name=systemd:/\n", "x")
    assert found is not None
    return found


def test_version_one_is_told_quota_period_and_memory(tmp_path: Path) -> None:
    throttle = v1(tmp_path)
    files = throttle.prepare("t", Limits(0.25, 64 << 20))
    cpu, memory = tmp_path / "cpu,cpuacct/mlopx-x/t", tmp_path / "memory/mlopx-x/t"
    assert files == [str(cpu / "cgroup.procs"), str(memory / "cgroup.procs")]
    assert (cpu / "cpu.cfs_period_us").read_text() == "100000"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "25000"
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert throttle.limits_memory


def test_version_one_reports_peak_and_kills(tmp_path: Path) -> None:
    throttle = v1(tmp_path)
    memory = tmp_path / "memory/mlopx-x/t"
    (memory / "memory.max_usage_in_bytes").write_text("12345\n")
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    seen = throttle.seen("t")
    assert (seen.peak_bytes, seen.kills) == (12345, 2)


def test_version_two_is_told_in_one_line(tmp_path: Path) -> None:
    base = tmp_path / "user.slice"
    for folder in (base, base / "mlopx-x", base / "mlopx-x" / "t"):
        folder.mkdir(parents=True)
        for name in ("cgroup.controllers", "cgroup.subtree_control"):
            (folder / name).write_text("cpu memory")
        for name in ("cgroup.procs", "cpu.max", "memory.max", "memory.oom.group"):
            (folder / name).touch()
    throttle = CgroupV2.probe(tmp_path, "0::/user.slice\n", "x")
    assert throttle is not None
    throttle.prepare("t", Limits(1.5, 1 << 30))
    group = base / "mlopx-x" / "t"
    assert (group / "cpu.max").read_text() == "150000 100000"
    assert (group / "memory.max").read_text() == str(1 << 30)
    assert (group / "memory.oom.group").read_text() == "1"


def test_version_two_tells_the_pressure_of_all_tasks_where_the_kernel_counts_it(tmp_path: Path) -> None:
    throttle = CgroupV2(tmp_path, has_memory=True)
    assert throttle.pressure_seconds() == {}
    (tmp_path / "cpu.pressure").write_text(
        "some avg10=1.50 avg60=0.40 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    )
    (tmp_path / "memory.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    (tmp_path / "io.pressure").write_text("")  # pressure is switched off in this kernel
    assert throttle.pressure_seconds() == {"cpu": 2.5, "memory": 0.0}
    assert Governor().pressure_seconds() == {}


def test_version_two_without_the_cpu_controller_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    assert CgroupV2.probe(tmp_path, "0::/\n", "x") is None
    assert list(tmp_path.iterdir()) == [tmp_path / "cgroup.controllers"]


def test_what_cannot_be_had_is_refused_and_auto_takes_the_governor(tmp_path: Path) -> None:
    assert cgroups.choose("auto", "x", root=tmp_path).name == "governor"
    with pytest.raises(RuntimeError, match="does not let this user limit tasks by cgroup-v2"):
        cgroups.choose("cgroup-v2", "x", root=tmp_path)
