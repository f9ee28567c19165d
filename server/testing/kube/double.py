"""A Kubernetes API double: what `server.kube` speaks to, over real HTTP, with every call recorded and faults on order.

Faults: `denied` holds pairs of verb and plural that are forbidden everywhere, and triples with the namespace where they
are forbidden ("" for the whole cluster at once); `failing` answers that many next calls with a
status; `is_down` breaks every connection; `objects.compact()` makes watches expire; `token` is required when set.
`device_version` is the version in which it has `resource.k8s.io`, None where it has it in none.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from server.testing.kube.objects import Object, Objects, merged, selects
from server.testing.serving import serving

READING = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call, as an audit log would have it."""

    verb: str
    plural: str
    namespace: str
    name: str = ""
    sub: str = ""


class KubeDouble:
    """The API with its state. `async with double.serve() as url`."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.device_version: str | None = None
        self.calls: list[Call] = []
        self.denied: set[tuple[str, ...]] = set()
        self.failing: list[int] = []
        self.is_down = False
        self.token: str | None = None
        self.logs: dict[tuple[str, str], bytes] = {}
        self.expire_pages = 0
        self.broken_logs = 0
        self._is_closing = False

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """The address at which it answers, until the end of the block."""
        parts = "{plural}", "{plural}/{name}", "{plural}/{name}/{sub}"
        roots = "/api/v1", "/apis/{group}/{version}"
        paths = [
            f"{root}{scope}/{part}" for root in roots for scope in ("/namespaces/{namespace}", "") for part in parts
        ]
        routes = [Route(path, self._answer, methods=["GET", "PATCH", "POST"]) for path in paths]
        async with serving(Starlette(routes=routes), before_stop=self._close) as url:
            yield url

    @property
    def written(self) -> list[Call]:
        """Calls that were not get, list or watch (asking what one may do is not writing)."""
        return [call for call in self.calls if call.verb not in READING and call.plural != "selfsubjectaccessreviews"]

    def cut_watches(self) -> None:
        """End every open watch, as a load balancer does."""
        self._is_closing = True
        self.objects.wake()
        self._is_closing = False

    def _close(self) -> None:
        self._is_closing = True
        self.objects.wake()

    async def _answer(self, request: Request) -> Response:
        call = _call_of(request)
        self.calls.append(call)
        if self.is_down:
            return _status(503, "the API server is not available")
        if self.failing:
            return _status(self.failing.pop(0), "told to fail")
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if call.plural == "selfsubjectaccessreviews":
            return await self._review(request)
        path = request.path_params
        if path.get("group") == "resource.k8s.io" and path["version"] != self.device_version:
            return _status(404, "the server could not find the requested resource")
        if self._is_denied(call.verb, call.sub or call.plural, call.namespace):
            return _status(403, f'{call.plural} is forbidden: cannot {call.verb} resource "{call.plural}"')
        if call.verb == "watch":
            return StreamingResponse(self._watch(request, call), media_type="application/json")
        if call.verb == "list":
            return self._list(request, call)
        if call.verb == "patch":
            return self._patch(call, json.loads(await request.body()))
        return self._get(call)

    async def _review(self, request: Request) -> Response:
        asked = json.loads(await request.body())["spec"]["resourceAttributes"]
        name = asked.get("subresource") or asked["resource"]
        is_denied = self._is_denied(asked["verb"], name, asked.get("namespace", ""))
        return JSONResponse({"status": {"allowed": not is_denied}}, status_code=201)

    def _is_denied(self, verb: str, name: str, namespace: str) -> bool:
        return bool({(verb, name), (verb, "*"), (verb, name, namespace)} & self.denied)

    def _get(self, call: Call) -> Response:
        item = self.objects.find(call.plural, call.namespace, call.name)
        if item is None:
            return _status(404, f'{call.plural} "{call.name}" not found')
        if call.sub == "log" and self.broken_logs:
            self.broken_logs -= 1
            return _status(503, "the kubelet does not answer")
        if call.sub == "log":
            return PlainTextResponse(self.logs.get((call.namespace, call.name), b""))
        return JSONResponse(item)

    def _list(self, request: Request, call: Call) -> Response:
        asked = request.query_params
        found = self._selected(request, self.objects.all(call.plural, call.namespace or None))
        start, limit = int(asked.get("continue", 0)), int(asked.get("limit", 0))
        if start and self.expire_pages:
            self.expire_pages -= 1
            return _status(410, "The provided continue parameter is too old")
        about: dict[str, Any] = {"resourceVersion": str(self.objects.version)}
        page = found[start : start + limit] if limit else found[start:]
        if start + len(page) < len(found):
            about["continue"] = str(start + len(page))
        return JSONResponse({"kind": "List", "metadata": about, "items": page})

    def _patch(self, call: Call, body: Any) -> Response:
        item = self.objects.find(call.plural, call.namespace, call.name)
        if item is None:
            return _status(404, f'{call.plural} "{call.name}" not found')
        return JSONResponse(self.objects.put(call.plural, merged(item, body)))

    async def _watch(self, request: Request, call: Call) -> AsyncIterator[str]:
        version = int(request.query_params.get("resourceVersion") or 0)
        is_bookmarking = request.query_params.get("allowWatchBookmarks") == "true"
        if version < self.objects.oldest:
            yield _line("ERROR", {"kind": "Status", "code": 410, "message": f"too old resource version: {version}"})
            return
        while not self._is_closing and not self.is_down:
            if version < self.objects.oldest:
                yield _line("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
                return
            news = [change for change in self.objects.history if change.version > version]
            version = self.objects.version
            for change in news:
                is_ours = change.plural == call.plural and (
                    not call.namespace or _namespace(change.object) == call.namespace
                )
                if is_ours and self._selected(request, [change.object]):
                    yield _line(change.type, change.object)
            if not news and is_bookmarking:
                yield _line("BOOKMARK", {"kind": "Bookmark", "metadata": {"resourceVersion": str(version)}})
            await self.objects.wait()

    @staticmethod
    def _selected(request: Request, items: list[Object]) -> list[Object]:
        labels, fields = request.query_params.get("labelSelector", ""), request.query_params.get("fieldSelector", "")
        return [item for item in items if selects(item, labels, fields)]


def _call_of(request: Request) -> Call:
    parts = {name: str(value) for name, value in request.path_params.items()}
    verb = {"PATCH": "patch", "POST": "create"}.get(request.method, "get" if "name" in parts else "list")
    if verb == "list" and request.query_params.get("watch") == "true":
        verb = "watch"
    return Call(verb, parts["plural"], parts.get("namespace", ""), parts.get("name", ""), parts.get("sub", ""))


def _namespace(item: Object) -> str:
    return str(item["metadata"].get("namespace") or "")


def _line(type_: str, item: Object) -> str:
    return json.dumps({"type": type_, "object": item}) + "\n"


def _status(code: int, message: str) -> Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return JSONResponse(body, status_code=code)
