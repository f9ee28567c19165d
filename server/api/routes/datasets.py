"""Data sets: what lies in the data folder, what is registered, and which nodes hold copies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from server.api import views
from server.api.access import Parts
from server.api.problems import responses
from server.api.reading import StrictRoute
from server.domain.datasets import Dataset, DatasetCopy
from server.domain.errors import NotFoundError

router = APIRouter(prefix="/api/v1", tags=["cluster"], route_class=StrictRoute)

NAME = r"^[A-Za-z0-9]([-._A-Za-z0-9]{0,126}[A-Za-z0-9])?$"
DatasetName = Annotated[str, Path(max_length=128)]
NodeName = Annotated[str, Path(max_length=253)]


class DatasetRequest(BaseModel):
    """A data set, where it lies and how large it is."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, description="What people, and hints of tasks, call it.")
    place: str = Field(
        min_length=2,
        max_length=2000,
        pattern=r"^(/|[a-z][-+.a-z0-9]*://.)",
        description="A folder, nfs://SERVER/PATH, pvc://CLAIM/PATH, or a URL of an object store.",
    )
    size_bytes: int = Field(ge=0, le=2**60, description="Of all its files.")
    digest: str = Field("", max_length=200, pattern=r"^([a-z0-9]+:[0-9a-f]+)?$", description="sha256:…, if known.")
    bytes_per_second: float | None = Field(
        None, gt=0, le=1e15, description="How fast its place gives it away; as fast as a node takes it, where left out."
    )
    is_kept_where_read: bool = Field(False, description="Whether a node keeps a copy once a task has read it there.")


@router.get("/datasets", summary="The data sets there are")
async def datasets(parts: Parts) -> dict[str, Any]:
    """Files and folders in the data folder, and what is registered with its copies and how old that knowledge is."""
    found = await parts.data_manager.datasets()
    now = parts.scheduler.now()
    return {
        "datasets": [
            {
                "name": one.name,
                "path": one.path,
                "size_bytes": one.size_bytes,
                "modified_at": views.instant(one.modified_at),
                "files": one.files,
            }
            for one in found
        ],
        "registered": [_view(one) for one in parts.datasets.all()],
        "at": views.instant(now),
    }


@router.post("/datasets", status_code=201, responses=responses(401, 422, 507), summary="Register a data set")
async def register_dataset(body: DatasetRequest, parts: Parts) -> dict[str, Any]:
    """Tell strategies what tasks that read it would fetch; or change what is known of one of this name."""
    wanted = Dataset(
        name=body.name,
        place=body.place,
        size_bytes=body.size_bytes,
        digest=body.digest,
        registered_at=parts.scheduler.now(),
        bytes_per_second=body.bytes_per_second,
        is_kept_where_read=body.is_kept_where_read,
    )
    return _view(await parts.datasets.register(wanted))


@router.get("/datasets/{name}", responses=responses(404), summary="One registered data set")
async def get_dataset(name: DatasetName, parts: Parts) -> dict[str, Any]:
    """With the nodes that hold copies."""
    return _view(parts.datasets.get(name))


@router.delete("/datasets/{name}", responses=responses(401, 404), summary="Forget a registered data set")
async def delete_dataset(name: DatasetName, parts: Parts) -> dict[str, Any]:
    """Its files stay where they are."""
    found = parts.datasets.get(name)
    await parts.datasets.forget(name)
    return _view(found)


@router.post("/datasets/{name}/copies/{node}", responses=responses(401, 404), summary="A node holds a copy")
async def add_copy(name: DatasetName, node: NodeName, parts: Parts) -> dict[str, Any]:
    """Known from now on."""
    if parts.node_manager.current().node(node) is None:
        known = ", ".join(one.name for one in parts.node_manager.current().nodes[:10])
        raise NotFoundError(f"there is no node {node!r}", hint=f"there are: {known}")
    return _view(await parts.datasets.set_copy(name, node, is_there=True))


@router.delete("/datasets/{name}/copies/{node}", responses=responses(401, 404), summary="A node holds no copy")
async def delete_copy(name: DatasetName, node: NodeName, parts: Parts) -> dict[str, Any]:
    """Any more; also where it was not known to."""
    return _view(await parts.datasets.set_copy(name, node, is_there=False))


def _view(one: Dataset) -> dict[str, Any]:
    return {
        "name": one.name,
        "place": one.place,
        "size_bytes": one.size_bytes,
        "digest": one.digest,
        "registered_at": views.instant(one.registered_at),
        "bytes_per_second": one.bytes_per_second,
        "is_kept_where_read": one.is_kept_where_read,
        "copies": [_copy_view(copy) for copy in sorted(one.copies, key=lambda copy: copy.node)],
    }


def _copy_view(copy: DatasetCopy) -> dict[str, Any]:
    return {"node": copy.node, "seen_at": views.instant(copy.seen_at), "source": copy.source}
