"""Asks image registries for which architectures an image is made. Reads manifests only, a few kilobytes each.

Source: the OCI distribution and image specifications; the token scheme of the distribution project.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from server.domain.errors import ConfigurationError, UnavailableError

HUB, HUB_ADDRESS = "docker.io", "registry-1.docker.io"
"""What images without a registry in their name come from, and where that answers."""

HUB_AUTH = "https://index.docker.io/v1/"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
LARGEST_BYTES = 4 * 2**20
SECONDS = 10.0
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NAME = re.compile(f"{_PART}(?:/{_PART})*")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name, taken apart. `reference` is a digest or a tag."""

    registry: str
    repository: str
    reference: str

    @property
    def is_fixed(self) -> bool:
        """Whether it names content, not a tag that may move."""
        return self.reference.startswith("sha256:")

    @property
    def text(self) -> str:
        """The whole name."""
        return f"{self.registry}/{self.repository}{'@' if self.is_fixed else ':'}{self.reference}"


@dataclass(frozen=True, slots=True)
class Read:
    """What a registry said: the digest of what the name stands for, and its architectures for Linux."""

    digest: str
    architectures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    content: bytes
    url: httpx.URL


def reference_of(image: str) -> Reference:
    """Raises UnavailableError for what is no image's name."""
    name, _, digest = image.partition("@")
    head, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    registry, path = (head, rest) if is_host else (HUB, name)
    path, colon, tag = path.partition(":")
    path = path if "/" in path or registry != HUB else f"library/{path}"
    reference = digest or (tag if colon else "latest")
    if not _NAME.fullmatch(path) or not _REFERENCE.fullmatch(reference):
        raise UnavailableError(f"{image!r} is no image's name")
    return Reference(registry, path, reference)


def read_passwords(file: Path | None) -> dict[str, str]:
    """User and password (`user:password` in base 64) by registry, from a file as `docker login` writes it.

    Raises ConfigurationError.
    """
    if file is None:
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["auths"]
        found = {name: entry["auth"] for name, entry in entries.items() if entry.get("auth")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the file of registry passwords {file} cannot be used: {error}", hint='it looks like {"auths": {…}}'
        ) from error
    return {HUB if name == HUB_AUTH else name: auth for name, auth in found.items()}


class Registries:
    """Reads manifests. `passwords` are base 64 by registry."""

    def __init__(
        self, passwords: Mapping[str, str] | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._passwords = dict(passwords or {})
        self._http = httpx.AsyncClient(timeout=SECONDS, transport=transport, headers={"User-Agent": "mlopx"})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, image: Reference) -> Read:
        """Raises UnavailableError saying why it cannot be read."""
        base = f"{_root(image.registry)}/v2/{image.repository}"
        answer, token = await self._ask(image, f"{base}/manifests/{image.reference}", None)
        manifest = _json(answer, image)
        digest = answer.headers.get("Docker-Content-Digest") or image.reference
        if "manifests" in manifest:
            platforms = [one.get("platform") or {} for one in manifest["manifests"]]
            kinds = [str(one.get("architecture", "")) for one in platforms if one.get("os", "linux") == "linux"]
        else:
            config = str((manifest.get("config") or {}).get("digest", ""))
            if not _REFERENCE.fullmatch(config):
                raise UnavailableError(f"{image.registry}: the manifest of {image.text} names no configuration")
            answer, _ = await self._ask(image, f"{base}/blobs/{config}", token)
            kinds = [str(_json(answer, image).get("architecture", ""))]
        found = tuple(sorted({kind for kind in kinds if kind and kind != "unknown"}))
        if not found:
            raise UnavailableError(f"{image.registry}: {image.text} names no architecture for Linux")
        return Read(digest, found)

    async def _ask(self, image: Reference, url: str, token: str | None) -> tuple[_Answer, str | None]:
        """The answer, after proving who we are where that is asked for; and what proved it, for the next call."""
        answer = await self._get(image, url, token)
        if answer.status == 401 and token is None:
            token = await self._token(image, answer.headers.get("WWW-Authenticate", ""))
            answer = await self._get(image, url, token)
        if answer.status != 200:
            raise UnavailableError(f"registry {image.registry} answers {answer.status} to {image.text}")
        return answer, token

    async def _get(self, image: Reference, url: str, token: str | None) -> _Answer:
        headers = {"Accept": ", ".join((*INDEXES, *MANIFESTS, "*/*"))}
        if token is not None:
            headers["Authorization"] = token
        for _ in range(MOST_REDIRECTS):
            answer = await self._fetch(image, url, headers)
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                return answer
            url = str(answer.url.join(answer.headers["Location"]))
            _require_safe(image, url)
            headers.pop("Authorization", None)  # what it leads to, a store say, has its own proof in the address
        raise UnavailableError(f"registry {image.registry} sends us from one address to the next")

    async def _token(self, image: Reference, challenge: str) -> str:
        """What to show, by the registry's challenge."""
        scheme, _, rest = challenge.partition(" ")
        password = self._passwords.get(image.registry)
        own = f"Basic {password}" if password else None
        if scheme.lower() == "basic" and own is not None:
            return own
        parts = dict(_CHALLENGE.findall(rest))
        realm = parts.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise UnavailableError(f"registry {image.registry} wants a password", hint="set REGISTRY_AUTH_FILE")
        _require_safe(image, realm)
        asked = httpx.URL(realm).copy_merge_params(
            {"service": parts.get("service", ""), "scope": f"repository:{image.repository}:pull"}
        )
        answer = await self._fetch(image, str(asked), {"Authorization": own} if own else {})
        document = _json(answer, image) if answer.status == 200 else {}
        token = document.get("token") or document.get("access_token")
        if not token:
            raise UnavailableError(f"registry {image.registry} gives no token for {image.text}: {answer.status}")
        return f"Bearer {token}"

    async def _fetch(self, image: Reference, url: str, headers: Mapping[str, str]) -> _Answer:
        try:
            async with self._http.stream("GET", url, headers=headers, follow_redirects=False) as answer:
                parts, size = [], 0
                async for part in answer.aiter_bytes():
                    size += len(part)
                    if size > LARGEST_BYTES:
                        raise UnavailableError(f"registry {image.registry} sends more than a manifest of {image.text}")
                    parts.append(part)
                return _Answer(answer.status_code, answer.headers, b"".join(parts), answer.url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise UnavailableError(f"registry {image.registry} cannot be reached: {said}") from error


def is_loopback(registry: str) -> bool:
    """Whether the registry is on this machine: spoken to without TLS, as every container engine does."""
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root(registry: str) -> str:
    host = HUB_ADDRESS if registry == HUB else registry
    return f"{'http' if is_loopback(registry) else 'https'}://{host}"


def _require_safe(image: Reference, url: str) -> None:
    """A registry may send us to other machines, but not without TLS: to this one only if it is on it itself."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (is_loopback(image.registry) and is_loopback(parts.netloc)):
        raise UnavailableError(f"registry {image.registry} sends us to an address that is not safe")


def _json(answer: _Answer, image: Reference) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError as error:
        raise UnavailableError(f"registry {image.registry} answers no JSON to {image.text}") from error
    if not isinstance(found, dict):
        raise UnavailableError(f"registry {image.registry} answers nothing usable to {image.text}")
    return found


def basic(user: str, password: str) -> str:
    """A user and password as a file of passwords has them."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


__all__ = ["Read", "Reference", "Registries", "basic", "is_loopback", "read_passwords", "reference_of"]
