"""The client and the mirror against the double, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from server.kube.access import Access, ExecToken
from server.kube.client import KubeClient
from server.kube.errors import KubeDeniedError, KubeError, KubeMissingError
from server.kube.mirror import Mirror
from server.kube.resources import NODES, PODS
from server.testing.kube import KubeDouble

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def connected(double: KubeDouble, token: Callable[[], str | None] = lambda: None) -> AsyncIterator[KubeClient]:
    async with double.serve() as url, KubeClient(Access(url=url, token=token), sleep=no_sleep) as client:
        yield client


def a_pod(name: str, namespace: str = "team", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {}}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.002)


async def test_a_list_is_read_in_pages() -> None:
    double = KubeDouble()
    for number in range(7):
        double.objects.put("pods", a_pod(f"p{number}"))
    async with connected(double) as client:
        listing = await client.list(PODS, limit=3)
    assert [item["metadata"]["name"] for item in listing.items] == [f"p{number}" for number in range(7)]
    assert len(double.calls) == 3


async def test_a_list_whose_page_expired_begins_again() -> None:
    double = KubeDouble()
    for number in range(7):
        double.objects.put("pods", a_pod(f"p{number}"))
    double.expire_pages = 1
    async with connected(double) as client:
        assert len((await client.list(PODS, limit=3)).items) == 7


async def test_labels_and_namespaces_select() -> None:
    double = KubeDouble()
    double.objects.put("pods", a_pod("a", app="x"))
    double.objects.put("pods", a_pod("b", "other", app="x"))
    double.objects.put("pods", a_pod("c"))
    async with connected(double) as client:
        found = await client.list(PODS, namespace="team", labels="app")
    assert [item["metadata"]["name"] for item in found.items] == ["a"]


async def test_a_busy_api_is_asked_again_and_a_dead_one_is_named() -> None:
    double = KubeDouble()
    double.objects.put("nodes", {"metadata": {"name": "n"}})
    double.failing = [503, 429]
    async with connected(double) as client:
        assert (await client.get(NODES, name="n"))["metadata"]["name"] == "n"
        double.is_down = True
        with pytest.raises(KubeError, match="503"):
            await client.get(NODES, name="n")
    async with KubeClient(Access(url="http://127.0.0.1:1"), sleep=no_sleep) as client:
        with pytest.raises(KubeError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
            await client.get(NODES, name="n")


async def test_what_is_missing_or_forbidden_is_said_as_such() -> None:
    double = KubeDouble()
    double.denied = {("list", "pods")}
    async with connected(double) as client:
        with pytest.raises(KubeMissingError):
            await client.get(NODES, name="n")
        with pytest.raises(KubeDeniedError, match="cannot list") as caught:
            await client.list(PODS)
        assert "check --rbac" in (caught.value.hint or "")
        assert await client.may("list", NODES)
        assert not await client.may("list", PODS)


async def test_a_token_that_was_replaced_is_read_again() -> None:
    double = KubeDouble()
    double.objects.put("nodes", {"metadata": {"name": "n"}})
    double.token = "new"
    tokens = iter(["old", "new", "new"])
    async with connected(double, lambda: next(tokens)) as client:
        await client.get(NODES, name="n")
    assert len(double.calls) == 2


async def test_a_credential_program_is_asked_aside_and_once_for_all_who_wait() -> None:
    class Slow(ExecToken):
        """A credential program that takes its time."""

        asked, may_answer = 0, threading.Event()

        def _ask(self) -> str:
            self.asked += 1
            self.may_answer.wait(10)
            return "token"

    program, free = Slow({}), 0
    async with connected(KubeDouble(), program) as client:
        calls = asyncio.gather(*(client.list(NODES) for _ in range(4)))
        while not calls.done():
            await asyncio.sleep(0.005)
            free += 1
            if free > 5:
                program.may_answer.set()
    assert program.asked == 1
    assert free > 5


async def test_a_patch_merges() -> None:
    double = KubeDouble()
    double.objects.put("pods", a_pod("a", app="x"))
    async with connected(double) as client:
        await client.patch(PODS, {"metadata": {"annotations": {"why": "y"}}}, name="a", namespace="team")
    item = double.objects.find("pods", "team", "a")
    assert item is not None
    assert item["metadata"]["annotations"] == {"why": "y"}
    assert item["metadata"]["labels"] == {"app": "x"}


@asynccontextmanager
async def mirrored(double: KubeDouble) -> AsyncIterator[Mirror[str]]:
    async with connected(double) as client:
        mirror = Mirror(client, PODS, reduce=lambda item: str(item["metadata"]["name"]), now=lambda: AT, sleep=no_sleep)
        task = asyncio.create_task(mirror.run_forever())
        try:
            await until(lambda: mirror.is_synced)
            yield mirror
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_mirror_follows_by_watching_and_lists_once() -> None:
    double = KubeDouble()
    double.objects.put("pods", a_pod("a"))
    heard: list[Any] = []
    async with mirrored(double) as mirror:
        mirror.listen(lambda name, kept: heard.append((name[1], kept)))
        double.objects.put("pods", a_pod("b"))
        await until(lambda: len(mirror) == 2)
        double.objects.delete("pods", "team", "a")
        await until(lambda: len(mirror) == 1)
        double.cut_watches()
        double.objects.put("pods", a_pod("c"))
        await until(lambda: mirror.get("team", "c") is not None)
    assert heard == [("b", "b"), ("a", None), ("c", "c")]
    assert mirror.lists == 1


async def test_a_mirror_whose_place_in_history_is_gone_lists_again() -> None:
    double = KubeDouble()
    double.objects.put("pods", a_pod("a"))
    async with mirrored(double) as mirror:
        double.objects.delete("pods", "team", "a")
        double.objects.put("pods", a_pod("b"))
        double.objects.compact()
        double.objects.wake()
        await until(lambda: mirror.lists == 2)
        assert list(mirror) == ["b"]


async def test_a_mirror_keeps_what_it_has_while_the_api_is_away() -> None:
    double = KubeDouble()
    double.objects.put("pods", a_pod("a"))
    async with mirrored(double) as mirror:
        double.is_down = True
        double.objects.wake()
        await until(lambda: mirror.problem is not None)
        assert list(mirror) == ["a"]
        double.is_down = False
        double.objects.put("pods", a_pod("b"))
        await until(lambda: len(mirror) == 2)
        assert mirror.problem is None
