"""A real Prometheus that scrapes a real node exporter, and an endpoint whose text the test changes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from server.api.node_metrics import NodeUsages
from server.cli.app import app
from server.cluster.prometheus import PrometheusLoads, prometheus_client
from server.cluster.promql import queries
from server.domain.errors import UnavailableError
from server.domain.node import Load, Usage
from server.testing.processes import free_port

pytestmark = pytest.mark.needs("prometheus", "prometheus-node-exporter")

VIRTUAL = """node_load1 2
node_memory_MemTotal_bytes 16e9
node_memory_MemAvailable_bytes 4e9
node_filesystem_avail_bytes{mountpoint="/",fstype="ext4"} 7e9
DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50
DCGM_FI_DEV_FB_USED{gpu="0"} 1024
DCGM_FI_DEV_FB_FREE{gpu="0"} 3072
"""


@dataclass
class Endpoint:
    """Serves a text, and CPU seconds that grow with time as if so much of two cores were idle."""

    text: str = VIRTUAL
    idle: float = 0.25
    began: float = field(default_factory=time.monotonic)
    server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return int(self.server.server_address[1])

    def embedded(self) -> bytes:
        """What a server tells of an embedded node with four CPUs, three of them busy, and half of its memory used."""
        passed = time.monotonic() - self.began
        usage = Usage(
            cpus=4,
            user_seconds=2.5 * passed,
            system_seconds=0.5 * passed,
            idle_seconds=passed,
            memory_total_bytes=8 << 30,
            memory_used_bytes=4 << 30,
            pressure_seconds={"cpu": 0.25 * passed},
        )
        registry = CollectorRegistry()
        registry.register(NodeUsages({"embedded": usage}))
        return generate_latest(registry)

    def page(self) -> bytes:
        passed = time.monotonic() - self.began
        lines = [
            f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} {passed * share}'
            for cpu in (0, 1)
            for mode, share in (("idle", self.idle), ("user", 1 - self.idle))
        ]
        return (self.text + "\n".join(lines) + "\n").encode()


@dataclass
class Ground:
    url: str
    endpoint: Endpoint


def serve(endpoint: Endpoint) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(endpoint.embedded() if self.path == "/embedded" else endpoint.page())

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def started(stack: ExitStack, *command: str) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 60)
    stack.callback(process.terminate)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("prometheus")
    endpoint, exporter, port = Endpoint(), free_port(), free_port()
    endpoint.server = serve(endpoint)
    targets = [
        {"targets": [f"127.0.0.1:{endpoint.port}"], "labels": {"node": "virtual"}},
        {"targets": [f"127.0.0.1:{endpoint.port}"], "labels": {"__metrics_path__": "/embedded"}},
        {"targets": [f"127.0.0.1:{exporter}"]},
    ]
    (folder / "targets.json").write_text(json.dumps(targets))
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs: [{job_name: nodes, file_sd_configs: [{files: [targets.json]}]}]\n"
    )
    with ExitStack() as stack:
        stack.callback(endpoint.server.server_close)
        stack.callback(endpoint.server.shutdown)
        started(stack, "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}")
        started(
            stack,
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        url = f"http://127.0.0.1:{port}"
        wait_for_rates(url)
        yield Ground(url, endpoint)


def wait_for_rates(url: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            query = {"query": 'count(count by (instance, node) (rate(node_cpu_seconds_total{mode="idle"}[1m])))'}
            found = httpx.get(f"{url}/api/v1/query", params=query).json()["data"]["result"]
            if found and found[0]["value"][1] == "3":
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.2)
    raise TimeoutError("Prometheus has no rates of all three targets")


@pytest.fixture
async def client(ground: Ground) -> AsyncIterator[httpx.AsyncClient]:
    found = prometheus_client(ground.url)
    yield found
    await found.aclose()


def loads(client: httpx.AsyncClient, known: list[str], file: Path | None = None) -> PrometheusLoads:
    now = lambda: datetime.now(UTC)  # noqa: E731, TID251 - a real clock
    return PrometheusLoads(client, queries=queries("1m", file), known=lambda: known, now=now)


async def shown(asked: PrometheusLoads, node: str, holds: Callable[[Load], bool]) -> Load:
    """The load of a node once something holds of it: a scrape may be late, or fail, where the machine is busy."""
    async with asyncio.timeout(120):
        while True:
            found = (await asked.look()).loads.get(node)
            if found is not None and holds(found):
                return found
            await asyncio.sleep(0.2)


def is_three_quarters_busy(load: Load) -> bool:
    """Rates over a few scrapes, some of them late, are rough."""
    return load.cpu_fraction == pytest.approx(0.75, abs=0.1) and load.memory_fraction is not None


async def test_a_real_prometheus_understands_every_query(client: httpx.AsyncClient) -> None:
    asked = loads(client, ["virtual", socket.gethostname()])
    virtual = await shown(asked, "virtual", is_three_quarters_busy)
    assert virtual.memory_fraction == pytest.approx(0.75)
    assert virtual.figures["load_per_cpu"] == 1
    assert virtual.figures["disk_available_bytes"] == 7e9
    assert virtual.figures["gpu_fraction"] == 0.5
    assert virtual.figures["gpu_memory_fraction"] == 0.25
    assert virtual.source == "prometheus, by label node"


async def test_a_real_node_exporter_is_found_by_its_host_name(client: httpx.AsyncClient) -> None:
    asked = loads(client, ["virtual", socket.gethostname()])
    load = await shown(asked, socket.gethostname(), lambda found: found.memory_fraction is not None)
    assert load.source == "prometheus, by host name"
    assert 0 <= (load.cpu_fraction or 0) <= 1
    assert 0 < (load.memory_fraction or 0) < 1
    assert load.figures["disk_available_bytes"] > 0


async def test_the_usage_of_embedded_nodes_is_read_from_a_servers_own_figures(client: httpx.AsyncClient) -> None:
    asked = loads(client, ["virtual", "embedded", socket.gethostname()])

    def is_pressed(load: Load) -> bool:
        """A node that was seen for less than the window has less pressure."""
        return is_three_quarters_busy(load) and 0 < load.figures.get("cpu_pressure", 0) < 0.3

    load = await shown(asked, "embedded", is_pressed)
    assert load.source == "prometheus, by label node"
    assert load.memory_fraction == pytest.approx(0.5)
    assert set(load.figures) == {"memory_available_bytes", "cpu_pressure"}
    assert load.figures["memory_available_bytes"] == 4 << 30


async def test_what_the_endpoint_says_next_is_seen_next(ground: Ground, client: httpx.AsyncClient) -> None:
    asked = loads(client, ["virtual"])
    ground.endpoint.text = VIRTUAL.replace("4e9", "12e9")
    try:
        await shown(asked, "virtual", lambda load: load.memory_fraction == pytest.approx(0.25))
    finally:
        ground.endpoint.text = VIRTUAL
    await shown(asked, "virtual", lambda load: load.memory_fraction == pytest.approx(0.75))


async def test_a_query_that_prometheus_refuses_is_told(client: httpx.AsyncClient, tmp_path: Path) -> None:
    file = tmp_path / "queries.json"
    file.write_text(json.dumps({"ages": "timestamp("}))
    asked = loads(client, [], file)
    with pytest.raises(UnavailableError, match=r"refuses a query: .*parse error"):
        await asked.look()


def test_check_prints_what_is_known_per_node(ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", ground.url)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    said = re.compile(r"ok   load virtual: cpu \d+%, memory 75%, \d+ s ago \(prometheus, by label node\)")
    end = time.monotonic() + 120
    while len([line for line in CliRunner().invoke(app, ["check"]).stdout.splitlines() if said.match(line)]) != 1:
        assert time.monotonic() < end, CliRunner().invoke(app, ["check"]).stdout
