"""What Prometheus' answers become: figures per node, unknown rather than idle, and sentences about what is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from typer.testing import CliRunner

from server.cli.app import app
from server.cluster.identity import Identities
from server.cluster.prometheus import PrometheusLoads, prometheus_client
from server.cluster.promql import QUERIES, queries
from server.domain.errors import ConfigurationError, UnavailableError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHO = {"instance": "10.0.0.1:9100"}


class Answers:
    """A Prometheus that answers what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[str | None] = []
        self.now = NOW
        self.series: dict[str, list[tuple[dict[str, str], Any]]] = {"gauges": [], "rates": [], "ages": []}

    def say(self, node: str, age: float = 1.0, **figures: Any) -> None:
        labels = {"node": node, "instance": f"{node}:9100"}
        self.series["ages"].append((labels, self.now.timestamp() - age))
        for name, value in figures.items():
            if name.startswith(("node_", "DCGM_")):
                self.series["gauges"].append(({"__name__": name, **labels}, value))
            else:
                self.series["rates"].append(({"figure": name, **labels}, value))

    def forget(self) -> None:
        for found in self.series.values():
            found.clear()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = parse_qs(request.content.decode())["query"][0]
        self.asked.append(query)
        self.headers.append(request.headers.get("authorization"))
        name = next(name for name, text in queries("2m").items() if text == query)
        result = [{"metric": labels, "value": [0, str(value)]} for labels, value in self.series[name]]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})


@pytest.fixture
def answers() -> Answers:
    return Answers()


def source(answers: Any, known: Iterable[str] = ("a", "b"), label: str | None = None) -> PrometheusLoads:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answers), base_url="http://prometheus")
    return PrometheusLoads(
        client,
        queries=queries("2m"),
        known=lambda: known,
        now=lambda: answers.now if isinstance(answers, Answers) else NOW,
        label=label,
    )


async def test_load_and_memory_become_shares_with_an_age_and_a_source(answers: Answers) -> None:
    answers.say("a", age=4, cpu_idle=0.25, node_memory_MemTotal_bytes=8e9, node_memory_MemAvailable_bytes=2e9)
    seen = await source(answers).look()
    load = seen.loads["a"]
    assert (load.cpu_fraction, load.memory_fraction) == (0.75, 0.75)
    assert load.measured_at == NOW - timedelta(seconds=4)
    assert load.source == "prometheus, by label node"
    assert not seen.nodes
    assert not seen.problems


async def test_a_cycle_takes_at_most_six_queries_whatever_the_nodes(answers: Answers) -> None:
    for number in range(1000):
        answers.say(f"n{number}", cpu_idle=0.5)
    seen = await source(answers, [f"n{number}" for number in range(1000)]).look()
    assert len(seen.loads) == 1000
    assert len(answers.asked) <= 6


async def test_what_is_missing_is_unknown_and_not_idle(answers: Answers) -> None:
    answers.say("a", node_memory_MemTotal_bytes=8e9)
    seen = await source(answers).look()
    assert (seen.loads["a"].cpu_fraction, seen.loads["a"].memory_fraction) == (None, None)
    assert "b" not in seen.loads


async def test_what_is_stale_is_unknown_and_said(answers: Answers) -> None:
    answers.say("a", age=500, cpu_idle=1.0)
    answers.say("b", age=-500, cpu_idle=1.0)  # a clock that is ahead
    seen = await source(answers).look()
    assert seen.loads == {}
    assert list(seen.problems) == [
        "no fresh samples of a: their load is unknown",
        "samples of b are from the future: a clock is wrong, their load is unknown",
    ]


@pytest.mark.parametrize("nonsense", ["NaN", "+Inf", 7.0, -3.0])
async def test_a_figure_that_is_nonsense_is_unknown(answers: Answers, nonsense: Any) -> None:
    answers.say("a", cpu_idle=nonsense, cpu_pressure=nonsense)
    load = (await source(answers).look()).loads["a"]
    assert load.cpu_fraction is None
    assert "cpu_pressure" not in load.figures


async def test_everything_else_that_is_known_is_named(answers: Answers) -> None:
    answers.say(
        "a",
        cpu_idle=0.5,
        cpus=4,
        node_load1=6,
        cpu_pressure=0.1,
        disk_busy=0.2,
        network_received_bytes_per_second=1e6,
        node_filesystem_avail_bytes=5e9,
        DCGM_FI_DEV_GPU_UTIL=40,
        DCGM_FI_DEV_FB_USED=1000,
        DCGM_FI_DEV_FB_FREE=3000,
    )
    figures = (await source(answers).look()).loads["a"].figures
    assert figures == {
        "load_per_cpu": 1.5,
        "cpu_pressure": 0.1,
        "disk_busy": 0.2,
        "network_received_bytes_per_second": 1e6,
        "disk_available_bytes": 5e9,
        "gpu_fraction": 0.4,
        "gpu_memory_fraction": 0.25,
        "gpu_memory_available_bytes": 3000 * 2**20,
    }


async def test_load_is_damped_by_the_time_that_passed(answers: Answers) -> None:
    asked = source(answers)
    answers.say("a", cpu_idle=1.0)
    await asked.look()
    seen = []
    for seconds in (5, 20, 600):
        answers.forget()
        answers.now += timedelta(seconds=seconds)
        answers.say("a", cpu_idle=0.0)
        seen.append((await asked.look()).loads["a"].cpu_fraction)
    assert seen[0] == pytest.approx(0.22, abs=0.01)
    assert 0.22 < (seen[1] or 0) < 0.9 < (seen[2] or 0)


async def test_two_exporters_of_one_node_are_told_and_the_busier_counts(answers: Answers) -> None:
    for instance, idle in (("x:9100", 0.9), ("y:9100", 0.1)):
        labels = {"node": "a", "instance": instance}
        answers.series["ages"].append((labels, NOW.timestamp()))
        answers.series["rates"].append(({"figure": "cpu_idle", **labels}, idle))
    seen = await source(answers).look()
    assert seen.loads["a"].cpu_fraction == pytest.approx(0.9)
    assert "several exporters say that they are a" in seen.problems[0]


async def test_series_of_nobody_are_told(answers: Answers) -> None:
    answers.say("stranger", cpu_idle=0.5)
    seen = await source(answers).look()
    assert seen.loads == {}
    assert "series of stranger:9100 belong to no known node" in seen.problems[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>login</html>"), "something that is no result: '<html>login</html>'"),
        (httpx.Response(200, json={"status": "error", "error": "out of memory"}), "refuses a query: out of memory"),
        (httpx.Response(502, text="bad gateway"), "answered 502"),
        (httpx.Response(200, json={"status": "success", "data": {"result": [{"metric": {}}]}}), "no result"),
    ],
)
async def test_nonsense_instead_of_an_answer_is_one_sentence(answer: httpx.Response, said: str) -> None:
    with pytest.raises(UnavailableError, match="Prometheus") as caught:
        await source(lambda request: answer).look()
    assert said in caught.value.message


async def test_a_prometheus_that_is_down_is_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnavailableError, match="does not answer: ConnectError"):
        await source(refuse).look()


async def test_an_answer_that_comes_too_late_is_none() -> None:
    async def trickle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        raise AssertionError("nobody waited so long")

    client = httpx.AsyncClient(transport=httpx.MockTransport(trickle), base_url="http://prometheus")
    loads = PrometheusLoads(client, queries=queries("2m"), known=lambda: ("a",), now=lambda: NOW, patience_seconds=0.05)
    with pytest.raises(UnavailableError, match=r"does not answer within 0\.05 s"):
        await loads.look()


async def test_the_token_is_sent() -> None:
    client = prometheus_client("https://prometheus", token="secret")
    assert client.headers["authorization"] == "Bearer secret"
    await client.aclose()


def test_addresses_and_certificates_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        prometheus_client("prometheus:9090")
    with pytest.raises(ConfigurationError, match="PROMETHEUS_CA_FILE"):
        prometheus_client("https://prometheus", ca_file=tmp_path / "none.pem")


def test_queries_can_be_replaced_and_the_window_is_put_in(tmp_path: Path) -> None:
    file = tmp_path / "queries.json"
    file.write_text(json.dumps({"ages": "timestamp(up[$window])"}))
    found = queries("5m", file)
    assert found["ages"] == "timestamp(up[5m])"
    assert "[5m]" in found["rates"]
    assert set(found) == set(QUERIES)
    file.write_text(json.dumps({"nodes": "up"}))
    with pytest.raises(ConfigurationError, match="must map some of gauges, rates, ages"):
        queries("5m", file)


INFO = [
    {"__name__": "kube_pod_info", "namespace": "m", "pod": "node-exporter-x", "node": "b"},
    {"__name__": "kube_node_info", "internal_ip": "10.0.0.1", "node": "a"},
    {"__name__": "node_uname_info", "instance": "far:9100", "nodename": "b.example.org"},
]


@pytest.mark.parametrize(
    ("labels", "label", "node", "by"),
    [
        ({"kubernetes_node": "a", "node": "b"}, "kubernetes_node", "a", "label kubernetes_node"),
        ({"node": "a", "instance": "b"}, None, "a", "label node"),
        ({"Hostname": "b", "instance": "10.0.0.1:9400"}, None, "b", "label Hostname"),
        ({"node": "unknown", "instance": "b:9100"}, None, "b", "instance"),
        ({"namespace": "m", "pod": "node-exporter-x", "instance": "10.0.0.1:9100"}, None, "b", "scraped pod"),
        (WHO, None, "a", "address"),
        ({"instance": "far:9100"}, None, "b", "host name"),
    ],
)
def test_a_series_finds_its_node_in_this_order(labels: dict[str, str], label: str | None, node: str, by: str) -> None:
    found = Identities(["a", "b"], label, INFO).of(labels)
    assert found is not None
    assert (found.node, found.by) == (node, by)


def test_a_series_of_no_known_node_is_nobodys() -> None:
    assert Identities(["a"], None, INFO).of({"node": "c", "instance": "c:9100"}) is None


def test_check_says_that_prometheus_is_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert "BAD  prometheus: Prometheus does not answer: ConnectError" in result.stdout
