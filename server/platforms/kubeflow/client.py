"""The KFP API as far as we need it: health, experiments, runs. Own and small, over httpx.

Source: `kubeflow.pipelines.backend.api.v2beta1`. Replies leave out what is zero, times are whole seconds, and a time
before 1971 means none. A create call whose answer is lost raises `UnsureError`: the run may be there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from server.domain.errors import PlatformError
from server.kube.reading import instant
from server.platforms.kubeflow.breaker import Breaker
from server.platforms.kubeflow.errors import GoneError, RefusedError, ThereAlreadyError, UnsureError
from server.platforms.kubeflow.identity import Headers, Identity
from server.platforms.kubeflow.versions import Version, read_version

ROOT = "/apis/v2beta1"
PAGE = 200
FULL_PAGE = 100
"""Runs with their tasks; more at once are refused."""

TRIES = 3
FIRST_PAUSE_SECONDS = 0.3
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
NEVER_MADE = ("Failed to generate the ExecutionSpec", "Failed to validate workflow")
"""What the API says, with status 500, of pipelines that its backend cannot compile: asking again is no use."""

NOT_FOUND = 5
"""The code in the API's own 404. Whatever else answers so (a gateway, while the API is rolled out) knows no runs."""

FINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
ACTIVE = ("RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "CANCELING", "PAUSED")

KEEP_NO_COOKIES = DefaultCookiePolicy(allowed_domains=())
"""A session that Kubeflow's login page renews for one caller must not speak for the next."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the server says of itself. `version` is (major, minor) where it can be read."""

    version: Version | None
    is_multi_user: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class KfpRun:
    """A run as the API tells it; `was_stopped` when it was asked to end, as far as its state and history say so."""

    id: str
    name: str
    state: str
    namespace: str = ""
    experiment_id: str = ""
    error: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    was_stopped: bool = False
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by the server's word."""
        return self.state in FINAL


class KfpClient:
    """One Kubeflow Pipelines server."""

    def __init__(
        self,
        url: str,
        *,
        identity: Identity,
        now: Callable[[], datetime],
        verify: Any = True,
        timeout_seconds: float = 20.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url, self._identity, self._sleep = url.rstrip("/"), identity, sleep
        self.http = httpx.AsyncClient(
            timeout=timeout_seconds, verify=verify, headers={"User-Agent": "mlopx"}, cookies=CookieJar(KEEP_NO_COOKIES)
        )
        self.breaker = Breaker(now)
        self.requests = 0

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    def shown(self) -> dict[str, str]:
        """The headers with which this server shows who it is."""
        return self._identity.now()

    async def health(self) -> Health:
        """Version and mode."""
        told = await self._call("GET", "/healthz")
        text = str(told.get("tag_name") or "")
        return Health(read_version(text), bool(told.get("multi_user")), text)

    async def experiment(self, name: str, namespace: str, headers: Headers | None = None) -> str:
        """The id of the experiment of this name; made if there is none, also where others make it at the same time."""
        found = await self._experiment_id(name, namespace, headers)
        if found is not None:
            return found
        body = {"display_name": name, **({"namespace": namespace} if namespace else {})}
        try:
            return str((await self._call("POST", "/experiments", body=body, headers=headers))["experiment_id"])
        except ThereAlreadyError:
            found = await self._experiment_id(name, namespace, headers)
            if found is None:
                raise
            return found

    async def _experiment_id(self, name: str, namespace: str, headers: Headers | None) -> str | None:
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        params = {"filter": json.dumps({"predicates": [predicate]}), "page_size": "1"}
        if namespace:
            params["namespace"] = namespace
        told = await self._call("GET", "/experiments", params=params, headers=headers)
        return next((str(one["experiment_id"]) for one in told.get("experiments") or []), None)

    async def create(self, body: Mapping[str, Any], headers: Headers | None = None) -> KfpRun:
        """Begin a run. Raises UnsureError when no clear answer came."""
        made = read_run(await self._call("POST", "/runs", body=body, headers=headers, is_safe=False))
        if not made.id:
            raise _unsure("Kubeflow's answer to a new run names none")
        return made

    async def get(self, run_id: str, headers: Headers | None = None) -> KfpRun:
        """One run. Raises GoneError."""
        return read_run(await self._call("GET", f"/runs/{run_id}", headers=headers))

    async def list(
        self,
        predicates: Sequence[Mapping[str, Any]],
        *,
        namespace: str = "",
        headers: Headers | None = None,
        most: int | None = None,
        is_full: bool = False,
    ) -> list[KfpRun]:
        """All runs for which all predicates hold, page by page, newest first.

        `is_full`: with their tasks, where the server tells them; others do not know the question and leave them out.
        """
        found: list[KfpRun] = []
        params = {"page_size": str(FULL_PAGE if is_full else PAGE), "sort_by": "created_at desc"}
        if is_full:
            params["view"] = "FULL"
        params["filter"] = json.dumps({"predicates": list(predicates)})
        if namespace:
            params["namespace"] = namespace
        while True:
            told = await self._call("GET", "/runs", params=params, headers=headers)
            found.extend(read_run(one) for one in told.get("runs") or [])
            token = told.get("next_page_token")
            if not token or (most is not None and len(found) >= most):
                return found
            params["page_token"] = token

    async def terminate(self, run_id: str, headers: Headers | None = None) -> None:
        """Ask a run to end."""
        await self._call("POST", f"/runs/{run_id}:terminate", headers=headers)

    async def archive(self, run_id: str, headers: Headers | None = None) -> None:
        """Put a run away."""
        await self._call("POST", f"/runs/{run_id}:archive", headers=headers)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        is_safe: bool = True,
    ) -> dict[str, Any]:
        """One call; safe ones are tried again while the server is busy or a token has just changed."""
        self._require_admitted()
        pause = FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES if is_safe else 1)):
            answer = await self._send(method, path, params, body, headers, is_safe=is_safe, is_last=not left)
            if answer is not None:
                if answer.is_success:
                    self.breaker.succeeded()
                    return _object(answer, method, path, is_safe=is_safe)
                is_final = answer.status_code not in BUSY and (answer.status_code != 401 or headers is not None)
                if not left or is_final:
                    raise self._refused(answer, method, path, is_safe=is_safe, is_callers=headers is not None)
            await self._sleep(pause)
            pause *= 3
        raise AssertionError("the last try either answers or raises")

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        headers: Headers | None,
        *,
        is_safe: bool,
        is_last: bool,
    ) -> httpx.Response | None:
        shown = dict(headers) if headers is not None else self._identity.now()
        self.requests += 1
        try:
            return await self.http.request(method, f"{self.url}{ROOT}{path}", params=params, json=body, headers=shown)
        except httpx.HTTPError as error:
            self.breaker.failed()
            text = f"Kubeflow at {self.url} does not answer: {str(error) or type(error).__name__}"
            if not is_safe and not isinstance(error, httpx.ConnectError):
                raise _unsure(text) from error
            if is_last or self.breaker.is_open:
                raise PlatformError(text, is_retryable=True) from error
            return None

    def _require_admitted(self) -> None:
        if not self.breaker.admits():
            since = self.breaker.failing_since
            when = f" since {since:%H:%M:%S} UTC" if since else ""
            raise PlatformError(f"Kubeflow at {self.url} has not answered{when}", is_retryable=True)

    def _refused(
        self, answer: httpx.Response, method: str, path: str, *, is_safe: bool, is_callers: bool
    ) -> PlatformError:
        status, said = answer.status_code, _said(answer)
        if status in BUSY and not any(one in said for one in NEVER_MADE):
            self.breaker.failed()
            if not is_safe:
                return _unsure(f"Kubeflow answered {status} to a new run: {said}")
            return PlatformError(f"Kubeflow is not well: {method} {path}: {status} {said}", is_retryable=True)
        self.breaker.succeeded()
        if answer.is_redirect:
            said = f"it sends to {answer.headers.get('Location', '')[:200]!r}, a login page perhaps"
            return RefusedError(401, said, is_callers=is_callers)
        if status == 404 and not _is_own(answer):
            text = f"something before Kubeflow answered {method} {path}: 404 {said}"
            return PlatformError(text, hint="is KFP_URL the address of the API?", is_retryable=True)
        if status == 404:
            return GoneError(f"Kubeflow does not know it: {said or path}")
        if status in (401, 403):
            return RefusedError(status, said, is_callers=is_callers)
        if status == 409:
            return ThereAlreadyError(f"Kubeflow has it already: {method} {path}: {said}")
        return PlatformError(f"Kubeflow refused: {method} {path}: {status} {said}")


def read_run(told: Mapping[str, Any]) -> KfpRun:
    """A run of the API."""
    history = [str(one.get("state")) for one in told.get("state_history") or []]
    state = str(told.get("state") or "RUNTIME_STATE_UNSPECIFIED")
    return KfpRun(
        id=str(told.get("run_id") or ""),
        name=str(told.get("display_name") or ""),
        state=state,
        experiment_id=str(told.get("experiment_id") or ""),
        error=str((told.get("error") or {}).get("message") or ""),
        created_at=instant(told.get("created_at")),
        finished_at=instant(told.get("finished_at")),
        was_stopped=state == "CANCELED" or "CANCELING" in (state, *history),
        document=told,
    )


def _object(answer: httpx.Response, method: str, path: str, *, is_safe: bool) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    text = f"{method} {path}: the answer is no JSON object"
    if not is_safe:
        raise _unsure(text)
    hint = "is KFP_URL the address of the API (not of a login page)?"
    raise PlatformError(text, hint=hint, is_retryable=True)


def _unsure(text: str) -> UnsureError:
    return UnsureError(f"{text}; it may have taken the run", is_retryable=True, is_unsure=True)


def _is_own(answer: httpx.Response) -> bool:
    """Whether a 404 is the API's own word."""
    try:
        told = answer.json()
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("code") == NOT_FOUND


def _said(answer: httpx.Response) -> str:
    try:
        told = answer.json()
        return str(told.get("message") or told.get("error") or told)[:300]
    except (ValueError, AttributeError):
        return answer.text[:200]


__all__ = ["ACTIVE", "FINAL", "Health", "KfpClient", "KfpRun", "read_run"]
