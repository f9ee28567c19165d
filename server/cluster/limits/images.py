"""For which architectures images are made: by their manifests, else by where they ran, else amd64, and which it was.

A name is looked up in the background and remembered on disk by the digest that it stands for; a tag is looked up again
after an hour, since it may move. Nothing waits for a registry.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from server.cluster.limits.registry import HUB, Reference, Registries, reference_of
from server.domain.confines import ImageBuild
from server.domain.errors import MlopxError, UnavailableError

log = logging.getLogger(__name__)

ANY = "*"
TAG_LASTS, TRY_AGAIN = timedelta(hours=1), timedelta(minutes=10)
FALLBACK = "amd64"
BY_MANIFEST = "its manifest"
MOST_IMAGES = 5_000


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a look at a registry gave: architectures, or (none) why not."""

    at: datetime
    digest: str = ""
    architectures: tuple[str, ...] = ()
    problem: str = ""


class ImageBuilds:
    """Knows images by name.

    Args:
        allowed: host names of the registries that may be asked; `*` stands for any.
        file: where what was read is kept.
        on_change: called when an image became known.
    """

    def __init__(
        self,
        registries: Registries,
        *,
        allowed: Iterable[str],
        now: Callable[[], datetime],
        file: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._registries, self._allowed, self._now, self._file = registries, frozenset(allowed), now, file
        self._on_change = on_change
        self._by_digest: dict[str, tuple[str, ...]] = {}
        self._ran: dict[str, tuple[str, ...]] = {}
        self._looked: dict[str, _Looked] = {}
        self._wanted: dict[str, None] = {}
        self._read_file()

    def of(self, image: str, seen_on: Iterable[str], cluster: Iterable[str]) -> ImageBuild | None:
        """What is known now; None for nothing, so far or at all.

        `seen_on` are the architectures of nodes that have the image, `cluster` those of all nodes. An image of which
        nothing is known is looked up at the next `look_up`.
        """
        looked = self._current(image)
        if looked is None:
            self._wanted[image] = None
            return None
        if looked.architectures:
            return ImageBuild(image, looked.architectures)
        ran = tuple(sorted({*seen_on, *self._ran.get(image, ())}))
        if ran:
            if ran != self._ran.get(image):
                self._ran[image] = ran
            return ImageBuild(image, ran, f"where it ran before, since {looked.problem}")
        if FALLBACK in set(cluster):
            return ImageBuild(image, (FALLBACK,), f"a guess, since {looked.problem}")
        return None

    def is_known(self, image: str) -> bool:
        """Whether it was looked up, with whatever result."""
        return self._current(image) is not None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._registries.aclose()

    @property
    def is_wanting(self) -> bool:
        """Whether images wait to be looked up."""
        return bool(self._wanted)

    async def look_up(self) -> None:
        """Look up what was asked for."""
        wanted, self._wanted = list(self._wanted), {}
        if not wanted:
            return
        found = await asyncio.gather(*(self._look(image) for image in wanted))
        if len(self._looked) > MOST_IMAGES:
            self._looked.clear()
        self._looked.update(zip(wanted, found, strict=True))
        await asyncio.to_thread(self._write_file)
        self._on_change()

    async def _look(self, image: str) -> _Looked:
        try:
            reference = reference_of(image)
            known = self._by_digest.get(reference.reference) if reference.is_fixed else None
            if known is not None:
                return _Looked(self._now(), reference.reference, known)
            self._require_allowed(reference)
            read = await self._registries.read(reference)
        except MlopxError as error:
            log.info("image %s: %s", image, error.message)
            return _Looked(self._now(), problem=error.message)
        if len(self._by_digest) >= MOST_IMAGES:
            self._by_digest.clear()
        self._by_digest[read.digest] = read.architectures
        return _Looked(self._now(), read.digest, read.architectures)

    def _require_allowed(self, reference: Reference) -> None:
        if ANY not in self._allowed and reference.registry not in self._allowed:
            raise UnavailableError(f"registry {reference.registry} is not among IMAGE_REGISTRIES")

    def _current(self, image: str) -> _Looked | None:
        looked = self._looked.get(image)
        if looked is None:
            return None
        is_fixed = "@sha256:" in image and looked.architectures
        lasts = TAG_LASTS if looked.architectures else TRY_AGAIN
        if not is_fixed and self._now() - looked.at > lasts:
            self._wanted[image] = None  # what was known stands until something newer is
        return looked

    def _read_file(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            document: Mapping[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            self._by_digest = {digest: tuple(kinds) for digest, kinds in document["digests"].items()}
            self._ran = {image: tuple(kinds) for image, kinds in document["ran"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("what was known of images cannot be read from %s (%s); it is read anew", self._file, error)

    def _write_file(self) -> None:
        if self._file is None:
            return
        document = {"digests": self._by_digest, "ran": self._ran}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps(document), encoding="utf-8")
            beside.replace(self._file)
        except OSError as error:
            log.warning("what is known of images cannot be kept in %s: %s", self._file, error.strerror)


def spellings(image: str) -> tuple[str, ...]:
    """The names under which a node may tell of an image."""
    try:
        reference = reference_of(image)
    except MlopxError:
        return (image,)
    mark = "@" if reference.is_fixed else ":"
    path = f"{reference.repository}{mark}{reference.reference}"
    if reference.registry != HUB:
        return (image, f"{reference.registry}/{path}")
    return (image, f"{HUB}/{path}", path, path.removeprefix("library/"))


__all__ = ["ANY", "BY_MANIFEST", "FALLBACK", "ImageBuilds", "spellings"]
