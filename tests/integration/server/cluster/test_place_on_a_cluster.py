"""`mlopx-server place` without a file of nodes: asks the cluster, and says what its volumes and quotas rule out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from server.testing.compiled import a_container, a_pipeline, a_task
from server.testing.kube import KubeDouble

NAMESPACE = "kubeflow"
PLATFORM = """
---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-train:
          pvcMount:
          - mountPath: /data
            pvcNameParameter: {runtimeValue: {constant: data}}
"""


def put_node(double: KubeDouble, name: str, zone: str, cpu: str) -> None:
    labels = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": zone}
    status = {
        "allocatable": {"cpu": cpu, "memory": "32Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    double.objects.put("nodes", {"metadata": {"name": name, "labels": labels}, "status": status})


async def test_a_task_goes_where_its_volume_is_and_what_the_namespace_forbids_is_said(tmp_path: Path) -> None:
    double = KubeDouble()
    put_node(double, "far", "a", "64")
    put_node(double, "near", "b", "2")
    here = {"namespace": NAMESPACE}
    double.objects.put("persistentvolumeclaims", {"metadata": {"name": "data", **here}, "spec": {"volumeName": "pv"}})
    double.objects.put(
        "persistentvolumes", {"metadata": {"name": "pv", "labels": {"topology.kubernetes.io/zone": "b"}}}
    )
    quota: dict[str, Any] = {"hard": {"requests.cpu": "1"}}
    double.objects.put("resourcequotas", {"metadata": {"name": "small", **here}, "spec": quota, "status": quota})
    asked = a_container(resources={"cpuRequest": 1.5})
    text = a_pipeline({"train": a_task("comp-train")}, {"comp-train": {}}, {"exec-train": asked})
    (tmp_path / "p.yaml").write_text(text + PLATFORM)
    async with double.serve() as url:
        config = {
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": url}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        words = ["place", str(tmp_path / "p.yaml"), "--placer", "fifo_greedy", "--json"]
        program = [sys.executable, "-c", "from server.cli import main; main()", *words]
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig")}
        ended = await asyncio.to_thread(
            subprocess.run, program, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert ended.returncode == 0, ended.stderr
    [row] = json.loads(ended.stdout)["tasks"]
    assert row["node"] == "near"
    assert "not on 1 node: volume data is in zone b" in row["notes"]
    assert any("asks for 1.5 CPUs, and quota small lets namespace kubeflow hold 1 CPU" in note for note in row["notes"])
