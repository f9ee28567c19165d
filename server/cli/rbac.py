"""`mlopx-server check --rbac`: each permission towards Kubernetes, and what is lost without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from server.connecting import kfp_client, kube_access
from server.domain.errors import MlopxError
from server.kube.client import KubeClient
from server.kube.permissions import Held, held, held_to_submit
from server.platforms.kubeflow.client import Health
from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.versions import read_version, said_of
from server.settings import Settings

Row = tuple[str, bool, str]
_NEVER: Callable[[], datetime] = lambda: datetime.min.replace(tzinfo=UTC)  # noqa: E731 - a clock that stands


def check_rbac(settings: Settings) -> list[Row]:
    """One row per permission and verb, and one on Kubeflow itself."""
    return asyncio.run(_rows(settings))


def check_kubeflow(settings: Settings) -> Row:
    """Which Kubeflow answers, and what cannot be written for its version."""
    return asyncio.run(_kubeflow(settings))[0]


async def _rows(settings: Settings) -> list[Row]:
    row, is_multi_user = await _kubeflow(settings)
    return [row, *await _kubernetes(settings, is_multi_user=is_multi_user)]


async def _kubeflow(settings: Settings) -> tuple[Row, bool]:
    """How it is, and whether it may be multi-user."""
    client = None
    try:
        client = kfp_client(settings, _NEVER)
        health = await client.health()
    except MlopxError as error:
        return ("kubeflow", False, error.message), True
    finally:
        if client is not None:
            await client.aclose()
    mode = "multi-user" if health.is_multi_user else "single-user"
    return ("kubeflow", True, f"{_version(settings, health)}, {mode}"), health.is_multi_user


async def _kubernetes(settings: Settings, *, is_multi_user: bool) -> list[Row]:
    try:
        access = kube_access(settings)
    except MlopxError as error:
        return [("kubernetes", False, error.message)]
    if access is None:
        return [("kubernetes", False, "there is no access; runs are followed as a whole, and nothing is placed")]
    rows: dict[str, Row] = {}
    async with KubeClient(access) as client:
        for namespace in Namespaces.read(settings.kfp_namespace).in_kubernetes:
            is_placing = settings.kfp_mode != "observe"
            for one in await held(client, namespace, is_placing=is_placing, is_multi_user=is_multi_user):
                where = "cluster" if one.permission.is_everywhere else f"namespace {namespace}"
                name = f"{one.verb} {_text(one)} ({where})"
                lost = f"without it: {one.permission.lost}" if not one.problem else one.problem
                rows.setdefault(name, (name, one.is_held, "granted" if one.is_held else lost))
            for one in await held_to_submit(client, namespace) if is_placing and is_multi_user else ():
                name = f"to submit: {one.verb} {_text(one)} (namespace {namespace})"
                rows.setdefault(name, (name, True, _of_submitters(one)))
    return [("kubernetes", True, f"{access.url}, by {access.source or 'the settings'}"), *rows.values()]


def _version(settings: Settings, health: Health) -> str:
    return said_of(health.text, health.version, read_version(settings.kfp_version))


def _text(one: Held) -> str:
    return f"{one.permission.text}{'.pipelines.kubeflow.org' if one.permission.is_kubeflows else ''}"


def _of_submitters(one: Held) -> str:
    """This server needs none of it: what is done for somebody is done with that one's account."""
    if one.problem:
        return one.problem
    said = "this account has it too" if one.is_held else "this account has it not, and need not"
    return f"{said}; whoever submits without it: {one.permission.lost}"


__all__ = ["check_kubeflow", "check_rbac"]
