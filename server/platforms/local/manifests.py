"""From a launch to what an agent is ordered: the runtime's manifest, the environment, the folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import mlopx.runtime.task
from mlopx.spec import ArtifactOutput, FunctionCode, NfsSource, PvcSource, Volume
from server.domain.errors import NotFoundError, PlatformError
from server.domain.launch import Launch
from server.domain.node import Node
from server.domain.resolve import VolumeFile
from server.domain.run import Artifact, TaskKey

Secret = Callable[[str, str], str | None]

DATASETS_VOLUMES = ("datasets", "datasets-pvc")
"""Claims for which the folder with data sets stands, where no other does."""


class ArtifactPlaces(Protocol):
    """What the platform needs of an artifact store: where outputs go, and where a uri lies on this machine."""

    @property
    def root(self) -> Path:
        """The folder under which all of it lies."""

    def output_location(self, run_id: str, key: TaskKey, attempt: int, port: str) -> str:
        """The uri at which an attempt shall write an output."""

    def path_of(self, uri: str) -> Path:
        """The path behind a uri."""


class OrderMaker:
    """Makes start orders for agents."""

    def __init__(
        self, *, artifacts: ArtifactPlaces, volumes: Mapping[str, Path], secret: Secret, work: Path, logs: Path
    ) -> None:
        self._artifacts, self._volumes, self._secret = artifacts, volumes, secret
        self._work, self._logs = work, logs

    def log_path(self, attempt_id: str) -> Path:
        """Where an attempt's log lies."""
        return self._logs / (attempt_id.replace("/", "~").replace(":", ".") + ".log")

    def order(self, launch: Launch, node: Node, python: str | None) -> dict[str, Any]:
        """The order to start an attempt. Raises PlatformError for a secret, volume or input that is not there."""
        work = self._work / launch.attempt_id.replace("/", "~").replace(":", ".")
        cpus = (launch.requests.cpu_millicores or 1000) / 1000
        outputs = self._outputs(launch)
        return {
            "op": "start",
            "id": launch.attempt_id,
            "manifest": self._manifest(launch, outputs, work),
            "cores": cpus * node.speed,
            "threads": max(1, math.ceil(cpus)),
            "memory_bytes": launch.memory_limit_bytes or launch.requests.memory_bytes or None,
            "timeout_seconds": launch.timeout_seconds,
            "environment": self._environment(launch, work, cpus),
            "python": python,
            "runtime": mlopx.runtime.task.__file__,
            "work_folder": str(work),
            "output_folder": str(self._output_folder(launch)),
            "log_file": str(self.log_path(launch.attempt_id)),
        }

    def _manifest(self, launch: Launch, outputs: dict[str, Any], work: Path) -> dict[str, Any]:
        code = launch.component.code
        assert isinstance(code, FunctionCode), "containers are refused when a run is submitted"
        return {
            "manifest_version": 1,
            "run_id": launch.run_id,
            "task": str(launch.key),
            "attempt": launch.attempt,
            "node": launch.node,
            "option": launch.option,
            "entrypoint": code.entrypoint,
            "source": code.source,
            "file": code.file,
            "line": code.line,
            "inputs": {name: self._input(launch, name, data) for name, data in launch.arguments.items()},
            "outputs": outputs,
            "result_path": str(work / "result.json"),
        }

    def _input(self, launch: Launch, name: str, data: Any) -> dict[str, Any]:
        declared = launch.component.inputs[name]
        if isinstance(data, Artifact):
            return {"kind": "artifact", **self._artifact(data)}
        if isinstance(data, VolumeFile):
            return {"kind": "parameter", "type": "str", "value": str(self._volume_path(launch, data))}
        if declared.kind == "artifact":
            return {"kind": "artifacts", "type": declared.type, "items": [self._artifact(item) for item in data or ()]}
        return {"kind": "parameter", "type": declared.type, "value": data}

    def _artifact(self, artifact: Artifact) -> dict[str, Any]:
        try:
            path = self._artifacts.path_of(artifact.uri)
        except NotFoundError as error:
            raise PlatformError(f"an input cannot be read: {error.message}") from error
        if not path.exists():
            raise PlatformError(
                f"an input is gone: {artifact.uri}", hint="retry the run: what made it will be run again"
            )
        return {"type": artifact.type, "path": str(path), "uri": artifact.uri, "metadata": dict(artifact.metadata)}

    def _outputs(self, launch: Launch) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, port in launch.component.outputs.items():
            found[name] = {"kind": port.kind, "type": port.type}
            if isinstance(port, ArtifactOutput):
                uri = self._artifacts.output_location(launch.run_id, launch.key, launch.attempt, name)
                found[name].update(path=str(self._artifacts.path_of(uri)), uri=uri)
        return found

    def _output_folder(self, launch: Launch) -> Path:
        uri = self._artifacts.output_location(launch.run_id, launch.key, launch.attempt, "x")
        return self._artifacts.path_of(uri).parent

    def _volume_path(self, launch: Launch, file: VolumeFile) -> Path:
        volume = next(one for one in launch.volumes if one.name == file.volume)
        root = self.folder_of(volume)
        if root is None:
            raise PlatformError(f"volume {volume.name!r} has no folder here", hint=volume_hint(volume))
        path = (root / volume.sub_path / file.path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise PlatformError(f"{file.path!r} leads out of volume {volume.name!r}")
        return path

    def folder_of(self, volume: Volume) -> Path | None:
        """The folder that stands for a volume on this machine, or None."""
        return self._volumes.get(volume_key(volume))

    def _environment(self, launch: Launch, work: Path, cpus: float) -> dict[str, str]:
        threads = str(max(1, math.ceil(cpus)))
        found = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
        found.update(HOME=str(work), TMPDIR=str(work), PYTHONUNBUFFERED="1", MLOPX_OPTION=launch.option)
        found.update(MLOPX_RUN=launch.run_id, MLOPX_TASK=str(launch.key), MLOPX_NODE=launch.node)
        found.update(MLOPX_ATTEMPT=str(launch.attempt))
        for kind, count in launch.requests.accelerators:
            found["MLOPX_ACCELERATORS"] = f"{kind}={count}"
        for volume in launch.volumes:
            folder = self.folder_of(volume)
            if folder is not None:
                found[f"MLOPX_VOLUME_{volume.name.upper().replace('-', '_')}"] = str(folder / volume.sub_path)
        found.update(launch.environment)
        for wanted in launch.secrets:
            value = self._secret(wanted.secret, wanted.key)
            if value is None:
                raise PlatformError(
                    f"secret {wanted.secret!r} has no key {wanted.key!r} here",
                    hint=f"put its value into the file SECRETS_DIR/{wanted.secret}/{wanted.key}",
                )
            found[wanted.env] = value
        return found


def volume_key(volume: Volume) -> str:
    """What a volume is called in the cluster file."""
    source = volume.source
    if isinstance(source, PvcSource):
        return source.claim
    assert isinstance(source, NfsSource)
    return f"{source.server}:{source.path}"


def volume_hint(volume: Volume) -> str:
    """What to do about a volume without a folder."""
    key = volume_key(volume)
    file = f'[[volume]] name = "{key}" and folder = "/its/folder" in the server\'s CLUSTER_FILE'
    if key in DATASETS_VOLUMES:
        return f"set DATASETS_PATH of the server to the folder with the data sets, or write {file}"
    return f"write {file}"
