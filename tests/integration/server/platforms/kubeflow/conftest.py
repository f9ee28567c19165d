"""A house around the real adapter and the Kubeflow double."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from server.cluster.kubernetes import KubernetesNodes
from server.components.clock import SteadyClock
from server.kube.access import Access
from server.kube.client import KubeClient
from server.kube.own_runs import OwnRuns
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.compiler import PlacingCompiler
from server.platforms.kubeflow.identity import Identity
from server.platforms.kubeflow.options import KubeflowOptions
from server.platforms.kubeflow.placing import PlacementMode
from server.platforms.kubeflow.platform import KubeflowPlatform
from server.stores.memory import MemoryRunStore
from server.testing.house import House, open_house
from server.testing.kfp import KubeflowDouble, VirtualNode


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small_compiler = _load("small_compiler")


@dataclass
class Ground:
    """The double, and houses over it that share one store."""

    double: KubeflowDouble
    clock: SteadyClock
    folder: Path
    url: str
    kube_url: str
    store: MemoryRunStore
    platform: KubeflowPlatform | None = None
    own_runs: OwnRuns = field(default_factory=OwnRuns)

    @asynccontextmanager
    async def house(self, *, has_kube: bool = True, **options: Any) -> AsyncIterator[House]:
        """A server over the double."""
        settings = {"update_seconds": 0.05, "settle_seconds": 0.3, "is_annotating": True, **options}
        kube = KubeClient(Access(url=self.kube_url)) if has_kube else None
        nodes = KubernetesNodes(kube, now=self.clock.now) if kube else None
        headers = settings.pop("headers", {})
        translate = settings.pop("translate", small_compiler.translate)
        max_hold = settings.pop("max_hold_seconds", None)
        mode = PlacementMode(settings.pop("placement", "default"))
        iterations = settings.pop("iterations", "own")
        timeout = settings.pop("timeout_seconds", 5)
        known: dict[str, Any] = {}

        async def look() -> Any:
            assert nodes is not None
            seen = await nodes.look()
            known.update((node.name, node) for node in seen.nodes)
            return seen.nodes

        platform = KubeflowPlatform(
            client=KfpClient(self.url, identity=Identity(headers=headers), now=self.clock.now, timeout_seconds=timeout),
            compiler=PlacingCompiler(
                translate=translate, refusals=lambda spec: [], node_of=known.get, mode=mode, iterations=iterations
            ),
            kube=kube,
            nodes=look if nodes else None,
            options=KubeflowOptions(**settings),
            folder=self.folder / "kubeflow",
            now=self.clock.now,
            own_runs=self.own_runs,
        )
        self.platform = platform
        try:
            async with open_house(platform, self.store, self.folder, self.clock, max_hold_seconds=max_hold) as house:
                yield house
        finally:
            await platform.aclose()


class Hurry:
    """A clock that can be made to run faster."""

    def __init__(self) -> None:
        self.rate = 1.0
        self._looked_at, self._seconds = time.monotonic(), 1_700_000_000.0

    def __call__(self) -> float:
        now = time.monotonic()
        self._seconds += (now - self._looked_at) * self.rate
        self._looked_at = now
        return self._seconds


@pytest.fixture
def hurry() -> Hurry:
    """A clock to make a double on."""
    return Hurry()


@pytest.fixture
def nodes() -> list[VirtualNode]:
    """The double's nodes."""
    return [VirtualNode("one", cpu="2"), VirtualNode("two", cpu="2")]


@pytest.fixture
def make(tmp_path: Path, nodes: list[VirtualNode]) -> Callable[..., AbstractAsyncContextManager[Ground]]:
    """A double that runs, on the machine's clock or on another."""

    @asynccontextmanager
    async def one(seconds: Callable[[], float] | None = None) -> AsyncIterator[Ground]:
        wall, monotonic = seconds or time.time, seconds or time.monotonic  # noqa: TID251 - a test with the real clock
        clock = SteadyClock(wall, monotonic)
        double = KubeflowDouble(tmp_path / "double", nodes, now=clock.now)
        async with double.serve() as (url, kube_url):
            yield Ground(double, clock, tmp_path, url, kube_url, MemoryRunStore())

    return one
