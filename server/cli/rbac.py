"""`mlopx-server check --rbac`: each permission towards Kubernetes, and what is lost without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from server.connecting import kfp_client, kube_access
from server.domain.errors import MlopxError
from server.kube.client import KubeClient
from server.kube.permissions import held
from server.platforms.kubeflow.namespaces import Namespaces
from server.settings import Settings

Row = tuple[str, bool, str]
_NEVER: Callable[[], datetime] = lambda: datetime.min.replace(tzinfo=UTC)  # noqa: E731 - a clock that stands


def check_rbac(settings: Settings) -> list[Row]:
    """One row per permission and verb, and one on Kubeflow itself."""
    return asyncio.run(_rows(settings))


async def _rows(settings: Settings) -> list[Row]:
    return [await _kubeflow(settings), *await _kubernetes(settings)]


async def _kubeflow(settings: Settings) -> Row:
    client = None
    try:
        client = kfp_client(settings, _NEVER)
        health = await client.health()
    except MlopxError as error:
        return ("kubeflow", False, error.message)
    finally:
        if client is not None:
            await client.aclose()
    mode = "multi-user" if health.is_multi_user else "single-user"
    return ("kubeflow", True, f"version {health.text or 'unknown'}, {mode}")


async def _kubernetes(settings: Settings) -> list[Row]:
    try:
        access = kube_access(settings)
    except MlopxError as error:
        return [("kubernetes", False, error.message)]
    if access is None:
        return [("kubernetes", False, "there is no access; runs are followed as a whole, and nothing is placed")]
    rows: dict[str, Row] = {}
    async with KubeClient(access) as client:
        for namespace in Namespaces.read(settings.kfp_namespace).in_kubernetes:
            for one in await held(client, namespace, is_placing=settings.kfp_mode != "observe"):
                where = "cluster" if one.permission.is_everywhere else f"namespace {namespace}"
                name = f"{one.verb} {one.permission.text} ({where})"
                lost = f"without it: {one.permission.lost}" if not one.problem else one.problem
                rows.setdefault(name, (name, one.is_held, "granted" if one.is_held else lost))
    return [("kubernetes", True, f"{access.url}, by {access.source or 'the settings'}"), *rows.values()]


__all__ = ["check_rbac"]
