"""The Kubeflow double's values, amounts, configurations and claims, as KFP's driver and launcher treat them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.domain.resources import Resources
from server.testing.kfp.claims import CREATE, DELETE, is_operation, operate
from server.testing.kfp.configs import passed_on, resolved
from server.testing.kfp.launcher import Job, executor_input, launch
from server.testing.kfp.nodes import requests_of
from server.testing.kfp.pods import Pods
from server.testing.kfp.values import Ended, MissingInputError, Values, shown, task_inputs
from server.testing.kfp.world import World
from server.testing.kube import KubeDouble


def a_job(folder: Path, container: dict[str, Any], **parameters: Any) -> Job:
    return Job({}, container, Values(parameters), folder, {}, {}, {})


def test_whole_numbers_reach_a_task_without_a_point_wherever_they_stand(tmp_path: Path) -> None:
    given = executor_input(a_job(tmp_path, {}, x=2.0, y=[1.0, {"z": 3.0}, 0.5], on=True))
    found = given["inputs"]["parameterValues"]
    assert repr(found) == repr({"x": 2, "y": [1, {"z": 3}, 0.5], "on": True})
    assert shown([1.0, 2.5]) == "[1, 2.5]"


def test_a_port_of_texts_turns_what_it_is_given_into_text() -> None:
    component = {"inputDefinitions": {"parameters": {"s": {"parameterType": "STRING"}}}}
    task = {"inputs": {"parameters": {"s": {"componentInputParameter": "n"}}}}
    assert task_inputs(task, component, Values({"n": 7.0}), {}, {}).parameters == {"s": "7"}


def test_amounts_are_read_from_the_inputs_of_the_task() -> None:
    resources = {
        "resourceCpuRequest": "{{$.inputs.parameters['cpu']}}",
        "resourceMemoryRequest": "{{$.inputs.parameters['memory']}}",
        "accelerator": {
            "resourceType": "{{$.inputs.parameters['kind']}}",
            "resourceCount": "{{$.inputs.parameters['n']}}",
        },
    }
    inputs = Values({"cpu": "500m", "memory": "1Gi", "kind": "nvidia.com/gpu", "n": 2.0})
    wanted = Resources.of(cpu_millicores=500, memory_bytes=2**30, accelerators={"nvidia.com/gpu": 2}, pods=1)
    assert requests_of({"resources": resources}, inputs) == wanted
    with pytest.raises(MissingInputError):
        requests_of({"resources": resources}, Values())
    with pytest.raises(ValueError, match="lots"):
        requests_of({"resources": {"resourceCpuRequest": "lots"}}, Values())


def test_a_configuration_reads_inputs_and_what_earlier_tasks_made() -> None:
    config = {
        "nodeSelector": {"labels": {"a": "b"}, "nodeSelectorJson": {"componentInputParameter": "sel"}},
        "tolerations": [
            {"tolerationJson": {"taskOutputParameter": {"producerTask": "t", "outputParameterKey": "Output"}}},
            {"key": "k"},
        ],
        "pvcMount": [{"mountPath": "/d", "pvcNameParameter": {"componentInputParameter": "claim"}}],
        "futureKey": {"kept": [1]},
    }
    done = {"t": Ended("Succeeded", Values({"Output": [{"key": "gpu"}, {"key": "spot"}]}))}
    found = resolved(config, Values({"sel": {"zone": "a"}, "claim": "data"}), done)
    assert found["nodeSelector"] == {"nodeSelectorJson": {"zone": "a"}}
    assert found["tolerations"] == [{"key": "gpu"}, {"key": "spot"}, {"key": "k"}]
    assert found["pvcMount"][0]["pvcNameParameter"] == {"runtimeValue": {"constant": "data"}}
    assert found["futureKey"] == {"kept": [1]}
    with pytest.raises(MissingInputError, match="failed to resolve k8s parameter"):
        resolved(config, Values(), done)


def test_what_is_passed_on_to_a_job_is_not_the_pods_unless_it_is_said() -> None:
    passthroughs = [
        {"field": "KUBERNETES_NODE_SELECTOR"},
        {"field": "KUBERNETES_TOLERATIONS", "applyToTask": True},
        {"field": "RESOURCES"},
    ]
    config = {"nodeSelector": {"labels": {"a": "b"}}, "tolerations": [{"key": "k"}], "podMetadata": {}}
    kept, given = passed_on({"taskConfigPassthroughs": passthroughs}, config)
    assert kept == {"tolerations": [{"key": "k"}], "podMetadata": {}}
    assert given == {"nodeSelector": {"labels": {"a": "b"}}, "tolerations": [{"key": "k"}]}


def test_claims_are_made_and_deleted_by_the_driver(tmp_path: Path) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    world = World(Pods(KubeDouble(), [], lambda: at), tmp_path, lambda: at)
    create, delete = {"container": {"image": CREATE}}, {"container": {"image": DELETE}}
    assert is_operation(create)
    assert not is_operation({"importer": {}})
    given = {"access_modes": ["ReadWriteOnce"], "size": "1Gi"}
    made = operate(world, create, "flow", "make", Values({**given, "pvc_name_suffix": "-data"})).parameters["name"]
    assert made == "flow-data"
    assert made in world.pods.claims
    assert world.volumes[made].is_dir()
    operate(world, delete, "flow", "drop", Values({"pvc_name": made}))
    assert made not in world.pods.claims
    with pytest.raises(ValueError, match="at most one"):
        operate(world, create, "flow", "make", Values({**given, "pvc_name": "a", "pvc_name_suffix": "b"}))
    with pytest.raises(ValueError, match="size not provided"):
        operate(world, create, "flow", "make", Values({"access_modes": ["ReadWriteOnce"]}))


@pytest.mark.parametrize("command", [[], ["no-such-program-here"]])
async def test_a_command_that_cannot_be_started_fails_its_container_alone(tmp_path: Path, command: list[str]) -> None:
    result = await launch(a_job(tmp_path, {"command": command}))
    assert (result.exit_code, result.reason) == (128, "StartError")
    assert result.log
