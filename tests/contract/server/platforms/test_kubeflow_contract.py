"""The promises on which the Kubeflow adapter stands: kept by the double, and by a real Kubeflow where one is given."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from server.connecting import kfp_client, kube_access
from server.domain.errors import MlopxError
from server.kube.access import Access
from server.kube.client import KubeClient
from server.kube.resources import WORKFLOWS
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.identity import Identity
from server.settings import Settings, load
from server.testing.contracts.kubeflow import PROMISES, KubeflowGround
from server.testing.kfp import KubeflowDouble, VirtualNode

GIVEN = {name: value for name, value in os.environ.items() if name.startswith(("KFP_", "KUBE"))}
"""Read before the tests' own clean environment: the Kubeflow that somebody gives by `make test-kubeflow`."""

WHICH = ["double", *(["real"] if "KFP_URL" in GIVEN else [])]


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - a test with the machine's clock


@asynccontextmanager
async def the_double(folder: Path) -> AsyncIterator[KubeflowGround]:
    double = KubeflowDouble(folder, [VirtualNode("one")], now=now)
    async with double.serve() as (url, kube_url), KubeClient(Access(url=kube_url)) as kube:
        client = KfpClient(url, identity=Identity(), now=now)
        try:
            yield KubeflowGround(client, kube)
        finally:
            await client.aclose()


def stop(why: str, hint: str | None) -> NoReturn:
    """End all tests with one sentence: without a Kubeflow that answers, each would fail for the same reason."""
    pytest.exit(f"the Kubeflow to test cannot be reached: {why}" + (f"; {hint}" if hint else ""), returncode=2)


@asynccontextmanager
async def a_real_one() -> AsyncIterator[KubeflowGround]:
    settings: Settings = load(GIVEN, file=Path("none"))[0]
    try:
        access = kube_access(settings)
    except MlopxError as error:
        stop(error.message, error.hint)
    if access is None:
        stop("there is no kubeconfig", "give KUBECONFIG=..., the cluster that this Kubeflow runs in")
    client = kfp_client(settings, now)
    async with KubeClient(access) as kube:
        try:
            await client.health()
            await kube.may("list", WORKFLOWS, namespace=settings.kfp_namespace or "kubeflow")
        except MlopxError as error:
            stop(error.message, error.hint)
        try:
            yield KubeflowGround(client, kube, settings.kfp_namespace, settings.kfp_namespace or "kubeflow")
        finally:
            await client.aclose()


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_kubeflow(
    promise: Any, which: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if which == "double":
        async with the_double(tmp_path) as ground:
            await promise(ground)
        return
    monkeypatch.undo()  # a real Kubeflow is not on loopback
    async with a_real_one() as ground:
        await promise(ground)
