"""An attempt made ready for a platform: the component, its arguments as data, and what it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlopx.spec import ArtifactInput, Component, SecretEnv, Volume
from server.domain.placement import DEFAULT_OPTION
from server.domain.request import memory_limit_of
from server.domain.resolve import BadValueError, Data, NeverError, Reader
from server.domain.resources import Resources
from server.domain.run import Artifact, Run, TaskKey, attempt_id


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt, complete. `arguments` holds JSON values, `Artifact`s, lists of them, or `VolumeFile`s.

    `attempt_id` is the idempotency key: a platform that has seen it answers with what it did the first time.
    """

    run_id: str
    run_name: str
    key: TaskKey
    attempt: int
    attempt_id: str
    node: str
    option: str
    component: Component
    arguments: Mapping[str, Data]
    requests: Resources
    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretEnv, ...] = ()
    volumes: tuple[Volume, ...] = ()
    timeout_seconds: float | None = None
    memory_limit_bytes: int | None = None


def arguments_of(run: Run, key: TaskKey) -> dict[str, Data]:
    """The task's arguments as data; inputs that are optional and not given are left out.

    Raises:
        NotYetError: something it reads is still open.
        NeverError: something it reads will never come and is not optional.
        BadValueError: the data does not fit what the component declares.
    """
    component = run.graph.component(key.path)
    definition = run.graph.task(key.path)
    reader = Reader(run, run.graph.loops[key.path], key.iteration)
    found: dict[str, Data] = {}
    for port, value in definition.arguments.items():
        declared = component.inputs[port]
        try:
            data = reader.read(value)
        except NeverError:
            if not declared.optional:
                raise
            continue
        _check(port, declared, data)
        found[port] = data
    return found


def launch_of(run: Run, key: TaskKey, requests: Resources) -> Launch:
    """Build the launch of a task's current attempt. Raises as `arguments_of` does."""
    definition = run.graph.task(key.path)
    component = run.graph.component(key.path)
    attempt = run.tasks[key].current
    option = next((choice for choice in definition.options if choice.name == attempt.option), None)
    image = (option.image if option else None) or definition.image or component.image
    return Launch(
        run_id=run.id,
        run_name=run.name,
        key=key,
        attempt=attempt.number,
        attempt_id=attempt_id(run.id, key, attempt.number),
        node=attempt.node or "",
        option=attempt.option or DEFAULT_OPTION,
        component=component,
        arguments=arguments_of(run, key),
        requests=requests,
        image=image,
        environment={**definition.environment, **(option.environment if option else {})},
        secrets=definition.secrets,
        volumes=definition.volumes,
        timeout_seconds=definition.timeout_seconds,
        memory_limit_bytes=memory_limit_of(run, key, attempt.option, requests),
    )


def _check(port: str, declared: Any, data: Data) -> None:
    if not isinstance(declared, ArtifactInput):
        if isinstance(data, Artifact):
            raise BadValueError(f"input {port!r} expects a value, but an artifact arrived")
        return
    items = data if isinstance(data, list) else [data]
    for item in items:
        if not isinstance(item, Artifact):
            raise BadValueError(f"input {port!r} expects an artifact, but {item!r} arrived")
