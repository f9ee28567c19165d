"""Gets compiled strategies ready: small requests to place once, and `python -m server.placers.warming`, which fills the
cache of compiled code ahead of need (a minute or two of processor time, once)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from multiprocessing import get_context

from server.domain.node import Node, Occupancy, Snapshot
from server.domain.placement import (
    DEFAULT_OPTION,
    BoundTask,
    Estimate,
    Estimates,
    PlacementRequest,
    TaskOption,
    WaitingRun,
    WaitingTask,
)
from server.domain.resources import Resources
from server.domain.run import TaskKey

USUAL = ("server.placers.online:Online", "server.placers.srpt_eft:SrptEft", "server.placers.heft:Heft")
EVERYTHING = "server.planning.warming:warm"
"""Strategies to get warm, and what compiles for all of them; each as module and name."""

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST, _SECOND = TaskKey("first"), TaskKey("second")


def small_requests() -> Iterator[PlacementRequest]:
    """Two runs of two tasks on nodes that run one task at a time, and on nodes that run several; and a ready task that
    starts now in room which a run before it keeps for later."""
    for cpu_millicores in (1000, 4000):
        yield _request(cpu_millicores)
    yield _pushing()


def _request(cpu_millicores: int) -> PlacementRequest:
    nodes = tuple(Node(name, Resources.of(cpu_millicores=cpu_millicores, pods=9)) for name in ("a", "b"))
    asked = Resources.of(cpu_millicores=1000, pods=1)
    taken = Occupancy("a", asked, None, None, _NOW + timedelta(seconds=5))
    runs = tuple(_run(name, asked) for name in ("one", "two"))
    profiles = {(task.run_id, task.key, DEFAULT_OPTION): 0 for run in runs for task in run.tasks}
    estimate = Estimate(10.0, 8.0, 12.0)
    estimates = Estimates(profiles, {"a": 0, "b": 1}, ((estimate, estimate),))
    return PlacementRequest(1, _NOW, runs, Snapshot(_NOW, nodes, (taken,)), estimates)


def _run(name: str, asked: Resources) -> WaitingRun:
    options = (TaskOption(DEFAULT_OPTION, asked),)
    first = WaitingTask(name, _FIRST, "c", "d", True, options)
    second = WaitingTask(name, _SECOND, "c", "d", False, options, waits_for=(_FIRST,))
    return WaitingRun(name, name, _NOW, (first, second))


def _pushing() -> PlacementRequest:
    """The first run needs an accelerator once what runs has ended; until then it would be idle on node `a`."""
    has = Resources.of(cpu_millicores=4000, accelerators={"gpu": 1}, pods=9)
    asked = Resources.of(accelerators={"gpu": 1}, pods=1)
    prepared_at, free_at = _NOW + timedelta(seconds=300), _NOW + timedelta(seconds=290)
    bound = BoundTask("first", _FIRST, "b", DEFAULT_OPTION, Resources.of(pods=1), _NOW, prepared_at)
    taken = (
        Occupancy("b", bound.requests, "first", str(_FIRST), prepared_at),
        Occupancy("b", asked, None, None, free_at),
    )
    options = (TaskOption(DEFAULT_OPTION, asked),)
    train = WaitingTask("first", _SECOND, "train", "d", False, options, waits_for=(_FIRST,))
    tune = WaitingTask("second", _FIRST, "tune", "d", True, options)
    runs = (
        WaitingRun("first", "first", _NOW, (train,), bound=(bound,), priority=1),
        WaitingRun("second", "second", _NOW, (tune,), done_seconds=60.0),
    )
    rows = tuple((Estimate(seconds, seconds, seconds),) * 2 for seconds in (900.0, 2000.0))
    profiles = {("first", _SECOND, DEFAULT_OPTION): 0, ("second", _FIRST, DEFAULT_OPTION): 1}
    nodes = (Node("a", has), Node("b", has))
    return PlacementRequest(1, _NOW, runs, Snapshot(_NOW, nodes, taken), Estimates(profiles, {"a": 0, "b": 1}, rows))


def main(arguments: Sequence[str] = ()) -> None:
    """Compile side by side what strategies need, or say why that is left to the first start.

    With `--all` also what only seldom chosen strategies, questions to solve and tests use (a minute or two more).
    """
    jobs = [*USUAL, EVERYTHING] if "--all" in arguments else [*USUAL]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(jobs)), get_context("spawn")) as pool:
        for job, answer in [(job, pool.submit(_warm, job)) for job in jobs]:
            try:
                answer.result()
            except Exception as error:  # of the job, or its process was killed
                sys.stderr.write(f"what {job} needs will be compiled when it is first used: {error}\n")


def _warm(job: str) -> None:
    module, _, name = job.partition(":")
    found = getattr(import_module(module), name)
    (found().warm if isinstance(found, type) else found)()


if __name__ == "__main__":
    main(sys.argv[1:])


__all__ = ["small_requests"]
