"""Artifacts of Kubeflow's tasks: which a pod was told to write and where, and their bytes, beyond the pod's life.

The launcher is told each output's place in its command, so a pod says it of any pipeline. The bytes lie in Kubeflow's
object store; its UI server hands them out (`/artifacts/SOURCE/BUCKET/KEY`) with credentials of its own, and in
multi-user mode asks whether the caller may see the namespace (`get` of `viewers`). So nobody here needs the store's
password. A folder in MinIO or S3 is packed by newer UI servers, which name the download then.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from server.domain.errors import ForbiddenError, NotFoundError, UnavailableError
from server.domain.run import Artifact, Output
from server.kube.client import Object
from server.kube.reading import PodSeen, read_pod
from server.platforms.interface import ArtifactContent

INPUT_FLAG = "--executor_input"
LOCAL_ROOTS = ("minio", "s3", "gcs")
"""Folders of a pod under which its launcher shows the object store: `/minio/BUCKET/KEY`."""

SOURCES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
PIECE = 1 << 16
PACKED = ".tar.gz"
_NAMED = re.compile(r"filename=\"([^\"]*)\"")


def read_launched(item: Object) -> PodSeen:
    """A pod of a run, with the artifacts that its launcher was told to write."""
    return replace(read_pod(item), artifacts=_promised(item))


def _promised(item: Object) -> Mapping[str, Mapping[str, Any]]:
    """Uri, type and metadata of each output artifact, by port."""
    for container in (item.get("spec") or {}).get("containers") or []:
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if INPUT_FLAG in words[:-1]:
            return _outputs(words[words.index(INPUT_FLAG) + 1])
    return {}


def _outputs(text: object) -> Mapping[str, Mapping[str, Any]]:
    try:
        given = json.loads(str(text))["outputs"]["artifacts"]
        return {str(port): _one(told["artifacts"]) for port, told in given.items() if len(told["artifacts"]) == 1}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _one(told: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    [artifact] = told
    title = str((artifact.get("type") or {}).get("schemaTitle") or "")
    kept = artifact.get("metadata") or {}
    return {"uri": str(artifact["uri"]), "type": title.removeprefix("system.") or "Artifact", "metadata": kept}


def with_artifacts(outputs: Mapping[str, Output], promised: Mapping[str, Mapping[str, Any]]) -> dict[str, Output]:
    """What a task left behind, with where each artifact really lies, and those of which it said nothing."""
    found = dict(outputs)
    for port, told in promised.items():
        said = found.get(port)
        if said is None:
            found[port] = Output(artifact=Artifact(told["uri"], told["type"], metadata=told["metadata"]))
        elif said.artifact is not None:
            found[port] = replace(said, artifact=replace(said.artifact, uri=told["uri"]))
    return found


@dataclass(frozen=True, slots=True)
class ArtifactProxy:
    """Kubeflow's UI server, as far as it hands out artifacts."""

    url: str
    http: httpx.AsyncClient

    async def read(self, uri: str, namespace: str, headers: Mapping[str, str]) -> ArtifactContent:
        """What lies at a uri; a folder comes packed, where the UI server is new enough to do that.

        Raises NotFoundError, ForbiddenError, or UnavailableError while the UI server is away; all before any byte.
        """
        stack = AsyncExitStack()
        try:
            answer = await stack.enter_async_context(
                self.http.stream("GET", self._address(uri), params=_asking(namespace), headers=dict(headers))
            )
            if not answer.is_success:
                await answer.aread()
                raise _refusal(uri, answer)
        except httpx.HTTPError as error:
            await stack.aclose()
            what = str(error) or type(error).__name__
            raise UnavailableError(
                f"Kubeflow's UI at {self.url} does not answer: {what}", hint="see KFP_UI_URL"
            ) from error
        except BaseException:
            await stack.aclose()
            raise
        return ArtifactContent(_pieces(answer, stack), _suffix(answer))

    def _address(self, uri: str) -> str:
        source, bucket, key = placed(uri)
        return f"{self.url.rstrip('/')}/artifacts/{source}/{quote(bucket, safe='')}/{quote(key)}"


def placed(uri: str) -> tuple[str, str, str]:
    """Source, bucket and key of an artifact, by its uri or by its path in a pod. Raises NotFoundError."""
    parts = urlsplit(uri)
    if parts.scheme in SOURCES and parts.netloc and parts.path.strip("/"):
        return SOURCES[parts.scheme], parts.netloc, parts.path.lstrip("/")
    words = parts.path.lstrip("/").split("/", 2)
    if not parts.scheme and len(words) == 3 and words[0] in LOCAL_ROOTS:
        return words[0], words[1], words[2]
    raise NotFoundError(f"{uri!r} lies in no object store that Kubeflow's UI can read")


async def _pieces(answer: httpx.Response, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for piece in answer.aiter_bytes(PIECE):
            yield piece


def _suffix(answer: httpx.Response) -> str:
    """How a folder was packed: only then does the UI server give the download a name of its own."""
    named = _NAMED.search(answer.headers.get("Content-Disposition", ""))
    return PACKED if named is not None and named[1].endswith(PACKED) else ""


def _asking(namespace: str) -> dict[str, str]:
    return {"namespace": namespace} if namespace else {}


def _refusal(uri: str, answer: httpx.Response) -> Exception:
    said = answer.text.strip()[:200]
    if answer.status_code in (401, 403):
        return ForbiddenError(f"Kubeflow does not let you read {uri}: {said}", hint="ask for rights in the namespace")
    if answer.status_code in (502, 503, 504):
        return UnavailableError(f"Kubeflow's UI is not well: {answer.status_code} {said}")
    return NotFoundError(
        f"Kubeflow's UI cannot read {uri}: {answer.status_code} {said}",
        hint="if it is a folder, a newer UI server of Kubeflow packs it",
    )


__all__ = ["ArtifactProxy", "placed", "read_launched", "with_artifacts"]
