"""Handles to runs: wait for them, read their logs and outputs, and say what went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mlopx.errors import RunFailedError, UsageError
from mlopx.remote.client import Client
from mlopx.remote.foreign import ForeignPipeline
from mlopx.spec import PipelineSpec, parse_seconds

ENDS = ("succeeded", "failed", "cancelled")
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RunHandle:
    """A run on a server. `notes` are what the server said when it accepted it."""

    id: str
    client: Client
    notes: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Where the run can be looked at: its page of the dashboard."""
        return f"{self.client.url}/ui/#/runs/{self.id}"

    def detail(self) -> dict[str, Any]:
        """Everything about the run, as the server tells it."""
        found: dict[str, Any] = self.client.get(f"/api/v1/runs/{self.id}")
        return found

    def status(self) -> str:
        """The run's state."""
        return str(self.detail()["state"])

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the end and return the detail. Raises RunFailedError unless it succeeded, TimeoutError when late."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            detail = self.detail()
            if detail["state"] == "succeeded":
                return detail
            if detail["state"] in ENDS:
                raise RunFailedError(describe_failure(self, detail), hint=next_command(detail))
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"run {self.id} is still {detail['state']} after {timeout:g} s")
            time.sleep(POLL_SECONDS)

    def logs(self, task: str, *, attempt: int | None = None, follow: bool = False) -> Iterator[str]:
        """A task's output, piece by piece; `follow` goes on until the task ends."""
        offset = 0
        while True:
            chunk = self.client.get(f"/api/v1/runs/{self.id}/logs", task=task, attempt=attempt, offset=offset)
            if chunk["text"]:
                yield chunk["text"]
            has_more = chunk["next_offset"] > offset
            offset = chunk["next_offset"]
            if chunk["is_end"] or (not follow and not has_more):
                return
            if not has_more:
                time.sleep(POLL_SECONDS)

    def events(self, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """What happened to the run until now, later than the event of this id."""
        position: int | None = after
        while position is not None:
            page = self.client.get(f"/api/v1/runs/{self.id}/events", after=position)
            yield from page["events"]
            position = page["next"]

    def cancel(self, reason: str = "") -> dict[str, Any]:
        """Ask for the run to be stopped."""
        found: dict[str, Any] = self.client.post(f"/api/v1/runs/{self.id}/cancel", {"reason": reason})
        return found

    def retry(
        self,
        *,
        from_task: str | None = None,
        spec: PipelineSpec | ForeignPipeline | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> RunHandle:
        """Run it again, reusing what was finished."""
        body = {
            "from_task": from_task,
            **(pipeline_body(spec) if spec is not None else {}),
            "parameters": dict(parameters) if parameters is not None else None,
        }
        answer = self.client.post(f"/api/v1/runs/{self.id}/retry", body)
        return RunHandle(answer["run"]["id"], self.client, notes=tuple(answer.get("notes") or ()))

    def replace(self) -> RunHandle:
        """Accept the server's offer of a new placement; the new run begins when this one has stopped."""
        answer = self.client.post(f"/api/v1/runs/{self.id}/replace", {})
        return RunHandle(answer["run"]["id"], self.client)

    def output(self, task: str, port: str = "output") -> Any:
        """An output's value, or the bytes of an artifact."""
        found = next((one for one in self.detail()["tasks"] if one["key"] == task), None)
        if found is None or port not in found["outputs"]:
            raise UsageError(f"run {self.id} has no output {port!r} of a task {task!r}")
        output = found["outputs"][port]
        if "value" in output:
            return output["value"]
        link = f"/api/v1/runs/{self.id}/artifacts/content?task={quote(task, safe='')}&port={quote(port, safe='')}"
        return self.client.download(link)[0]


def span_seconds(span: float | str, what: str) -> float:
    """Seconds of a span of time that somebody gave as `what`. Raises UsageError."""
    try:
        return parse_seconds(span)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def pipeline_body(pipeline: PipelineSpec | ForeignPipeline) -> dict[str, Any]:
    """A pipeline as requests in JSON carry it."""
    if isinstance(pipeline, ForeignPipeline):
        return {"foreign": {"name": pipeline.name, "text": pipeline.text}}
    return {"spec": pipeline.model_dump(mode="json")}


def submit(
    spec: PipelineSpec | ForeignPipeline,
    arguments: Mapping[str, Any] | None = None,
    *,
    priority: int | None = None,
    project: str | None = None,
    deadline: float | str | datetime | None = None,
    caching: bool | None = None,
    labels: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    url: str | None = None,
    token: str | None = None,
    client: Client | None = None,
) -> RunHandle:
    """Send a run to the server and return a handle to it.

    Args:
        spec: the pipeline; or one of Kubeflow's, from `read_foreign` or `compile_function`.
        arguments: its parameters, by name.
        priority, project: override the pipeline's own.
        deadline: seconds or a span from now (`"2h"`), or an instant.
        caching: whether equal work of earlier runs may be reused.
        labels: free text pairs kept with the run.
        metadata: workload hints, as in the original's metadata file.
        url, token: the server; by default MLOPX_URL and MLOPX_TOKEN.
    """
    options: dict[str, Any] = {"priority": priority, "project": project, "is_caching": caching}
    if isinstance(deadline, datetime):
        options["deadline_at"] = deadline.astimezone(UTC).isoformat()
    elif deadline is not None:
        options["deadline_seconds"] = span_seconds(deadline, "the deadline")
    if labels:
        options["labels"] = dict(labels)
    chosen = {name: value for name, value in options.items() if value is not None}
    connection = client or Client(url, token)
    answer = connection.submit(spec, arguments, options=chosen, metadata=metadata)
    return RunHandle(answer["run_id"], connection, notes=tuple(answer.get("notes") or ()))


def failed_task(detail: Mapping[str, Any]) -> dict[str, Any] | None:
    """The task that made the run fail, or None."""
    return next((task for task in detail["tasks"] if task["state"] == "failed"), None)


def describe_failure(handle: RunHandle, detail: Mapping[str, Any]) -> str:
    """Everything a user wants to know of a failed run: task, node, cause, own traceback, last log lines."""
    if detail["state"] == "cancelled":
        return f"run {detail['id']} was cancelled: {detail['error'] or 'no reason given'}"
    task = failed_task(detail)
    if task is None:
        return f"run {detail['id']} failed: {detail['error']}"
    attempt = task["attempts"][-1]
    error = attempt["error"] or {"message": "no reason given", "traceback": "", "hint": ""}
    where = task["node"]
    lines = [f"run {detail['id']} failed: task {task['key']}" + (f" on node {where}" if where else "")]
    lines.append(f"  cause: {error['message']}")
    if error["hint"]:
        lines.append(f"  hint:  {error['hint']}")
    if error["traceback"]:
        lines.extend(["", *(f"  {line}" for line in error["traceback"].rstrip().splitlines())])
    tail = _last_lines(handle, task["key"], skip=error["traceback"])
    if tail:
        lines.extend(["", "  last lines of its log:", *(f"  | {line}" for line in tail)])
    return "\n".join(lines)


def next_command(detail: Mapping[str, Any]) -> str:
    """What to type next."""
    task = failed_task(detail)
    if task is None:
        return f"`mlopx show {detail['id']}`"
    again = f"`mlopx retry {detail['id']} --from {task['key']}`"
    is_function = detail["graph"]["tasks"][task["path"]].get("code", "function") == "function"
    return f"{again} or `mlopx rerun {detail['id']} {task['key']} --local`" if is_function else again


def _last_lines(handle: RunHandle, task: str, *, skip: str, count: int = 8) -> list[str]:
    from mlopx.errors import MlopxError

    try:
        text = "".join(handle.logs(task))
    except MlopxError:
        return []
    own = set(skip.splitlines())
    return [line for line in text.splitlines() if line.strip() and line not in own][-count:]
