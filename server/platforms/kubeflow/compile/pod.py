"""Runs one task inside a pod of Kubeflow: what the launcher hands over becomes a manifest, the result what it reads.

This file travels behind `mlopx/runtime/task.py`, as one program with it: it uses that file's names, imports the
standard library only, and runs on Python 3.8 and later.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
import zlib

PREFIXES = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/", "oci://": "/oci/"}
NOTE_BYTES = 4000
STATES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELLED": "cancelled", "CANCELED": "cancelled"}


def pod(arguments):
    """`PAYLOAD EXECUTOR_INPUT RUN TASK`: run the task; exit 0 if it succeeded and 1 if not."""
    began = time.time()  # noqa: TID251 - runs alone in a pod; the launcher has fetched the inputs by now
    packed, given, run_id, task = arguments
    payload, given = json.loads(zlib.decompress(base64.b64decode(packed))), json.loads(given)
    install(payload.get("packages") or [])
    manifest = dict(payload, run_id=run_id, task=task, attempt=1, result_path=None)
    manifest["node"], manifest["option"] = os.environ.get("MLOPX_NODE"), os.environ.get("MLOPX_OPTION", "default")
    manifest["inputs"] = inputs_of(payload["inputs"], given.get("inputs") or {}, payload.get("facts") or {})
    artifacts = (given["outputs"].get("artifacts")) or {}
    manifest["outputs"] = {
        name: dict(port, **(located(artifacts[name]["artifacts"][0]) if port["kind"] == "artifact" else {}))
        for name, port in payload["outputs"].items()
    }
    result = run(manifest)
    if result["state"] == "succeeded":
        hand_over(given["outputs"], artifacts, manifest["outputs"], result["outputs"])
    leave_note(result, began)
    sys.stdout.flush()
    sys.exit(0 if result["state"] == "succeeded" else 1)


def install(packages):
    """Install what the component asks for and the image does not have."""
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    for wanted in packages:
        try:
            version(re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0])
            if not re.fullmatch(r"[A-Za-z0-9._-]+", wanted):
                missing.append(wanted)  # a version is asked for: pip judges it
        except PackageNotFoundError:
            missing.append(wanted)
    if missing:
        subprocess.check_call(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location"] + missing
        )


def inputs_of(ports, given, facts):
    found = {}
    values, artifacts = given.get("parameterValues") or {}, given.get("artifacts") or {}
    for name, port in ports.items():
        if port["kind"] == "artifact":
            items = [located(one) for one in (artifacts.get(name) or {}).get("artifacts") or []]
            if port.get("is_list"):
                found[name] = {"kind": "artifacts", "type": port["type"], "items": items}
            elif items:
                found[name] = dict(items[0], kind="artifact")
        elif values.get(name) is not None:
            found[name] = {"kind": "parameter", "type": port["type"], "value": typed(values[name], port["type"])}
    status = values.get("mlopx_final_status") or {}
    status = json.loads(status) if isinstance(status, str) else status
    for name, fact in facts.items():
        state = STATES.get(str(status.get("state", "")), str(status.get("state", "")).lower())
        told = {"state": state, "error": (status.get("error") or {}).get("message") or ""}
        told["failed_tasks"] = [] if state == "succeeded" else [str(status.get("pipelineTaskName") or "pipeline")]
        found[name] = {"kind": "parameter", "type": "", "value": told[fact]}
    return found


def typed(value, kind):
    if kind == "str":
        return value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, str):
        value = json.loads(value.lower() if kind == "bool" else value)
    return int(value) if kind == "int" else float(value) if kind == "float" else value


def located(artifact):
    uri = artifact.get("uri") or ""
    path = artifact.get("customPath") or artifact.get("custom_path") or uri
    for prefix, folder in PREFIXES.items():
        if path.startswith(prefix):
            path = folder + path[len(prefix) :]
    title = (artifact.get("type") or {}).get("schemaTitle", "system.Artifact")
    return {"path": path, "uri": uri, "type": title.split(".")[-1], "metadata": ours(artifact.get("metadata") or {})}


def hand_over(wanted, artifacts, ports, outputs):
    values = {name: output["value"] for name, output in outputs.items() if ports[name]["kind"] == "parameter"}
    for name, value in values.items():
        path = ((wanted.get("parameters") or {}).get(name) or {}).get("outputFile")
        if path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(value if isinstance(value, str) else json.dumps(value))
    made = {}
    for name in ports:
        if ports[name]["kind"] == "artifact":
            one = dict(artifacts[name]["artifacts"][0])
            one["metadata"] = theirs(outputs[name]["metadata"])
            made[name] = {"artifacts": [{key: one[key] for key in ("name", "uri", "metadata") if key in one}]}
    os.makedirs(os.path.dirname(wanted["outputFile"]), exist_ok=True)
    with open(wanted["outputFile"], "w") as file:
        json.dump({"parameterValues": values, "artifacts": made}, file)


def theirs(metadata):
    """Metadata as Kubeflow draws it: confusion matrices and curves have a form of their own there."""
    found = dict(metadata)
    matrix = found.get("confusionMatrix")
    if isinstance(matrix, dict) and "categories" in matrix:
        names = [{"displayName": str(name)} for name in matrix["categories"]]
        found["confusionMatrix"] = {"annotationSpecs": names, "rows": [{"row": row} for row in matrix["matrix"]]}
    if isinstance(found.get("rocCurve"), list):
        found["confidenceMetrics"] = [
            {"confidenceThreshold": one["threshold"], "recall": one["tpr"], "falsePositiveRate": one["fpr"]}
            for one in found.pop("rocCurve")
        ]
    return found


def ours(metadata):
    """The other way round."""
    found = dict(metadata)
    matrix = found.get("confusionMatrix")
    if isinstance(matrix, dict) and "annotationSpecs" in matrix:
        names = [one["displayName"] for one in matrix["annotationSpecs"]]
        found["confusionMatrix"] = {"categories": names, "matrix": [one["row"] for one in matrix["rows"]]}
    if isinstance(found.get("confidenceMetrics"), list):
        found["rocCurve"] = [
            {"fpr": one["falsePositiveRate"], "tpr": one["recall"], "threshold": one["confidenceThreshold"]}
            for one in found.pop("confidenceMetrics")
        ]
    return found


def leave_note(result, began):
    """Leave the result in the container's termination message, as much of it as Kubernetes keeps."""
    path = os.environ.get("MLOPX_TERMINATION_LOG", "/dev/termination-log")
    note = {key: result.get(key) for key in ("outputs", "error", "peak_memory_bytes")}
    note["inputs_at"] = round(began, 3)
    if note["error"]:
        note["error"] = {key: str(value)[-1500:] for key, value in note["error"].items()}
    for left_out in (None, "outputs", "error"):
        if left_out:
            note.pop(left_out)
        text = json.dumps(note)
        if len(text.encode()) <= NOTE_BYTES:
            break
    try:
        if os.path.exists(path):
            with open(path, "w") as file:
                file.write(text)
    except OSError:
        pass
