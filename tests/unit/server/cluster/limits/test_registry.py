"""What registries say of images, over real HTTP: indexes, single manifests, tokens, stores elsewhere, and nonsense."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from server.cluster.limits.images import ImageBuilds, spellings
from server.cluster.limits.registry import Registries, basic, read_passwords, reference_of
from server.domain.errors import ConfigurationError, UnavailableError
from server.testing.serving import serving

DIGEST = "sha256:" + "a" * 64
CONFIG = "sha256:" + "b" * 64
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Registry:
    """A small registry: manifests by `repository:reference`, blobs by digest."""

    def __init__(self) -> None:
        self.manifests: dict[str, Any] = {}
        self.blobs: dict[str, Any] = {}
        self.asked: list[str] = []
        self.password: str | None = None
        self.sends_to: str | None = None
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        routes = [
            Route("/token", self._token),
            Route("/store/{digest}", self._store),
            Route("/v2/{repository:path}/manifests/{reference}", self._manifest),
            Route("/v2/{repository:path}/blobs/{digest}", self._blob),
        ]
        async with serving(Starlette(routes=routes)) as url:
            self.url = url
            yield url.removeprefix("http://")

    def _refused(self, request: Request) -> Response | None:
        if self.password is None or request.headers.get("Authorization") == "Bearer good":
            return None
        challenge = f'Bearer realm="{self.sends_to or self.url}/token",service="small",scope="x"'
        return Response(status_code=401, headers={"WWW-Authenticate": challenge})

    async def _token(self, request: Request) -> Response:
        wanted = f"Basic {self.password}" if self.password else None
        if request.headers.get("Authorization") != wanted:
            return Response(status_code=401)
        self.asked.append(f"token {request.query_params['scope']}")
        return JSONResponse({"token": "good"})

    async def _manifest(self, request: Request) -> Response:
        name = "{repository}:{reference}".format(**request.path_params)
        self.asked.append(name)
        if (refused := self._refused(request)) is not None:
            return refused
        if name not in self.manifests:
            return JSONResponse({"errors": []}, status_code=404)
        return JSONResponse(self.manifests[name], headers={"Docker-Content-Digest": DIGEST})

    async def _blob(self, request: Request) -> Response:
        refused = self._refused(request)
        return refused if refused is not None else RedirectResponse(f"/store/{request.path_params['digest']}", 307)

    async def _store(self, request: Request) -> Response:
        assert "Authorization" not in request.headers
        return JSONResponse(self.blobs[request.path_params["digest"]])


def an_index(*kinds: str) -> dict[str, Any]:
    manifests = [{"platform": {"os": "linux", "architecture": kind}} for kind in kinds]
    return {"manifests": [*manifests, {"platform": {"os": "unknown", "architecture": "unknown"}}]}


async def read(registries: Registries, image: str) -> tuple[str, ...]:
    return (await registries.read(reference_of(image))).architectures


async def test_an_image_for_several_processors_names_them_all(make: Make) -> None:
    registry = Registry()
    registry.manifests["team/train:1"] = an_index("arm64", "amd64")
    async with registry.serve() as host:
        assert await read(make(), f"{host}/team/train:1") == ("amd64", "arm64")


async def test_an_image_for_one_processor_says_so_in_its_configuration_which_may_lie_elsewhere(make: Make) -> None:
    registry = Registry()
    registry.manifests["train:latest"] = {"config": {"digest": CONFIG}}
    registry.blobs[CONFIG] = {"architecture": "arm64", "os": "linux"}
    async with registry.serve() as host:
        assert await read(make(), f"{host}/train") == ("arm64",)


async def test_a_registry_that_asks_for_a_token_is_shown_one_that_the_password_bought(make: Make) -> None:
    registry = Registry()
    registry.password = basic("me", "secret")
    registry.manifests["train:1"] = {"config": {"digest": CONFIG}}
    registry.blobs[CONFIG] = {"architecture": "amd64"}
    async with registry.serve() as host:
        assert await read(make({host: registry.password}), f"{host}/train:1") == ("amd64",)
        assert registry.asked.count("token repository:train:pull") == 1
        with pytest.raises(UnavailableError, match="gives no token"):
            await read(make(), f"{host}/train:1")


async def test_a_password_is_never_sent_to_another_machine_without_encryption(make: Make) -> None:
    registry = Registry()
    registry.password, registry.sends_to = basic("me", "secret"), "http://elsewhere.example"
    async with registry.serve() as host:
        with pytest.raises(UnavailableError, match="not safe"):
            await read(make({host: registry.password}), f"{host}/train:1")


@pytest.mark.parametrize("manifest", [[], {}, {"manifests": []}, {"config": {"digest": "../../x"}}])
async def test_nonsense_is_a_sentence(manifest: Any, make: Make) -> None:
    registry = Registry()
    registry.manifests["train:1"] = manifest
    async with registry.serve() as host:
        with pytest.raises(UnavailableError):
            await read(make(), f"{host}/train:1")
        with pytest.raises(UnavailableError, match="answers 404"):
            await read(make(), f"{host}/other:1")


@pytest.mark.parametrize(
    ("image", "whole"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.11", "docker.io/library/python:3.11"),
        ("team/train", "docker.io/team/train:latest"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        (f"reg.example/a:1@{DIGEST}", f"reg.example/a@{DIGEST}"),
    ],
)
def test_names_of_images_are_taken_apart_as_engines_do(image: str, whole: str) -> None:
    assert reference_of(image).text == whole


@pytest.mark.parametrize("image", ["", "UPPER", "a b", "x/../y", "a:b:c", "reg.example/a@sha256:short"])
def test_what_is_no_image_is_not_asked_for(image: str) -> None:
    with pytest.raises(UnavailableError, match="is no image's name"):
        reference_of(image)


def test_a_file_of_passwords_is_read_as_engines_write_it(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    own = base64.b64encode(b"u:p").decode()
    file.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": own}, "other": {}}}))
    assert read_passwords(file) == {"docker.io": own}
    file.write_text("[]")
    with pytest.raises(ConfigurationError, match="file of registry passwords"):
        read_passwords(file)


Make = Callable[..., Registries]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes connections to registries, and closes them."""
    made: list[Registries] = []

    def one(passwords: dict[str, str] | None = None) -> Registries:
        made.append(Registries(passwords))
        return made[-1]

    yield one
    for registries in made:
        await registries.aclose()


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


async def test_what_was_read_is_remembered_by_digest_over_a_restart(tmp_path: Path, make: Make) -> None:
    registry, clock, file = Registry(), Clock(), tmp_path / "images.json"
    registry.manifests["train:1"] = an_index("arm64")
    async with registry.serve() as host:
        image = f"{host}/train:1"
        builds = ImageBuilds(make(), allowed=["*"], now=clock, file=file)
        assert builds.of(image, (), ["arm64"]) is None
        await builds.look_up()
        found = builds.of(image, (), ["arm64"])
        assert found is not None
        assert (found.architectures, found.known_from) == (("arm64",), "its manifest")
        again = ImageBuilds(make(), allowed=["*"], now=clock, file=file)
        fixed = f"{host}/train@{DIGEST}"
        again.of(fixed, (), [])
        before = len(registry.asked)
        await again.look_up()
        assert again.of(fixed, (), []) is not None
        assert len(registry.asked) == before
    file.write_text("{nonsense")
    assert not ImageBuilds(make(), allowed=["*"], now=clock, file=file).is_known(fixed)


async def test_a_tag_that_may_have_moved_is_read_again_and_stands_meanwhile(make: Make) -> None:
    registry, clock = Registry(), Clock()
    registry.manifests["train:1"] = an_index("arm64")
    async with registry.serve() as host:
        image = f"{host}/train:1"
        builds = ImageBuilds(make(), allowed=["*"], now=clock)
        builds.of(image, (), [])
        await builds.look_up()
        registry.manifests["train:1"] = an_index("amd64")
        clock.now += timedelta(hours=2)
        stands = builds.of(image, (), [])
        assert stands is not None
        assert stands.architectures == ("arm64",)
        await builds.look_up()
        moved = builds.of(image, (), [])
        assert moved is not None
        assert moved.architectures == ("amd64",)


async def test_an_image_that_cannot_be_read_goes_where_it_ran_else_counts_as_amd64_and_says_so(make: Make) -> None:
    builds = ImageBuilds(make(), allowed=["other.example"], now=Clock())
    builds.of("private.example/a:1", (), [])
    await builds.look_up()
    ran = builds.of("private.example/a:1", ["arm64"], ["amd64", "arm64"])
    assert ran is not None
    assert ran.architectures == ("arm64",)
    assert ran.known_from.startswith(
        "where it ran before, since registry private.example is not among IMAGE_REGISTRIES"
    )
    kept = builds.of("private.example/a:1", [], ["amd64", "arm64"])
    assert kept is not None
    assert kept.architectures == ("arm64",)
    builds.of("private.example/b:1", (), [])
    await builds.look_up()
    guess = builds.of("private.example/b:1", [], ["amd64", "arm64"])
    assert guess is not None
    assert guess.architectures == ("amd64",)
    assert guess.known_from.startswith("a guess, since")
    assert builds.of("private.example/b:1", [], ["arm64"]) is None


def test_nodes_may_tell_of_an_image_by_several_names() -> None:
    assert "docker.io/library/python:3.11" in spellings("python:3.11")
    assert "python:3.11" in spellings("docker.io/library/python:3.11")
    assert spellings("A B") == ("A B",)
