"""Calls to the Kubernetes API: get, list in pages, watch, patch, logs. Errors are sentences; short troubles pass.

Source: the Kubernetes API's concepts (list chunking, efficient detection of changes, watch bookmarks).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from server.kube.access import Access, ExecToken
from server.kube.errors import KubeError, KubeExpiredError, error_of
from server.kube.resources import REVIEWS, Kind

Object = dict[str, Any]
"""One object of the API, as JSON."""

PAGE = 500
TRIES = 3
FIRST_PAUSE_SECONDS = 0.2
WATCH_SECONDS = 300
AGAIN = frozenset({401, 429, 500, 502, 503})
"""Answers after which a call is made again: the API is busy, or our token has just changed."""

MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the version from which a watch goes on."""

    items: list[Object]
    version: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a watch: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`."""

    type: str
    object: Object


class KubeClient:
    """One connection pool to one API."""

    def __init__(
        self,
        access: Access,
        *,
        timeout_seconds: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.access, self._sleep, self._timeout = access, sleep, timeout_seconds
        self._asking = asyncio.Lock()
        verify = True if access.tls is None else access.tls
        self._http = httpx.AsyncClient(
            base_url=access.url,
            verify=verify,
            timeout=timeout_seconds,
            transport=transport,
            headers={"User-Agent": "mlopx", **access.headers},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """One object. Raises KubeMissingError where there is none."""
        return await self._json("GET", kind.path(namespace, name))

    async def list(
        self, kind: Kind, *, namespace: str | None = None, labels: str = "", fields: str = "", limit: int = PAGE
    ) -> Listing:
        """All objects, in pages. When a page's token expires, from the start again, once, and then in one piece."""
        for size in (limit, limit, 0):
            try:
                return await self._list(kind.path(namespace), _selecting(labels, fields), size)
            except KubeExpiredError:
                await self._sleep(FIRST_PAUSE_SECONDS)
        raise KubeExpiredError(f"{kind.plural} change faster than they can be listed", status_code=410)

    async def _list(self, path: str, selecting: Mapping[str, str], limit: int) -> Listing:
        items: list[Object] = []
        params = {**selecting, **({"limit": str(limit)} if limit else {"resourceVersion": "0"})}
        while True:
            page = await self._json("GET", path, params=params)
            items.extend(page.get("items") or [])
            about = page.get("metadata") or {}
            if not about.get("continue"):
                return Listing(items, str(about.get("resourceVersion", "")))
            params = {**params, "continue": about["continue"]}

    async def watch(
        self, kind: Kind, version: str, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Happening]:
        """What happens after `version`, until the server ends the watch. Raises KubeExpiredError: list again."""
        params = {
            **_selecting(labels, fields),
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = httpx.Timeout(self._timeout, read=WATCH_SECONDS + self._timeout)
        path = kind.path(namespace)
        try:
            auth = await self._auth()
            async with self._http.stream("GET", path, params=params, headers=auth, timeout=timeout) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    self._note_refusal(answer)
                    raise self._error(answer, "GET", path)
                async for line in answer.aiter_lines():
                    if line.strip():
                        yield _happening(line)
        except httpx.HTTPError as error:
            raise _unreachable(self.access.url, error) from error

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Merge `body` into an object."""
        content = json.dumps(body).encode()
        return await self._json("PATCH", kind.path(namespace, name), content=content, media_type=MERGE_PATCH)

    async def may(self, verb: str, kind: Kind, *, namespace: str | None = None, sub: str = "") -> bool:
        """Whether we may do something, by the API's own word."""
        asked = {
            "verb": verb,
            "group": kind.api_group,
            "resource": kind.plural,
            "subresource": sub,
            "namespace": namespace or "",
        }
        body = {"apiVersion": REVIEWS.group, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
        answer = await self._json("POST", REVIEWS.path(), content=json.dumps(body).encode())
        return bool((answer.get("status") or {}).get("allowed"))

    async def log(self, kind: Kind, *, name: str, namespace: str, container: str) -> bytes:
        """What a pod's container printed until now."""
        answer = await self._ask("GET", kind.path(namespace, name, "log"), params={"container": container})
        return answer.content

    async def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
    ) -> Object:
        answer = await self._ask(method, path, params=params, content=content, media_type=media_type)
        try:
            found = answer.json()
        except ValueError as error:
            raise KubeError(f"{method} {path}: the answer is not JSON", hint="is this a Kubernetes API?") from error
        if not isinstance(found, dict):
            raise KubeError(f"{method} {path}: the answer is no object")
        return found

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
    ) -> httpx.Response:
        """One call, tried again with growing pauses while the API is busy, away, or our token has just changed."""
        pause = FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            headers = {**await self._auth(), "Content-Type": media_type, "Accept": "application/json, */*"}
            try:
                answer = await self._http.request(method, path, params=params, content=content, headers=headers)
            except httpx.HTTPError as error:
                if not left:
                    raise _unreachable(self.access.url, error) from error
            else:
                if answer.is_success:
                    return answer
                self._note_refusal(answer)
                if not left or answer.status_code not in AGAIN:
                    raise self._error(answer, method, path)
                pause = max(pause, _retry_after(answer))
            await self._sleep(pause)
            pause *= 3
        raise AssertionError("the last try either answers or raises")

    async def _auth(self) -> dict[str, str]:
        token = await self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _token(self) -> str | None:
        """A credential program is asked aside, once for all calls that wait for it."""
        source = self.access.token
        if not isinstance(source, ExecToken) or source.last is not None:
            return source()
        async with self._asking:
            return await asyncio.to_thread(source)

    def _note_refusal(self, answer: httpx.Response) -> None:
        """After a 401 the next call asks a credential program for another token."""
        source, sent = self.access.token, answer.request.headers.get("Authorization", "")
        if answer.status_code == 401 and isinstance(source, ExecToken):
            source.forget(sent.removeprefix("Bearer "))

    @staticmethod
    def _error(answer: httpx.Response, method: str, path: str) -> KubeError:
        try:
            said = answer.json().get("message") or answer.text
        except (ValueError, AttributeError):
            said = answer.text
        return error_of(answer.status_code, f"{method} {path}: {answer.status_code} {str(said)[:300]}".strip())


def _selecting(labels: str, fields: str) -> dict[str, str]:
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in chosen.items() if value}


def _happening(line: str) -> Happening:
    try:
        found = json.loads(line)
        type_, what = str(found["type"]), found["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubeError(f"a watch sent something unreadable: {line[:100]!r}") from error
    if type_ == "ERROR":
        code = what.get("code", 500) if isinstance(what, dict) else 500
        raise error_of(int(code), f"the watch ended: {what.get('message') or what.get('reason') or code}")
    return Happening(type_, what)


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 30.0) if text.isdigit() else 0.0


def _unreachable(url: str, error: httpx.HTTPError) -> KubeError:
    return KubeError(f"the Kubernetes API at {url} cannot be reached: {str(error) or type(error).__name__}")


__all__ = ["Happening", "KubeClient", "Listing", "Object"]
