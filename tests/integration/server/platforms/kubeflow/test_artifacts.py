"""Artifacts of Kubeflow's tasks are listed with where they lie, and handed out when their pods are gone."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import httpx
import pytest

from mlopx import Dataset, Input, Output, component, pipeline
from server.components.pipeline_manager import Submission
from server.connecting import translate
from server.domain.errors import ForbiddenError, NotFoundError, UnauthorizedError, UnavailableError
from server.domain.run import Artifact, Run
from server.domain.run import Output as TaskOutput
from server.domain.states import TaskState
from server.platforms.interface import ForeignFile
from server.platforms.kubeflow.artifacts import ArtifactProxy, placed, read_launched, with_artifacts
from server.platforms.kubeflow.namespaces import Namespaces

ADA, EVE, SERVER = "ada@example.org", "eve@example.org", "mlopx@example.org"


@component
def write(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write(text)


@component
def count(data: Input[Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read())


@pipeline
def written():
    data = write(text="seven..").named("write")
    count(data=data.output).named("count")


async def content(ground: Any, run: Run, uri: str, user: str = "") -> bytes:
    caller = {"kubeflow-userid": user} if user else {}
    return b"".join([piece async for piece in await ground.platform.artifact(run, uri, caller)])


def artifact_of(run: Run, path: str) -> Artifact:
    [output] = [task.outputs["data"] for key, task in run.tasks.items() if key.path == path]
    assert output.artifact is not None
    return output.artifact


async def test_an_artifact_outlives_its_pod(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate, ui_url=ground.url) as house:
        run = await house.ended((await house.submit(written)).id)
        found = artifact_of(run, "write")
        assert str(run.state) == "succeeded"
        assert found.uri.startswith("minio://mlpipeline/")
        assert (found.type, found.size_bytes) == ("Dataset", 7)
        assert found.digest is not None
        ground.double.collect(run.platform_run_id)
        assert await content(ground, run, found.uri) == b"seven.."
        with pytest.raises(NotFoundError, match="cannot read"):
            await content(ground, run, found.uri + "-else")
        ground.double.is_down = True
        with pytest.raises(UnavailableError):
            await content(ground, run, found.uri)


@component
def folder(data: Output[Dataset]):
    import os

    os.makedirs(os.path.join(data.path, "inner"))
    for name in ("a.txt", "inner/b.txt"):
        with open(os.path.join(data.path, name), "w") as file:
            file.write(name)


@pipeline
def foldered():
    folder().named("write")


async def test_a_folder_comes_packed_where_the_ui_server_does_that(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate, ui_url=ground.url) as house:
        run = await house.ended((await house.submit(foldered)).id)
        assert str(run.state) == "succeeded"
        uri = artifact_of(run, "write").uri
        found = await ground.platform.artifact(run, uri, {})
        packed = b"".join([piece async for piece in found])
        ground.double.packs_folders = False
        with pytest.raises(NotFoundError, match="cannot read") as refused:
            await content(ground, run, uri)
    assert found.suffix == ".tar.gz"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert sorted(archive.getnames()) == ["a.txt", "inner/b.txt"]
    assert "a newer UI server" in str(refused.value.hint)


async def test_without_a_way_to_the_store_that_is_said(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        run = await house.ended((await house.submit(written)).id)
        with pytest.raises(NotFoundError) as refused:
            await content(ground, run, artifact_of(run, "write").uri)
        assert refused.value.hint == "set KFP_UI_URL"


async def test_artifacts_of_other_peoples_pipelines_are_known_too(make: Any) -> None:
    shell = "mkdir -p $(dirname $0) && printf abc > $0"
    document = {
        "pipelineInfo": {"name": "theirs"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": {"make": {"taskInfo": {"name": "make"}, "componentRef": {"name": "comp-make"}}}}},
        "components": {
            "comp-make": {
                "executorLabel": "exec-make",
                "outputDefinitions": {
                    "artifacts": {"data": {"artifactType": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}}}
                },
            }
        },
        "deploymentSpec": {
            "executors": {
                "exec-make": {
                    "container": {
                        "image": "any",
                        "command": ["sh", "-c", shell],
                        "args": ["{{$.outputs.artifacts['data'].path}}"],
                    }
                }
            }
        },
    }
    async with make() as ground, ground.house(translate=translate, ui_url=ground.url) as house:
        file = ForeignFile("theirs.yaml", json.dumps(document).encode())
        run = await house.pipeline_manager.submit(Submission(file))
        run = await house.ended(run.id)
        found = artifact_of(run, "make")
        assert (found.type, found.size_bytes) == ("Model", None)
        assert await content(ground, run, found.uri) == b"abc"


async def test_who_may_not_see_the_namespace_gets_no_artifact_of_it(make: Any) -> None:
    async with make() as ground:
        ground.double.is_multi_user = True
        ground.double.rights = {SERVER: {"team"}, ADA: {"team"}, EVE: set()}
        options: dict[str, Any] = {"namespaces": Namespaces(("team",)), "headers": {"kubeflow-userid": SERVER}}
        async with ground.house(translate=translate, ui_url=ground.url, **options) as house:
            submission = Submission(written.build(), caller={"kubeflow-userid": ADA})
            run = await house.ended((await house.pipeline_manager.submit(submission)).id)
            uri = artifact_of(run, "write").uri
            assert await content(ground, run, uri, ADA) == b"seven.."
            with pytest.raises(ForbiddenError):
                await content(ground, run, uri, EVE)
            with pytest.raises(UnauthorizedError):
                await content(ground, run, uri)
    assert SERVER not in {call.user for call in ground.double.calls if call.path.startswith("/artifacts")}


async def test_a_log_is_kept_although_kubernetes_was_away_when_its_pod_ended(make: Any) -> None:
    async with make() as ground, ground.house(translate=translate) as house:
        ground.double.world.holding = {"write"}
        run = await house.submit(written)
        run = await house.until(
            run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values())
        )
        ground.double.kube.broken_logs = 4
        ground.double.world.holding = set()
        run = await house.ended(run.id)
        [key] = [key for key in run.tasks if key.path == "write"]
        kept = ground.platform._logs._path(run.id, key, 1)
        run = await house.until(run.id, lambda found: kept.exists())


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("minio://mlpipeline/v2/artifacts/a", ("minio", "mlpipeline", "v2/artifacts/a")),
        ("s3://bucket/key", ("s3", "bucket", "key")),
        ("gs://bucket/a/b", ("gcs", "bucket", "a/b")),
        ("/minio/mlpipeline/v2/a", ("minio", "mlpipeline", "v2/a")),
    ],
)
def test_where_an_artifact_lies(uri: str, place: tuple[str, str, str]) -> None:
    assert placed(uri) == place


@pytest.mark.parametrize("uri", ["", "hf://model", "/tmp/x", "minio://bucket", "oci://registry/image", "http://x/y"])
def test_what_lies_elsewhere_is_not_handed_out(uri: str) -> None:
    with pytest.raises(NotFoundError, match="no object store"):
        placed(uri)


@pytest.mark.parametrize(
    "command",
    [[], ["--executor_input"], ["--executor_input", "{"], ["--executor_input", '{"outputs": {"artifacts": 1}}']],
)
def test_a_command_of_another_shape_promises_nothing(command: list[str]) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "command": command}]}}
    assert read_launched(pod).artifacts == {}


def test_what_a_task_said_of_its_artifact_is_kept() -> None:
    said = {"data": TaskOutput(artifact=Artifact("/minio/b/k", "Dataset", 7, "sha256:1")), "score": TaskOutput(value=1)}
    promised = {
        "data": {"uri": "minio://b/k", "type": "Dataset", "metadata": {}},
        "score": {"uri": "minio://b/s", "type": "Metrics", "metadata": {}},
    }
    found = with_artifacts(said, promised)
    assert found["data"].artifact == Artifact("minio://b/k", "Dataset", 7, "sha256:1")
    assert found["score"].value == 1


async def test_a_broken_answer_of_the_ui_is_no_crash() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut off")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(UnavailableError, match="cut off"):
            await ArtifactProxy("http://ui", http).read("s3://b/k", "", {})
