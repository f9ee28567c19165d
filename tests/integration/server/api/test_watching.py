"""What operators see: figures on /metrics, the Grafana dashboard made of them, traces at a collector, and log lines."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from server.components.chronicle import Chronicle
from server.logs import JsonLines
from server.testing.processes import free_port

DASHBOARD = Path(__file__).parents[4] / "deploy" / "grafana-dashboard.json"
TELLING = "def greet(name: str) -> str:\n    import os\n    return os.environ.get('TRACEPARENT', 'none')\n"
MakeSpec = Callable[..., dict[str, Any]]


async def test_waits_decisions_predictions_and_outcomes_are_counted(api: Any, make_spec: MakeSpec) -> None:
    def total(text: str, name: str, **labels: str) -> float:
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    before = (await api.http.get("/metrics")).text
    for _ in range(2):
        await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
    bad = make_spec("bad", "def greet(name: str) -> str:\n    raise ValueError('no')\n")
    await api.ended((await api.run(bad))["id"])
    after = (await api.http.get("/metrics")).text

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    assert grown("mlopx_task_wait_seconds_count") == 3
    assert grown("mlopx_run_wait_seconds_count") == 3
    assert grown("mlopx_run_turnaround_seconds_count", outcome="succeeded") == 2
    assert grown("mlopx_run_turnaround_seconds_count", outcome="failed") == 1
    assert grown("mlopx_attempts_total", outcome="succeeded") == 2
    assert grown("mlopx_attempts_total", outcome="failed") == 1
    assert grown("mlopx_placements_total", strategy="fifo_greedy", outcome="placed") == 3
    assert grown("mlopx_decision_seconds_count", strategy="fifo_greedy") >= 3
    assert grown("mlopx_prediction_ratio_count") == 2
    assert 0 <= grown("mlopx_task_wait_seconds_sum") < 60


async def test_every_figure_of_the_grafana_dashboard_is_on_the_metrics_page(api: Any, make_spec: MakeSpec) -> None:
    async with asyncio.timeout(60):
        while "mlopx_estimate_coverage" not in (text := (await api.http.get("/metrics")).text):
            await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
    known: dict[str, dict[str, set[str]]] = {}
    for one in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
        labels = known.setdefault(one.name, {})
        for label, value in one.labels.items():
            labels.setdefault(label, set()).add(value)
    named: set[str] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            asked = dict(re.findall(r"\b((?:mlopx|kube)_[a-z0-9_]+)\{([^}]*)\}", target["expr"]))
            named |= asked.keys()
            assert asked.keys() <= known.keys(), asked.keys() - known.keys()
            for name, selector in asked.items():
                for label, values in re.findall(r"(\w+)[!=]~?\"([^\"]*)\"", selector):
                    assert label == "job" or set(values.split("|")) <= known[name][label], (name, label)
            shown = re.findall(r"(?:by|on) \(([^)]*)\)", target["expr"]) + re.findall(
                r"{{(\w+)}}", target["legendFormat"]
            )
            for label in {label for found in shown for label in found.split(", ")} - {"job", "instance"}:
                assert all(label in known[name] for name in asked), (target["expr"], label)
    assert len(named) > 15


def test_the_grafana_dashboard_is_laid_out_soundly() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert board["schemaVersion"] >= 36
    assert {one["name"] for one in board["templating"]["list"]} == {"source", "job"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} overlaps another panel"
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${source}"
            assert target["expr"].count("(") == target["expr"].count(")")
            assert target["expr"].count("{") == target["expr"].count("}") > 0


@pytest.mark.needs("promtool")
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    queries = [
        target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    found = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yaml")], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(queries)} rules found" in found.stdout


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A Prometheus that scrapes a target twice a second: its address."""
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: mlopx, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.needs("prometheus")
async def test_after_a_few_runs_a_real_prometheus_has_data_for_every_query(
    serve: Any, listening: Any, make_spec: MakeSpec, tmp_path: Path
) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = {target["expr"]: panel["title"] for panel in panels for target in panel.get("targets", [])}

    async def empty(asked: httpx.AsyncClient) -> list[str]:
        """The panels without a figure."""
        found = []
        for query, title in queries.items():
            text = query.replace("$__rate_interval", "1m").replace("$job", ".*")
            told = await asked.get("/api/v1/query", params={"query": text})
            if told.status_code == 503:  # it still starts
                return ["all"]
            answer = told.json()
            assert answer["status"] == "success", answer
            if not any(one["value"][1] != "NaN" for one in answer["data"]["result"]):
                found.append(title)
        return found

    async with serve() as served, listening(served) as url:
        with prometheus(tmp_path, url.removeprefix("http://")) as address:
            async with httpx.AsyncClient(base_url=address) as asked, asyncio.timeout(180):
                missing = ["all"]
                while missing:
                    await served.ended((await served.run(make_spec(task={"cache": False})))["id"])
                    try:
                        missing = await empty(asked)
                    except httpx.TransportError:
                        await asyncio.sleep(0.2)


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OpenTelemetry collector on a loopback port: its address, and the spans that it was sent."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for one in sent.resource_spans for scope in one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()


async def test_a_run_is_one_trace_from_queue_to_run_and_its_task_knows_it(serve: Any, make_spec: MakeSpec) -> None:
    with collector() as (address, spans):
        async with serve("traced", otel_exporter_otlp_endpoint=address) as traced:
            run = await traced.ended((await traced.run(make_spec(source=TELLING, task={"cache": False})))["id"])
            told = run["tasks"][0]["outputs"]["output"]["value"]
            bad = make_spec("bad", "def greet(name: str) -> str:\n    raise ValueError('no luck')\n")
            failed = await traced.ended((await traced.run(bad))["id"])
    mine = [span for span in spans if attributes(span)["mlopx.run.id"] == run["id"]]
    by_name = {span.name: span for span in mine}
    assert set(by_name) == {"run hello", "task greet", "queue", "decide", "submit", "start", "run"}
    assert len({span.trace_id for span in mine}) == 1
    assert by_name["task greet"].parent_span_id == by_name["run hello"].span_id
    assert not by_name["run hello"].parent_span_id
    for name in ("queue", "decide", "submit", "start", "run"):
        assert by_name[name].parent_span_id == by_name["task greet"].span_id
        assert by_name[name].start_time_unix_nano <= by_name[name].end_time_unix_nano
    assert told == f"00-{by_name['run'].trace_id.hex()}-{by_name['run'].span_id.hex()}-01"
    assert attributes(by_name["decide"])["mlopx.strategy"] == "fifo_greedy"
    assert attributes(by_name["decide"])["mlopx.decision.id"]
    errors = {span.name: span.status.message for span in spans if attributes(span)["mlopx.run.id"] == failed["id"]}
    assert "no luck" in errors["run"]
    assert errors["run bad"] == "run failed"


async def test_a_run_belongs_to_the_trace_of_whoever_submitted_it(serve: Any, make_spec: MakeSpec) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    spec = make_spec(source=TELLING, task={"cache": False})

    async def told(server: Any, header: str) -> tuple[str, str]:
        answer = await server.http.post("/api/v1/runs", json={"spec": spec}, headers={"traceparent": header})
        run = await server.ended(answer.json()["run"]["id"])
        return run["id"], run["tasks"][0]["outputs"]["output"]["value"]

    with collector() as (address, spans):
        async with serve("traced", otel_exporter_otlp_endpoint=address) as traced:
            sampled, header = await told(traced, f"00-{trace}-{parent}-01")
            silent, quiet = await told(traced, f"00-{trace}-{parent}-00")
            own, other = await told(traced, f"00-{'0' * 32}-{parent}-01")
    mine = [span for span in spans if attributes(span)["mlopx.run.id"] == sampled]
    assert {span.trace_id.hex() for span in mine} == {trace}
    assert next(span for span in mine if span.name == "run hello").parent_span_id.hex() == parent
    assert header == f"00-{trace}-{next(span for span in mine if span.name == 'run').span_id.hex()}-01"
    assert quiet.startswith(f"00-{trace}-")
    assert quiet.endswith("-00")
    assert not [span for span in spans if attributes(span)["mlopx.run.id"] == silent], "it was not to be traced"
    assert [span for span in spans if attributes(span)["mlopx.run.id"] == own], "a bad header is as good as none"
    assert trace not in other


async def test_without_a_collector_the_header_of_the_submission_is_passed_on(api: Any, make_spec: MakeSpec) -> None:
    header = f"00-{'ab' * 16}-{'cd' * 8}-01"
    spec = make_spec(source=TELLING, task={"cache": False})
    answer = await api.http.post("/api/v1/runs", json={"spec": spec}, headers={"traceparent": header})
    run = await api.ended(answer.json()["run"]["id"])
    assert run["tasks"][0]["outputs"]["output"]["value"] == header


def attributes(span: Any) -> dict[str, Any]:
    """The attributes of a span that was sent."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_without_a_collector_tasks_are_told_nothing(api: Any, make_spec: MakeSpec) -> None:
    run = await api.ended((await api.run(make_spec(source=TELLING, task={"cache": False})))["id"])
    assert run["tasks"][0]["outputs"]["output"]["value"] == "none"


async def test_log_lines_carry_the_ids_of_run_task_and_decision(
    api: Any, make_spec: MakeSpec, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=Chronicle.__module__)
    run = await api.ended((await api.run(make_spec(task={"cache": False})))["id"])
    records = [record for record in caplog.records if getattr(record, "run_id", None) == run["id"]]
    lines = [json.loads(JsonLines().format(record)) for record in records]
    placed = next(line for line in lines if line["message"].startswith("task-placed"))
    assert placed["task"] == "greet"
    assert placed["node"] == run["tasks"][0]["node"]
    assert placed["level"] == "info"
    decisions = (await api.get(f"/api/v1/runs/{run['id']}/decisions"))["decisions"]
    assert placed["decision_id"] in {one["id"] for one in decisions}
    assert placed["decision_id"] in placed["message"]
    assert lines[-1]["message"] == f"run {run['id']} succeeded"
    assert lines[-1]["state"] == "succeeded"
