"""The HTTP client: addresses, tokens, retries, and errors that read like advice."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from mlopx.errors import ConnectionFailedError, ServerError, UsageError
from mlopx.remote.foreign import ForeignPipeline
from mlopx.spec import FunctionCode, PipelineSpec, to_json

FOR_KUBEFLOW = {"Kubeflow-Authorization": "MLOPX_KFP_TOKEN", "Cookie": "MLOPX_KFP_COOKIE"}
"""A caller's own credential, which a server beside a multi-user Kubeflow passes on."""

DEFAULT_URL = "http://127.0.0.1:8000"
TRIES = 5
_IS_IT_OURS = "is this really the address of an MLOpX server?"
FIRST_PAUSE_SECONDS = 0.2


class Client:
    """A connection to one server. `url` and `token` default to MLOPX_URL and MLOPX_TOKEN.

    MLOPX_KFP_TOKEN and MLOPX_KFP_COOKIE are sent along, for a server beside a multi-user Kubeflow.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = (url or os.environ.get("MLOPX_URL") or DEFAULT_URL).rstrip("/")
        given = token if token is not None else os.environ.get("MLOPX_TOKEN")
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        headers["User-Agent"] = "mlopx"
        headers.update({name: value for name, key in FOR_KUBEFLOW.items() if (value := os.environ.get(key))})
        if "Kubeflow-Authorization" in headers:
            headers["Kubeflow-Authorization"] = f"Bearer {headers['Kubeflow-Authorization']}"
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise UsageError(
                    f"the value for the header {name} holds a character that no header can carry",
                    hint="is there a line end or an accent in MLOPX_TOKEN, MLOPX_KFP_TOKEN or MLOPX_KFP_COOKIE?",
                )
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)
        except httpx.InvalidURL as error:
            raise ConnectionFailedError(f"{self.url!r} is not an address: {error}", hint="set MLOPX_URL") from error

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET a JSON document. Raises ServerError or ConnectionFailedError."""
        return self._call("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """POST JSON and return the answer."""
        return self._call("POST", path, json=body, is_safe=False, **more)

    def delete(self, path: str) -> Any:
        """DELETE, and return the answer."""
        return self._call("DELETE", path, is_safe=False)

    def submit(
        self,
        spec: PipelineSpec | ForeignPipeline,
        arguments: Mapping[str, Any] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Upload a pipeline's files and start a run. Safe to repeat: one key makes one run, whatever breaks."""
        files = [*_files(spec)]
        if metadata is not None:
            files.append(("metadata", ("metadata.json", json.dumps(metadata).encode(), "application/json")))
        data = {"parameters": json.dumps(dict(arguments or {})), "options": json.dumps(dict(options or {}))}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        answer: dict[str, Any] = self._call("POST", "/submit/", files=files, data=data, headers=headers)
        return answer

    def events(self, *, run_id: str | None = None, after: int | None = None) -> Iterator[dict[str, Any]]:
        """Follow events for ever; goes on after the last one seen when the connection breaks."""
        last = after
        failures = 0
        while True:
            params: dict[str, Any] = {} if run_id is None else {"run_id": run_id}
            headers = {} if last is None else {"Last-Event-ID": str(last)}
            try:
                timeout = httpx.Timeout(10.0, read=60.0)
                with self._http.stream(
                    "GET", "/api/v1/events", params=params, headers=headers, timeout=timeout
                ) as answer:
                    if answer.status_code != 200:
                        answer.read()
                        raise _server_error(answer)
                    failures = 0
                    for line in answer.iter_lines():
                        if line.startswith("data: "):
                            event = json.loads(line[6:])
                            last = event["id"]
                            yield event
            except httpx.TransportError as error:
                failures += 1
                if failures > TRIES:
                    raise self._unreachable(error) from error
                time.sleep(FIRST_PAUSE_SECONDS * 2**failures)

    def download(self, path: str) -> tuple[bytes, str]:
        """The bytes behind a download link, and their media type."""
        answer = self._send("GET", path)
        return answer.content, answer.headers.get("content-type", "")

    def server_date(self) -> str | None:
        """The Date header of an answer, for comparing clocks."""
        found: str | None = self._send("GET", "/healthz").headers.get("date")
        return found

    def readiness(self) -> dict[str, Any]:
        """Whether the server and its parts can work, as `/readyz` tells: also when it says that they cannot."""
        found: dict[str, Any] = self._call("GET", "/readyz", accepted=(503,))
        return found

    def _call(self, method: str, path: str, *, is_safe: bool = True, **more: Any) -> Any:
        answer = self._send(method, path, is_safe=is_safe, **more)
        try:
            return answer.json()
        except (ValueError, RecursionError) as error:
            raise _foreign_answer(answer, "what is no JSON: ") from error

    def _send(
        self, method: str, path: str, *, is_safe: bool = True, accepted: tuple[int, ...] = (), **more: Any
    ) -> httpx.Response:
        """Send, again after broken connections and 503, where a repetition does no harm.

        A failure whose status is `accepted` is an answer like any other.
        """
        for attempt in range(TRIES):
            is_last = attempt == TRIES - 1
            try:
                answer = self._http.request(method, path, **more)
            except httpx.UnsupportedProtocol as error:
                raise ConnectionFailedError(
                    f"{self.url!r} is not an address of a server",
                    hint="set MLOPX_URL to one that begins with http:// or https://",
                ) from error
            except httpx.DecodingError as error:
                raise ServerError(
                    f"the server at {self.url} answered what cannot be unpacked: {error}", status=502, hint=_IS_IT_OURS
                ) from error
            except httpx.ConnectError as error:
                if is_last or attempt >= 1:
                    raise self._unreachable(error) from error
            except httpx.TransportError as error:
                if is_last or not is_safe:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code in accepted:
                    return answer
                if answer.status_code != 503 or is_last or not is_safe:
                    if answer.status_code >= 400:
                        raise _server_error(answer)
                    return answer
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("unreachable: the last try returns or raises")

    def _unreachable(self, error: Exception) -> ConnectionFailedError:
        cause = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        return ConnectionFailedError(
            f"no MLOpX server answers at {self.url} ({cause})",
            hint="start one with `uvicorn server.main:app --port 8000`, or set MLOPX_URL to where yours is",
        )


def _files(spec: PipelineSpec | ForeignPipeline) -> Iterator[tuple[str, tuple[str, bytes, str]]]:
    """The parts of the form that hold a pipeline."""
    if isinstance(spec, ForeignPipeline):
        name = spec.name if spec.name.endswith((".yaml", ".yml")) else f"{spec.name}.yaml"
        yield "spec", (name, spec.text.encode(), "application/yaml")
        return
    yield "spec", ("spec.json", to_json(spec).encode(), "application/json")
    for component in spec.components.values():
        if isinstance(component.code, FunctionCode):
            yield "components", (f"{component.name}.py", component.code.source.encode(), "text/x-python")


def _server_error(answer: httpx.Response) -> ServerError:
    try:
        document = answer.json()
        detail, hint = document["detail"], document.get("hint")
        lines = [detail, *(f"  {line}" for line in document.get("details") or () if line != detail)]
        said = "\n".join(lines)
        problem = str(document.get("type", "")).rsplit("/", 1)[-1]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _foreign_answer(answer)
    return ServerError(said, status=answer.status_code, problem=problem, hint=hint)


def _foreign_answer(answer: httpx.Response, what: str = "") -> ServerError:
    """What is said of an answer that no server of ours gives."""
    beginning = " ".join(answer.text[:300].split()) or "nothing"
    return ServerError(
        f"the server answered {answer.status_code}: {what}{beginning}", status=answer.status_code, hint=_IS_IT_OURS
    )
