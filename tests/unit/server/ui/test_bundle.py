"""The built dashboard is that of the sources beside it, small, and calls nobody but its own server."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from server.ui.pages import FOLDER, add_dashboard

WEB = FOLDER.parent / "web"
MOST_BYTES = 80 * 1024
LEFT_OUT = ("node_modules", "package-lock.json")
BUILT = sorted(path for path in FOLDER.iterdir() if path.suffix in (".js", ".css", ".html"))


def sources() -> list[str]:
    found = [path.relative_to(WEB) for path in WEB.rglob("*") if path.is_file()]
    kept = [path for path in found if not any(part in LEFT_OUT or part.startswith(".") for part in path.parts)]
    return sorted(path.as_posix() for path in kept)


def test_what_is_built_is_what_the_sources_say() -> None:
    digest = hashlib.sha256()
    for name in sources():
        digest.update(f"{name}\n".encode())
        digest.update((WEB / name).read_bytes())
    kept = (FOLDER / "sources.sha256").read_text().strip()
    assert kept == digest.hexdigest(), "the dashboard's sources changed: run `make ui` and commit server/ui/static"


def test_all_of_it_stays_below_eighty_kilobytes() -> None:
    assert {path.name for path in BUILT} == {"app.js", "layout.js", "index.css", "index.html"}
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in BUILT) <= MOST_BYTES


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.name)
def test_it_names_no_address_of_anybody_else(path: Path) -> None:
    found = set(re.findall(r"(?:https?:)?//[a-z0-9][a-z0-9.-]+\.[a-z]{2,}[^\s'\"`)]*", path.read_text()))
    assert {one for one in found if not one.startswith("http://www.w3.org/")} == set()


async def test_pages_are_served_with_a_policy_that_lets_them_reach_only_this_server() -> None:
    transport = httpx.ASGITransport(add_dashboard(FastAPI()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/ui")).headers["location"] == "/ui/"
        page = await client.get("/ui/")
        assert page.status_code == 200
        assert "<title>MLOpX</title>" in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
        for name in re.findall(r'(?:src|href)="\./([^"]+)"', page.text):
            assert (await client.get(f"/ui/{name}")).status_code == 200
        assert (await client.get("/ui/nothing.js")).status_code == 404
