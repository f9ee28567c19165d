"""Pipelines compiled by Kubeflow's own SDK, once per session, and the SDK as the judge of what we make of them."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _of_the_sdk(name: str) -> ModuleType:
    """A module beside this one, without the warnings that the SDK and its packages give while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _imported(Path(__file__).with_name(name))


SDK = _of_the_sdk("sdk_pipelines.py")
COMPOSITIONS = _of_the_sdk("compositions.py")


class Texts(dict[str, str]):
    """Texts by name, that say little of themselves when a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} texts>"


class Judge:
    """Kubeflow's SDK, asked in one place."""

    def compile(self, body: Callable[..., Any], folder: Path, **settings: Any) -> str:
        """The text that the SDK compiles a pipeline's body to."""
        from kfp import compiler, dsl

        found = dsl.pipeline(name=f"p-{body.__name__}".replace("_", "-"), **settings)(body)
        path = folder / f"{body.__name__}.yaml"
        compiler.Compiler().compile(found, str(path))
        return path.read_text(encoding="utf-8")

    def load(self, text: str) -> Any:
        """Load as a user would. Raises whatever the SDK raises."""
        from kfp import components

        with libyaml():
            found = components.load_component_from_text(text)
        assert found.pipeline_spec is not None
        return found

    def parse(self, pipeline: Mapping[str, Any], platform: Mapping[str, Any] | None) -> None:
        """Parse strictly by the protocol, every executor's configuration too. Raises ParseError."""
        from google.protobuf import json_format
        from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
        from kfp.pipeline_spec import pipeline_spec_pb2 as specs

        parsed = json_format.ParseDict(dict(pipeline), specs.PipelineSpec())
        deployment = json_format.MessageToDict(parsed.deployment_spec)
        json_format.ParseDict(deployment, specs.PipelineDeploymentConfig())
        if platform is None:
            return
        json_format.ParseDict(dict(platform), specs.PlatformSpec())
        for config in platform["platforms"]["kubernetes"].get("deploymentSpec", {}).get("executors", {}).values():
            json_format.ParseDict(config, kubernetes.KubernetesExecutorConfig())

    def run(self, text: str, folder: Path, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run with `kfp.local`; what each task wrote, by the path of the file, and the pipeline's own outputs."""
        from kfp import local

        folder.mkdir(parents=True, exist_ok=True)
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), raise_on_error=True)
        with as_it_was():
            return dict(self.load(text)(**dict(arguments or {})).outputs)


@contextlib.contextmanager
def libyaml() -> Iterator[None]:
    """The SDK reads YAML with PyYAML's own parser; libyaml's takes the same texts, several times quicker."""
    with pytest.MonkeyPatch.context() as patch:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        patch.setattr(yaml, "safe_load", lambda text: yaml.load(text, Loader=loader))
        patch.setattr(yaml, "safe_load_all", lambda text: yaml.load_all(text, Loader=loader))
        yield


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Undo what `kfp.local` leaves behind where tasks run side by side: its own `print`, level and log handlers."""
    root, own_print = logging.getLogger(), builtins.print
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        builtins.print = own_print
        root.setLevel(level)
        root.handlers[:] = handlers


@pytest.fixture(scope="session")
def sdk() -> ModuleType:
    """`sdk_pipelines.py`, imported."""
    return SDK


@pytest.fixture(scope="session")
def own() -> ModuleType:
    """`own_pipelines.py`, imported."""
    return _imported(Path(__file__).with_name("own_pipelines.py"))


@pytest.fixture(scope="session")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="session")
def compiled(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every feature's pipeline, compiled."""
    folder = tmp_path_factory.mktemp("compiled")
    return Texts(
        {name: judge.compile(body, folder, **getattr(body, "settings", {})) for name, body in SDK.FEATURES.items()}
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`feature` stands for every feature, `runnable` for those that run without a cluster."""
    for name, known in (("feature", SDK.FEATURES), ("runnable", SDK.RUNNABLE)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, sorted(known))
