"""What the API server refuses: unknown fields, wrong versions, missing names. As strict as its own parser.

Source: KFP 2.17, `KubernetesExecutorConfig` of kfp_kubernetes, and the server's checks of a pipeline document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from server.testing.kfp.filters import BadRequestError, words

_RUN = words(
    "run_id display_name name description experiment_id pipeline_spec pipeline_version_reference runtime_config "
    "service_account storage_state recurring_run_id"
)
_EXECUTOR = words(
    "secretAsVolume secretAsEnv pvcMount nodeSelector podMetadata imagePullSecret imagePullPolicy configMapAsVolume "
    "configMapAsEnv activeDeadlineSeconds fieldPathAsEnv tolerations genericEphemeralVolume nodeAffinity podAffinity "
    "enabledSharedMemory emptyDirMounts securityContext"
)
_AFFINITY = words("matchExpressions matchFields weight nodeAffinityJson")
_PIPELINE = words("pipelineInfo deploymentSpec sdkVersion schemaVersion components root defaultPipelineRoot")
_NAME = re.compile(r"[a-z0-9]")
"""Somewhere in a pipeline's name; the server means more by its own expression, and does not anchor it."""


def require_run(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline and the platform document of a run to create. Raises BadRequestError."""
    if not isinstance(body, dict):
        raise BadRequestError("the run must be an object")
    _only(body, _RUN, "run")
    sent = body.get("pipeline_spec")
    if not isinstance(sent, dict) or not sent:
        raise BadRequestError("a run needs a pipeline_spec or a pipeline_version_reference")
    if "pipeline_spec" in sent:
        _only(sent, frozenset({"pipeline_spec", "platform_spec"}), "pipeline_spec")
        return _pipeline(sent["pipeline_spec"]), _platform(sent.get("platform_spec") or {})
    return _pipeline(sent), {}


def _pipeline(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadRequestError("the pipeline spec must be an object")
    _only(document, _PIPELINE, "pipeline spec")
    if document.get("schemaVersion") != "2.1.0":
        raise BadRequestError(f"schema version {document.get('schemaVersion')!r} is not supported")
    if not _NAME.search((document.get("pipelineInfo") or {}).get("name") or ""):
        raise BadRequestError("name should consist of lower case alphanumeric characters, '-' or '.'")
    if not (document.get("root") or {}).get("dag"):
        raise BadRequestError("the pipeline has no root")
    missing = sorted(set(_labels(document)) - set(document.get("deploymentSpec", {}).get("executors", {})))
    if missing:
        raise BadRequestError(f"no executor for {missing[0]}")
    return document


def _labels(document: Mapping[str, Any]) -> Iterator[str]:
    for component in (document.get("components") or {}).values():
        if "executorLabel" in component:
            yield component["executorLabel"]


def _platform(document: Any) -> dict[str, Any]:
    _only(document, frozenset({"platforms"}), "platform spec")
    platforms = document.get("platforms") or {}
    if document and "kubernetes" not in platforms:
        raise BadRequestError("the platform spec has no kubernetes platform")
    kubernetes = platforms.get("kubernetes") or {}
    _only(kubernetes, frozenset({"deploymentSpec", "pipelineConfig"}), "kubernetes")
    for label, config in ((kubernetes.get("deploymentSpec") or {}).get("executors") or {}).items():
        _only(config, _EXECUTOR, f"executor {label}")
        for one in config.get("nodeAffinity") or []:
            _only(one, _AFFINITY, f"nodeAffinity of {label}")
    return dict(document)


def _only(document: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for key in document:
        camel = re.sub(r"_(.)", lambda found: found.group(1).upper(), str(key))
        if key not in known and camel not in known:
            raise BadRequestError(f'{where}: unknown field "{key}"')
