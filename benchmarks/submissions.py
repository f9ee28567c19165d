"""How fast submissions are accepted (durably), and how fast runs are read when many are stored."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from benchmarks.definitions import single
from benchmarks.ground import BenchServer, serving
from benchmarks.measure import Measure, percentile
from benchmarks.overhead import NODES
from mlopx.spec import to_json

CLIENTS = 8
RUNS = 10_000
READS = 300


def measure(folder: Path) -> Iterator[Measure]:
    """Submissions per second and their latency; then list and get with all those runs stored."""
    with serving(folder / "submissions", NODES, PLACER="fifo_greedy") as server:
        begin = time.perf_counter()
        latencies = _submit_all(server, RUNS)
        rate = RUNS / (time.perf_counter() - begin)
        commits = _commits_per_second(folder)
        yield Measure(
            f"submissions by {CLIENTS} clients",
            rate,
            "1/s",
            least=150,
            baseline=commits,
            baseline_name="bare commits/s",
        )
        yield Measure("submission, p99", percentile(latencies, 0.99) * 1000, "ms", most=200)
        _wait_until_all_ended(server)
        with httpx.Client(base_url=server.url) as http:
            light = percentile(_timed(lambda: http.get("/healthz"), READS), 0.95)
            listing = percentile(_timed(lambda: http.get("/api/v1/runs", params={"limit": 50}), READS), 0.95)
            ids = [run["id"] for run in http.get("/api/v1/runs", params={"limit": 50}).json()["runs"]]
            turn = iter(ids * READS)
            getting = percentile(_timed(lambda: http.get(f"/api/v1/runs/{next(turn)}"), READS), 0.95)
        more = {"unit": "ms", "most": 20.0, "baseline": light * 1000, "baseline_name": "/healthz"}
        yield Measure(f"list of 50 among {RUNS:,} runs, p95", listing * 1000, **more)
        yield Measure(f"get one of {RUNS:,} runs, p95", getting * 1000, **more)


def _submit_all(server: BenchServer, count: int) -> list[float]:
    spec = to_json(single.build()).encode()
    latencies: list[float] = []
    failures: list[str] = []
    turn = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            while True:
                with lock:
                    if next(turn, None) is None:
                        return
                begin = time.perf_counter()
                files = {"spec": ("spec.json", spec, "application/json")}
                answer = http.post("/submit/", files=files, headers={"Idempotency-Key": uuid.uuid4().hex})
                latencies.append(time.perf_counter() - begin)
                if answer.status_code != 202:
                    failures.append(answer.text)
                    return

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"a submission was not accepted: {failures[0]}")
    return latencies


def _wait_until_all_ended(server: BenchServer, seconds: float = 900.0) -> None:
    end = time.monotonic() + seconds
    while any(server.client.get("/api/v1/runs", state=state, limit=1)["runs"] for state in ("waiting", "running")):
        if time.monotonic() > end:
            raise TimeoutError("the submitted runs did not end")
        time.sleep(1)


def _timed(call: Callable[[], httpx.Response], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        call().raise_for_status()
        seconds.append(time.perf_counter() - begin)
    return seconds


def _commits_per_second(folder: Path, count: int = 300) -> float:
    """What this disk can do: one row and one durable commit at a time."""
    path = folder / "commits.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("create table row (text)")
    begin = time.perf_counter()
    for _ in range(count):
        connection.execute("insert into row values (?)", (os.urandom(500),))
    seconds = time.perf_counter() - begin
    connection.close()
    return count / seconds
