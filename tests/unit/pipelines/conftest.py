"""Plays an example pipeline in this process: the real lifecycle, the real task runtime, no server and no waiting."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from mlopx import Pipeline
from mlopx.runtime import task as runtime
from mlopx.spec import ArtifactOutput, FunctionCode
from server.domain import events as happened
from server.domain.graph import compile_graph
from server.domain.launch import Launch, launch_of
from server.domain.lifecycle import apply, start_run
from server.domain.resolve import VolumeFile
from server.domain.resources import Resources
from server.domain.run import Artifact, Output, Run, RunOptions, TaskError, TaskKey
from server.domain.states import TaskState

AT = datetime(2026, 1, 1, tzinfo=UTC)

Load = Callable[[str], Pipeline]


@dataclass
class Played:
    """How a run went: its end, and the processor time of each task."""

    run: Run
    cpu_seconds: dict[TaskKey, float] = field(default_factory=dict)

    def value(self, task: str, port: str) -> Any:
        """A task's output value."""
        return self.run.tasks[TaskKey.parse(task)].outputs[port].value

    def artifact(self, task: str, port: str) -> Artifact:
        """A task's output artifact."""
        found = self.run.tasks[TaskKey.parse(task)].outputs[port].artifact
        assert found is not None
        return found

    def states(self) -> dict[str, TaskState]:
        """The state of each task, by key."""
        return {str(key): task.state for key, task in self.run.tasks.items()}


Play = Callable[..., Played]


@pytest.fixture(scope="session")
def load(project_root: Path) -> Load:
    """Import an example's file, as a user's `import` would, and return its pipeline."""

    def import_file(name: str) -> Pipeline:
        spec = importlib.util.spec_from_file_location(name, project_root / "pipelines" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = getattr(module, name)
        assert isinstance(found, Pipeline)
        return found

    return import_file


@pytest.fixture
def play(load: Load, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a pipeline to its end: `play("digits", epochs=5)`; `options` names the option a task gets."""

    def run_it(
        name: str, *, options: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None, **given: Any
    ) -> Played:
        stage = _Stage(project_root / "data", tmp_path, options or {}, secrets or {}, monkeypatch)
        return stage.play(load(name), given)

    return run_it


class _Stage:
    """Runs the ready tasks of one run, one after the other."""

    def __init__(
        self,
        data: Path,
        folder: Path,
        options: Mapping[str, str],
        secrets: Mapping[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.data, self.folder, self.options, self.secrets = data, folder, options, secrets
        self.monkeypatch = monkeypatch

    def play(self, pipeline: Pipeline, given: Mapping[str, Any]) -> Played:
        spec = pipeline.build()
        parameters = {name: one.default for name, one in spec.parameters.items()} | dict(given)
        played = Played(start_run("run-1", compile_graph(spec), parameters=parameters, options=RunOptions(), at=AT).run)
        while not played.run.state.is_end:
            ready = sorted(key for key, _ in played.run.attempts_in(TaskState.READY))
            assert ready, f"nothing is ready, but the run is {played.run.state}: {played.states()}"
            self._run(played, ready[0])
        return played

    def _run(self, played: Played, key: TaskKey) -> None:
        attempt = played.run.tasks[key].current.number
        option = self.options.get(key.path)
        who: dict[str, Any] = {"at": AT, "key": key, "attempt": attempt}
        for event in (
            happened.TaskPlaced(**who, node="here", option=option),
            happened.TaskQueued(**who),
            happened.TaskStarted(**who, node="here"),
        ):
            played.run = apply(played.run, event).run
        launch = launch_of(played.run, key, Resources())
        with self.monkeypatch.context() as patch, threadpool_limits(1):
            self._set_environment(patch, launch)
            before = time.process_time()
            result = runtime.run(self._manifest(launch))  # type: ignore[no-untyped-call]  # it runs on Python 3.8
            played.cpu_seconds[key] = time.process_time() - before
        if result["state"] == "succeeded":
            outputs = {name: _output(found) for name, found in result["outputs"].items()}
            end: happened.Event = happened.TaskSucceeded(**who, outputs=outputs)
        else:
            error = result["error"]
            end = happened.TaskFailed(**who, error=TaskError(error["kind"], error["message"], error["traceback"]))
        played.run = apply(played.run, end).run

    def _set_environment(self, patch: pytest.MonkeyPatch, launch: Launch) -> None:
        for name, text in launch.environment.items():
            patch.setenv(name, text)
        for wanted in launch.secrets:
            patch.setenv(wanted.env, self.secrets[f"{wanted.secret}/{wanted.key}"])
        assert all((self.data / volume.sub_path).is_dir() for volume in launch.volumes)

    def _manifest(self, launch: Launch) -> dict[str, Any]:
        code = launch.component.code
        assert isinstance(code, FunctionCode)
        place = self.folder / str(launch.key).replace("/", "~")
        outputs: dict[str, Any] = {}
        for name, port in launch.component.outputs.items():
            outputs[name] = {"kind": port.kind, "type": port.type}
            if isinstance(port, ArtifactOutput):
                outputs[name]["path"] = str(place / name)
        return {
            "run_id": launch.run_id,
            "task": str(launch.key),
            "attempt": launch.attempt,
            "node": launch.node,
            "option": launch.option,
            "entrypoint": code.entrypoint,
            "source": code.source,
            "file": code.file,
            "line": code.line,
            "inputs": {name: self._input(data) for name, data in launch.arguments.items()},
            "outputs": outputs,
        }

    def _input(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Artifact):
            return {"kind": "artifact", "type": data.type, "path": data.uri, "metadata": dict(data.metadata)}
        if isinstance(data, list) and data and isinstance(data[0], Artifact):
            return {"kind": "artifacts", "items": [self._input(one) for one in data]}
        if isinstance(data, VolumeFile):
            return {"kind": "parameter", "value": os.fspath(self.data / data.path)}
        return {"kind": "parameter", "value": data}


def _output(found: Mapping[str, Any]) -> Output:
    if "path" not in found:
        return Output(found["value"])
    return Output(
        artifact=Artifact(found["path"], found["type"], found["size_bytes"], found["digest"], found["metadata"])
    )
