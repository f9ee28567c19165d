"""Who may call: Host and Origin are checked, tokens compared, and bodies kept within their limit, before any route."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.domain.errors import ForbiddenError, MlopxError, TooLargeError, UnauthorizedError

OPEN_PATHS = ("/healthz", "/readyz")
OPEN_FOLDERS = ("/ui/",)
"""Pages that hold no data; they ask for the token and send it themselves."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")
DRAINED_BYTES = 256 * 2**20
"""How much of a refused body is read and thrown away, so that the caller comes to read the answer."""


class Guard:
    """ASGI middleware. `token`, `hosts` and `limit` are asked for at each request, since they come with the start."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Callable[[], str | None],
        hosts: Callable[[], frozenset[str]],
        limit: Callable[[], int],
    ) -> None:
        self._app, self._token, self._hosts, self._limit = app, token, hosts, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_addresses(headers)
            self._check_caller(scope, headers)
            limit = self._limit()
            length = headers.get("content-length", "")
            if length.isdigit() and int(length) > limit:
                raise too_large(limit)
        except MlopxError as error:
            if "expect" not in headers:
                await _drain(receive)
            await _refuse(scope, send, error)
            return
        await self._limited(scope, receive, send, limit)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        """Count the body as it comes in, and cut it off; whatever the routes make of the cut, the caller is told."""
        taken, has_more, has_answered = 0, True, False

        async def counted() -> Message:
            nonlocal taken, has_more
            message = await receive()
            taken += len(message.get("body", b""))
            has_more = message.get("more_body", False)
            if taken > limit:
                raise _CutOffError
            return message

        async def watched(message: Message) -> None:
            nonlocal has_answered
            if taken <= limit or has_answered:
                has_answered = True
                await send(message)

        try:
            await self._app(scope, counted, watched)
        except Exception:
            if taken <= limit:
                raise
        if taken > limit and not has_answered:
            if has_more:
                await _drain(receive)
            await _refuse(scope, send, too_large(limit))

    def _check_addresses(self, headers: dict[str, str]) -> None:
        host = _name(headers.get("host", ""))
        if not self._is_known(host):
            raise ForbiddenError(
                f"the server is not known as {host!r}",
                hint="call it by an IP address or localhost, or add the name to ALLOWED_HOSTS",
            )
        origin = headers.get("origin")
        if origin is not None and _authority(origin.partition("://")[2]) != _authority(headers["host"]):
            page = "a page without an origin" if origin in ("", "null") else f"a page of {origin}"
            raise ForbiddenError(f"{page} may not call this server", hint="open the server's own pages")

    def _is_known(self, host: str) -> bool:
        if host in LOOPBACK_NAMES or host in self._hosts() or "*" in self._hosts():
            return True
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True

    def _check_caller(self, scope: Scope, headers: dict[str, str]) -> None:
        token = self._token()
        if scope["path"] in OPEN_PATHS or (scope["path"].startswith(OPEN_FOLDERS) and scope["method"] in SAFE_METHODS):
            return
        if token is not None:
            scheme, _, rest = headers.get("authorization", "").partition(" ")
            given = rest.strip() if scheme.lower() == "bearer" else ""
            if not hmac.compare_digest(given.encode("latin-1"), token.encode()):
                raise UnauthorizedError(
                    "this server wants a token" if not given else "the token is wrong",
                    hint="set MLOPX_TOKEN to the server's token",
                )
            return
        if scope["method"] not in SAFE_METHODS and not _is_loopback(scope):
            raise UnauthorizedError(
                "without a token, only callers on the server's own machine may change anything",
                hint="start the server with MLOPX_TOKEN and send the same token",
            )


class _CutOffError(Exception):
    """The body went over the limit."""


def too_large(limit: int) -> TooLargeError:
    """What a caller is told who sends too much."""
    return TooLargeError(
        f"the request is larger than {limit / 2**20:.0f} MiB",
        hint="put data into a volume or data set instead of the pipeline; MAX_UPLOAD_BYTES sets the limit",
    )


def _authority(netloc: str) -> str:
    """Host and port, lower case, without a port that goes without saying."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")


def _name(netloc: str) -> str:
    """Host name without port, lower case."""
    if netloc.startswith("["):
        return netloc.split("]", maxsplit=1)[0].lower() + "]"
    return netloc.rsplit(":", 1)[0].lower() if netloc.count(":") == 1 else netloc.lower()


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    if client is None:
        return True
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return client[0] in LOOPBACK_NAMES


async def _drain(receive: Receive) -> None:
    """Read what the caller still sends, up to a limit: a connection closed before loses the answer on its way."""
    taken = 0
    while taken <= DRAINED_BYTES:
        message = await receive()
        taken += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


async def _refuse(scope: Scope, send: Send, error: MlopxError) -> None:
    body = json.dumps(
        {
            "type": f"https://mlopx.dev/problems/{error.code}",
            "title": error.title,
            "status": error.status,
            "detail": error.message,
            "hint": error.hint,
            "details": list(error.details),
            "instance": scope["path"],
        }
    ).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
