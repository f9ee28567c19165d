"""Whose credential is used. In multi-user mode nobody does anything in Kubeflow as this server: callers show their own.

A credential lives in memory until it was used, and is written down nowhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from server.domain.errors import ForbiddenError, PlatformError, UnauthorizedError
from server.domain.run import Run
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.errors import GoneError, RefusedError
from server.platforms.kubeflow.identity import Headers
from server.platforms.kubeflow.namespaces import Namespaces

OWN_AUTHORIZATION = "kubeflow-authorization"
"""A caller's Authorization header for Kubeflow, where the plain one is this server's own token."""

PLAIN = ("authorization", "cookie")
MOST = 10_000
"""More credentials than this are not waited with: the oldest go."""


class Callers:
    """Credentials of callers, by run.

    Args:
        user_header: in which callers (or the gateway before us) say who they are.
        own_token: this server's own token, which is nobody's credential in Kubeflow.
    """

    def __init__(
        self, client: KfpClient, *, namespaces: Namespaces, user_header: str, own_token: str | None = None
    ) -> None:
        self._client, self._namespaces = client, namespaces
        self._wanted = (*PLAIN, user_header.lower())
        self._own = f"Bearer {own_token}" if own_token else None
        self._hint = f"send your own {user_header} or Kubeflow-Authorization header, Authorization header or cookie"
        self._of_runs: dict[str, Headers] = {}
        self._of_stops: dict[str, Headers] = {}

    def shown_by(self, caller: Mapping[str, str]) -> Headers:
        """The caller's credential. Raises UnauthorizedError if there is none."""
        given = {name.lower(): value for name, value in caller.items()}
        found = {name: given[name] for name in self._wanted if given.get(name)}
        if self._own is not None and found.get("authorization") == self._own:
            del found["authorization"]
        if given.get(OWN_AUTHORIZATION):
            found["authorization"] = given[OWN_AUTHORIZATION]
        if not found:
            raise UnauthorizedError(
                "Kubeflow is in multi-user mode: nobody does anything there as this server", hint=self._hint
            )
        return found

    def keep(self, run_id: str, headers: Headers) -> None:
        """For creating the run."""
        _put(self._of_runs, run_id, headers)

    def of(self, run_id: str) -> Headers | None:
        """With which the run is created; None after a restart."""
        return self._of_runs.get(run_id)

    def was_created(self, run_id: str) -> None:
        """The run is there: its credential is not needed any more."""
        self._of_runs.pop(run_id, None)

    def forget(self, run_id: str) -> None:
        """The run is over."""
        self._of_runs.pop(run_id, None)
        self._of_stops.pop(run_id, None)

    def stopping(self, run_id: str) -> Headers | None:
        """With which the run is stopped, should it turn up in Kubeflow after all."""
        return self._of_stops.get(run_id)

    async def stop(self, run: Run, caller: Mapping[str, str], *, is_later: bool = False) -> None:
        """Stop a run as its caller, before it is written down that somebody wants that; or (`is_later`) be ready to.

        Raises UnauthorizedError, ForbiddenError, or PlatformError while Kubeflow is away.
        """
        headers = self.shown_by(caller)
        await self._told(self._look(run, headers) if is_later else self._stop(run, headers))
        _put(self._of_stops, run.id, headers)

    async def look(self, run: Run, caller: Mapping[str, str]) -> None:
        """Whether the caller may see a run. Raises UnauthorizedError, ForbiddenError or PlatformError."""
        headers = self.shown_by(caller)
        await self._told(self._look(run, headers))

    async def archive(self, run: Run, caller: Mapping[str, str] | None) -> None:
        """Put a run away, as the caller (None: as this server, in single-user mode)."""
        headers = self.shown_by(caller) if caller is not None else None
        await self._told(self._client.archive(run.platform_run_id or "", headers))

    async def _stop(self, run: Run, headers: Headers) -> None:
        await self._look(run, headers)
        if run.platform_run_id is None:
            return
        try:
            await self._client.terminate(run.platform_run_id, headers)
        except (GoneError, RefusedError):
            raise
        except PlatformError as error:
            if error.is_retryable:
                raise

    async def _look(self, run: Run, headers: Headers) -> None:
        if run.platform_run_id is None:
            namespace = self._namespaces.of(run.options.project)
            await self._client.list([], namespace=namespace, headers=headers, most=1)
        else:
            await self._client.get(run.platform_run_id, headers)

    async def _told(self, call: Awaitable[object]) -> None:
        try:
            await call
        except GoneError:
            return
        except RefusedError as error:
            if error.http_status == 401:
                raise UnauthorizedError(f"Kubeflow does not know you: {error.said}", hint=self._hint) from error
            raise ForbiddenError(
                f"Kubeflow does not let you: {error.said}", hint="ask for rights in the namespace"
            ) from error


def _put(kept: dict[str, Headers], run_id: str, headers: Headers) -> None:
    kept[run_id] = headers
    while len(kept) > MOST:
        del kept[next(iter(kept))]


__all__ = ["OWN_AUTHORIZATION", "Callers"]
