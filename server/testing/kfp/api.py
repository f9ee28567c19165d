"""The KFP API's routes, as far as MLOpX uses them, over the double's state."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.testing.kfp.compiling import NotCompiledError
from server.testing.kfp.filters import BadRequestError, page_of
from server.testing.kfp.records import RunRecord, without_zeros
from server.testing.kfp.tasks import tasks_of

if TYPE_CHECKING:
    from server.testing.kfp.double import KubeflowDouble

Handler = Callable[["KubeflowDouble", Request], Awaitable[Any]]
ROOT = "/apis/v2beta1"


class LostAnswerError(Exception):
    """What was asked is done, and the caller hears nothing of it but a gateway's 504."""


class DeniedError(Exception):
    """The caller has no right to it."""


class MissingError(Exception):
    """There is no such thing (404)."""


class DuplicateError(Exception):
    """There is one of that name (409)."""


STATUSES: dict[type[Exception], int] = {
    LostAnswerError: 504,
    DeniedError: 403,
    MissingError: 404,
    DuplicateError: 409,
    NotCompiledError: 500,
    BadRequestError: 400,
    ValueError: 400,
    json.JSONDecodeError: 400,
}
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14, 504: 4}
PREFIXES = {
    LostAnswerError: "upstream request timeout",
    NotCompiledError: "Failed to create a new run: Failed to generate the ExecutionSpec: Failed to compile job: ",
    BadRequestError: "InvalidInputError: ",
    ValueError: "InvalidInputError: ",
}


def application(double: KubeflowDouble) -> Starlette:
    """The API over one double."""
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/healthz", _health),
        ("GET", "/runs", _list_runs),
        ("POST", "/runs", _create_run),
        ("GET", "/runs/{run_id}", _get_run),
        ("DELETE", "/runs/{run_id}", _delete_run),
        ("POST", "/runs/{run_id}:{verb}", _act_on_run),
        ("GET", "/experiments", _list_experiments),
        ("POST", "/experiments", _create_experiment),
    ]
    routes = [Route(ROOT + path, _guarded(double, handler), methods=[method]) for method, path, handler in table]
    return Starlette(routes=[*routes, Route("/artifacts/{source}/{bucket}/{key:path}", _artifact(double))])


def _artifact(double: KubeflowDouble) -> Callable[[Request], Awaitable[Response]]:
    """What the UI server beside the API does: it hands out an object, where the caller may see the namespace."""

    async def answer(request: Request) -> Response:
        from server.testing.kfp.double import ApiCall

        user = request.headers.get("kubeflow-userid", "")
        double.calls.append(ApiCall(request.method, request.url.path, user))
        if double.is_down:
            return Response("upstream connect error", 503)
        if double.is_multi_user and not user:
            return Response("Authentication required for artifact access", 401)
        try:
            _require_right(double, request, request.query_params.get("namespace", ""))
        except DeniedError as error:
            return Response(str(error), 403)
        root = double.world.folder.resolve()
        file = (root / request.path_params["key"]).resolve()
        is_there = request.path_params["bucket"] == "mlpipeline" and file.is_relative_to(root) and file.is_file()
        if not is_there and file.is_dir() and file.is_relative_to(root) and double.packs_folders:
            named = {"Content-Disposition": f'attachment; filename="{file.name}.tar.gz"'}
            return Response(_packed(file), media_type="application/gzip", headers=named)
        kept = {"Content-Disposition": "attachment"}
        if is_there:
            return Response(file.read_bytes(), headers=kept)
        return Response("Failed to get object in bucket", 500, headers=kept)

    return answer


def _packed(folder: Path) -> bytes:
    """A folder as the UI server packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(file, arcname=str(file.relative_to(folder)))
    return buffer.getvalue()


def _guarded(double: KubeflowDouble, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        from server.testing.kfp.double import ApiCall

        user = request.headers.get("kubeflow-userid", "")
        double.calls.append(ApiCall(request.method, request.url.path, user))
        await asyncio.sleep(double.delay_seconds)
        if double.is_down:
            return _error(503, "upstream connect error")
        if double.is_health_hidden and handler is _health:
            return _error(503, "no healthy upstream")
        if double.failing:
            return _error(double.failing.pop(0), "told to fail")
        if double.token is not None and request.headers.get("Authorization") != f"Bearer {double.token}":
            return _error(401, "User identity is empty in the request header")
        if double.is_multi_user and not user and double.token is None and handler is not _health:
            return _error(401, "Request header error: there is no user identity header.")
        try:
            return JSONResponse(await handler(double, request))
        except tuple(STATUSES) as error:
            return _error(STATUSES[type(error)], PREFIXES.get(type(error), "") + str(error))

    return answer


async def _health(double: KubeflowDouble, request: Request) -> Any:
    return without_zeros({"commit_sha": "double", "tag_name": double.version, "multi_user": double.is_multi_user})


async def _list_runs(double: KubeflowDouble, request: Request) -> Any:
    asked = dict(request.query_params)
    namespace, experiment = asked.get("namespace", ""), asked.get("experiment_id", "")
    if double.is_multi_user and not (namespace or experiment):
        raise BadRequestError("in multi-user mode a list needs a namespace or an experiment")
    _require_right(double, request, namespace or (double.experiments[experiment].namespace if experiment else ""))
    records = [
        record
        for record in double.runs.values()
        if (not namespace or record.namespace == namespace) and (not experiment or record.experiment_id == experiment)
    ]
    found, token, total = page_of(records, asked)
    is_full = double.has_tasks_api and asked.get("view") == "FULL"
    told = [{**_told(one), "tasks": tasks_of(double, one)} if is_full else _told(one) for one in found]
    return without_zeros({"runs": told, "next_page_token": token, "total_size": total})


async def _create_run(double: KubeflowDouble, request: Request) -> Any:
    body = json.loads(await request.body())
    if body.get("experiment_id") in double.experiments:
        _require_right(double, request, double.experiments[body["experiment_id"]].namespace)
    record = double.create(body, user=request.headers.get("kubeflow-userid", ""))
    if double.lost_answers:
        double.lost_answers -= 1
        raise LostAnswerError
    if double.silent_answers:
        double.silent_answers -= 1
        await asyncio.sleep(double.silence_seconds)
    return _told(record)


async def _get_run(double: KubeflowDouble, request: Request) -> Any:
    return _told(_record(double, request))


async def _delete_run(double: KubeflowDouble, request: Request) -> Any:
    double.delete(_record(double, request).id)
    return {}


async def _act_on_run(double: KubeflowDouble, request: Request) -> Any:
    record, verb = _record(double, request), request.path_params["verb"]
    if verb == "terminate":
        double.terminate(record.id)
    elif verb in ("archive", "unarchive"):
        record.storage_state = "ARCHIVED" if verb == "archive" else "AVAILABLE"
    else:
        raise MissingError(f"no such method: {verb}")
    return {}


async def _list_experiments(double: KubeflowDouble, request: Request) -> Any:
    namespace = request.query_params.get("namespace", "")
    found = [one for one in double.experiments.values() if not namespace or one.namespace == namespace]
    wanted = request.query_params.get("filter")
    if wanted:
        [predicate] = json.loads(wanted)["predicates"]
        found = [one for one in found if one.display_name == predicate["stringValue"]]
    return without_zeros({"experiments": [one.json() for one in found], "total_size": len(found)})


async def _create_experiment(double: KubeflowDouble, request: Request) -> Any:
    body = json.loads(await request.body())
    name, namespace = body["display_name"], body.get("namespace", "")
    if any((one.display_name, one.namespace) == (name, namespace) for one in double.experiments.values()):
        raise DuplicateError(f"AlreadyExistsError: an experiment of the name {name} is there already")
    made = double.experiment(name, namespace)
    if double.lost_experiments:
        double.lost_experiments -= 1
        raise LostAnswerError
    return made.json()


def _record(double: KubeflowDouble, request: Request) -> RunRecord:
    run_id = request.path_params["run_id"]
    if run_id not in double.runs:
        raise MissingError(f"ResourceNotFoundError: run {run_id} not found")
    _require_right(double, request, double.runs[run_id].namespace)
    return double.runs[run_id]


def _require_right(double: KubeflowDouble, request: Request, namespace: str) -> None:
    """As SubjectAccessReview decides, where the double knows rights."""
    user = request.headers.get("kubeflow-userid", "")
    if double.is_multi_user and double.rights is not None and namespace not in double.rights.get(user, ()):
        raise DeniedError(f"PermissionDenied: user {user!r} is not authorized in namespace {namespace!r}")


def _told(record: RunRecord) -> dict[str, Any]:
    """A run as it is told; its details name tasks, and neither their pods nor their nodes."""
    return record.json()


def _error(status: int, message: str) -> Response:
    """As the API's gateway words an error, with its code of gRPC."""
    return JSONResponse({"error": message, "code": CODES.get(status, 2), "message": message}, status_code=status)
