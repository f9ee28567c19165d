"""The manifests say what Kubernetes wants, refer to what is there, and set only what the server knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from server.cli.app import app
from server.settings import Settings

API = {
    "ServiceAccount": "v1",
    "Secret": "v1",
    "Service": "v1",
    "PersistentVolumeClaim": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")
SERVER = ("observe.yaml", "place.yaml", "server.yaml")
INSTALLED = (*SERVER, "submit.yaml")


@pytest.fixture
def manifests(project_root: Path) -> dict[str, list[dict[str, Any]]]:
    """File name -> its documents."""
    files = sorted((project_root / "deploy").rglob("*.yaml"))
    return {path.name: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in files}


@pytest.fixture
def objects(manifests: dict[str, list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    """(kind, name) -> object, of the files that make up the server and let others submit."""
    return {(one["kind"], one["metadata"]["name"]): one for name in INSTALLED for one in manifests[name]}


@pytest.fixture
def deployment(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment", "mlopx"]["spec"]
    return found


def test_every_document_is_an_object_of_a_known_kind_and_version(manifests: dict[str, list[dict[str, Any]]]) -> None:
    assert set(INSTALLED) <= set(manifests)
    for name, documents in manifests.items():
        for one in documents:
            assert API[one["kind"]] == one["apiVersion"], name
            about = one["metadata"]
            assert about.get("name") or about.get("generateName"), name
            if name in INSTALLED:
                assert ("namespace" in about) != (one["kind"] in CLUSTER_WIDE), (name, about)


def test_bindings_bind_a_role_that_is_there_to_an_account_that_is_there(
    objects: dict[tuple[str, str], dict[str, Any]],
) -> None:
    bindings = [one for (kind, _), one in objects.items() if kind.endswith("Binding")]
    assert len(bindings) == 4
    for binding in bindings:
        role = binding["roleRef"]
        assert (role["kind"], role["name"]) in objects
        for subject in binding["subjects"]:
            account = objects[subject["kind"], subject["name"]]
            assert account["metadata"]["namespace"] == subject["namespace"]


def test_the_server_is_found_by_its_service_and_finds_what_it_mounts(
    objects: dict[tuple[str, str], dict[str, Any]], deployment: dict[str, Any]
) -> None:
    template = deployment["template"]
    labels, pod = template["metadata"]["labels"], template["spec"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    service = objects["Service", "mlopx"]["spec"]
    assert service["selector"].items() <= labels.items()
    ports = {port["containerPort"] for container in pod["containers"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["ports"]} <= ports
    assert ("ServiceAccount", pod["serviceAccountName"]) in objects
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for container in pod["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    claims = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    assert claims
    assert all(("PersistentVolumeClaim", claim) in objects for claim in claims)
    for variable in variables(deployment):
        source = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if source:
            assert source["key"] in objects["Secret", source["name"]]["stringData"]


def test_it_is_told_only_what_it_knows_and_runs_alone_and_without_rights(deployment: dict[str, Any]) -> None:
    known = {name.upper() for name in Settings.model_fields} | {
        str(field.validation_alias).upper() for field in Settings.model_fields.values() if field.validation_alias
    }
    assert {variable["name"] for variable in variables(deployment)} <= known
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate"), "one server, one state folder"
    assert deployment["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_the_job_that_profiles_a_node_runs_a_command_that_there_is_on_that_node_and_ends(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    ((job,),) = [manifests["profile-node.yaml"]]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    program, *words = container["command"]
    assert program == "mlopx-server"
    given = typer.main.get_command(app).make_context(program, list(words), resilient_parsing=True)
    name, command, options = typer.main.get_group(app).resolve_command(given, list(words))
    assert name == "profile-node"
    assert command is not None
    assert command.make_context(name, options).params["gpu"] is False, "accelerators are measured on demand only"
    assert pod["nodeName"] == "NODE_TO_MEASURE"
    (variable,) = container["env"]
    assert (variable["name"], variable["valueFrom"]["fieldRef"]["fieldPath"]) == ("NODE_NAME", "spec.nodeName")
    assert (pod["restartPolicy"], job["spec"]["backoffLimit"]) == ("Never", 0)
    assert job["spec"]["activeDeadlineSeconds"] <= 120
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False


def variables(deployment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is set in the environment of its containers."""
    for container in deployment["template"]["spec"]["containers"]:
        yield from container["env"]
