"""A task being described: the component's call, and everything that can be said of how and where it runs.

Every method returns the task itself, so they chain: `train(...).request(cpu=2).retry(3).after(download)`.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NoReturn

from mlopx.dsl.build import Build, TaskDraft
from mlopx.dsl.handles import Handle, StandsForOutput, value_of
from mlopx.dsl.hints import workload
from mlopx.dsl.needs import Volume, VolumeHandle, resources
from mlopx.dsl.outputs import Outputs
from mlopx.dsl.quantities import seconds, time_limit
from mlopx.dsl.unknown import require_known, unknown_attribute
from mlopx.dsl.where import here
from mlopx.dsl.wrong import checked, said
from mlopx.errors import DefinitionError
from mlopx.spec import (
    ArtifactInput,
    ArtifactOutput,
    Const,
    Option,
    OutputRef,
    Preference,
    Requirement,
    Resources,
    Retry,
    SecretEnv,
    Toleration,
    fits,
    slug,
)
from mlopx.spec.structure import referenced_tasks, scope_values

if TYPE_CHECKING:
    from mlopx.dsl.component import Component


class TaskHandle(StandsForOutput):
    """A task of the pipeline under construction."""

    def __init__(self, build: Build, draft: TaskDraft) -> None:
        self._build, self._draft = build, draft

    @classmethod
    def create(cls, build: Build, component: Component, given: dict[str, Any]) -> TaskHandle:
        """Add a task that calls `component` with these arguments. Raises DefinitionError at the caller's line."""
        spec = build.add_component(component.spec)
        draft = TaskDraft(spec, here(), kind=component.defaults.kind)
        defaults = component.defaults
        draft.fields.update(scope=build.scope, cache=defaults.cache)
        if defaults.resources != Resources():
            draft.fields["resources"] = defaults.resources
        if defaults.timeout_seconds is not None:
            draft.fields["timeout_seconds"] = defaults.timeout_seconds
        if defaults.retry is not None:
            draft.fields["retry"] = defaults.retry
        handle = cls(build, draft)
        draft.fields["arguments"] = handle._arguments(given)
        draft.path = build.free_path(spec.name)
        build.tasks[draft.path] = draft
        return handle

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            is_output = name in self._draft.component.outputs
            hint = f"an output is read from .outputs[{name!r}]" if is_output else None
            raise unknown_attribute(f"task {self.path!r}", name, self, hint=hint)

    @property
    def path(self) -> str:
        """Path of the task in the pipeline."""
        return self._draft.path

    @property
    def outputs(self) -> Outputs:
        """All outputs, by name."""
        ports = self._draft.component.outputs
        handles = {
            name: Handle(OutputRef(task=self.path, port=name), port.type, isinstance(port, ArtifactOutput))
            for name, port in ports.items()
        }
        return Outputs(f"task {self.path!r}", handles)

    @property
    def output(self) -> Handle:
        """The only output. Raises DefinitionError if there are several or none."""
        names = list(self._draft.component.outputs)
        if len(names) != 1:
            text = ", ".join(names) or "none"
            raise DefinitionError(
                f"task {self.path!r} has {len(names)} outputs ({text}), so .output is not clear",
                hint='name one: .outputs["…"]' if names else "annotate what the function returns",
                where=here(),
            )
        return self.outputs[names[0]]

    def named(self, name: str) -> TaskHandle:
        """Call the task by another name. Do this before its outputs are used."""
        if self._is_used():
            raise DefinitionError(
                f"task {self.path!r} is used already; name it where it is made",
                hint=f"write {self._draft.component.name}(...).named({name!r})",
                where=here(),
            )
        del self._build.tasks[self.path]
        wanted = slug(str(name))
        path = self._build.prefix + wanted
        is_taken = path in self._build.tasks or path in self._build.scopes
        if not wanted or not wanted[0].isalpha() or is_taken:
            self._build.tasks[self.path] = self._draft
            raise DefinitionError(f"{name!r} cannot be the task's name: it is taken, or no name", where=here())
        self._draft.path = path
        self._build.tasks[self._draft.path] = self._draft
        return self

    def after(self, *others: TaskHandle | Nested) -> TaskHandle:
        """Wait for these tasks to succeed, though nothing is read from them."""
        paths: list[str] = list(self._draft.fields.get("after", ()))
        for other in others:
            if not isinstance(other, TaskHandle | Nested):
                found = f"a {type(other).__name__}" if isinstance(other, list | tuple) else said(other)
                raise DefinitionError(
                    f".after takes tasks, not {found}", hint="write .after(first, second)", where=here()
                )
            paths.extend(other.paths)
        return self._set(after=tuple(dict.fromkeys(paths)))

    @property
    def paths(self) -> tuple[str, ...]:
        """The task's path, as a tuple of one."""
        return (self.path,)

    def even_if_failed(self) -> TaskHandle:
        """Run when all it waits for has ended, however it ended; inputs that did not come take their defaults."""
        return self._set(trigger="all-done")

    def request(
        self,
        *,
        cpu: int | float | str | None = None,
        memory: int | str | None = None,
        accelerator: str | None = None,
        accelerators: int = 1,
        accelerator_memory: int | str | None = None,
        cpu_limit: int | float | str | None = None,
        memory_limit: int | str | None = None,
    ) -> TaskHandle:
        """Ask for CPUs (`2`, `"500m"`), memory (`"4Gi"`), and accelerators of one kind with memory each.

        A node is chosen by what is asked for; the limits are what the task may use at most where it runs.
        """
        asked = resources(
            cpu=cpu,
            memory=memory,
            accelerator=accelerator,
            accelerators=accelerators,
            accelerator_memory=accelerator_memory,
            cpu_limit=cpu_limit,
            memory_limit=memory_limit,
        )
        before: Resources = self._draft.fields.get("resources", Resources())
        return self._set(resources=asked.completed_by(before))

    def any_of(self, *options: Option) -> TaskHandle:
        """Run in any one of several ways; the task is told which, as `MLOPX_OPTION` and in its `TaskInfo`."""
        for choice in options:
            if not isinstance(choice, Option):
                raise DefinitionError(
                    f"any_of takes options, not {choice!r}", hint='write option("gpu", accelerator=...)', where=here()
                )
        names = [choice.name for choice in options]
        if len(set(names)) != len(names) or len(names) < 2:
            raise DefinitionError(f"any_of takes two or more options of different names, not {names}", where=here())
        return self._set(options=tuple(options))

    def image(self, name: str) -> TaskHandle:
        """Run in another image than the component's."""
        return self._set(image=name)

    def on(self, *requirements: Requirement) -> TaskHandle:
        """Run only on nodes where these hold: `.on(node_label("zone").is_in("a"))`."""
        for requirement in requirements:
            _require_requirement(".on", requirement)
        return self._add("requirements", requirements)

    def on_node(self, name: str) -> TaskHandle:
        """Run only on this node."""
        return self._set(node=name)

    def prefer(self, requirement: Requirement, *, weight: int = 50) -> TaskHandle:
        """Run rather on nodes where this holds; weight 1 to 100."""
        _require_requirement(".prefer", requirement)
        if not isinstance(weight, int) or not 1 <= weight <= 100:
            raise DefinitionError(f"a weight of {weight!r} is not a number between 1 and 100", where=here())
        return self._add("preferences", [Preference(weight=weight, requirement=requirement)])

    def tolerate(self, key: str, *, value: str | None = None, effect: str = "") -> TaskHandle:
        """Accept nodes with this taint."""
        effects = "NoSchedule, PreferNoSchedule, NoExecute, or left out for all of them"
        with checked("the toleration is wrong", hint=f"its key and value are texts, its effect {effects}"):
            toleration = Toleration(
                key=key,
                operator="Exists" if value is None else "Equal",
                value=value or "",
                effect=effect,
            )
        return self._add("tolerations", [toleration])

    def mount(self, *volumes: Volume) -> TaskHandle:
        """Mount volumes. Passing `volume.path(...)` as an argument does this by itself."""
        for volume in volumes:
            if not isinstance(volume, Volume):
                raise DefinitionError(
                    f".mount takes volumes, not {volume!r}", hint="write .mount(Volume.pvc(...))", where=here()
                )
            self._mount(volume.spec)
        return self

    def retry(
        self, times: int, *, backoff: float | str = 0, factor: float = 2.0, at_most: float | str = "1h"
    ) -> TaskHandle:
        """Try again after a failure, waiting `backoff`, then `factor` times as long, at most `at_most`."""
        waits = {"backoff_seconds": seconds(backoff), "max_backoff_seconds": seconds(at_most)}
        with checked("the retry settings are wrong"):
            found = Retry(max_retries=times, backoff_factor=factor, **waits)
        return self._set(retry=found)

    def timeout(self, span: float | str) -> TaskHandle:
        """Stop an attempt that runs longer: `"10m"`."""
        return self._set(timeout_seconds=time_limit(span))

    def cache(self, is_on: bool) -> TaskHandle:
        """Whether an earlier task's equal work may stand for this one."""
        return self._set(cache=is_on)

    def env(self, **variables: str) -> TaskHandle:
        """Set environment variables."""
        texts = {name: str(value) for name, value in variables.items()}
        return self._set(environment={**self._draft.fields.get("environment", {}), **texts})

    def secret(self, env: str, *, secret: str, key: str) -> TaskHandle:
        """Set an environment variable from a secret, by reference: the value is never in the pipeline."""
        with checked("the secret is wrong"):
            found = SecretEnv(env=env, secret=secret, key=key)
        return self._add("secrets", [found])

    def interruptible(self, is_on: bool = True) -> TaskHandle:
        """Whether it may run on nodes that can be taken away."""
        return self._set(interruptible=is_on)

    def hints(self, **said: Any) -> TaskHandle:
        """Say what the work is, for run time estimates: `kind=`, `dataset=`, `model=`, `operations=`."""
        require_known(".hints", said, workload)
        return self._set(hints=workload(**said))

    def _is_used(self) -> bool:
        """Whether another task or a scope refers to this one already."""
        drafts = [draft.fields for draft in self._build.tasks.values()]
        values = [value for fields in drafts for value in fields.get("arguments", {}).values()]
        values += [value for scope in self._build.scopes.values() for value in scope_values(scope)]
        read = {path for value in values for path in referenced_tasks(value)}
        waited_for = {path for fields in drafts for path in fields.get("after", ())}
        return self.path in read | waited_for | {self._build.exit_task}

    def _set(self, **fields: Any) -> TaskHandle:
        self._draft.fields.update(fields)
        return self

    def _add(self, name: str, items: Any) -> TaskHandle:
        return self._set(**{name: (*self._draft.fields.get(name, ()), *items)})

    def _mount(self, volume: Any) -> None:
        if volume not in self._draft.fields.get("volumes", ()):
            self._add("volumes", [volume])

    def _arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        component = self._draft.component
        for name in given:
            if name not in component.inputs:
                self._unknown(name)
        missing = [name for name, port in component.inputs.items() if name not in given and not port.optional]
        if missing:
            raise DefinitionError(f"{component.name} needs {', '.join(missing)}", where=self._draft.where)
        return {name: self._argument(name, value) for name, value in given.items()}

    def _unknown(self, name: str) -> None:
        component = self._draft.component
        known = ", ".join(component.inputs) or "none"
        close = difflib.get_close_matches(name, component.inputs, 1)
        hint = f"did you mean {close[0]!r}?" if close else None
        if name in component.outputs:
            hint = f"{name!r} is an output: read it from .outputs[{name!r}]"
        raise DefinitionError(
            f"{component.name} has no input {name!r} (it has: {known})", hint=hint, where=self._draft.where
        )

    def _argument(self, name: str, given: Any) -> Any:
        port = self._draft.component.inputs[name]
        if isinstance(given, VolumeHandle) and given.volume is not None:
            self._mount(given.volume)
        if isinstance(port, ArtifactInput) and isinstance(given, TaskHandle) and given is not self:
            given = only_artifact(given)
        value = value_of(given)
        if isinstance(value, Const):
            is_none = value.value is None and port.optional
            if isinstance(port, ArtifactInput) or not (is_none or fits(value.value, port.type)):
                wanted = f"an artifact ({port.type})" if isinstance(port, ArtifactInput) else port.type
                raise DefinitionError(
                    f"input {name!r} of {self._draft.component.name} expects {wanted}, but {value.value!r} is given",
                    where=self._draft.where,
                )
        return value


def _require_requirement(method: str, given: object) -> None:
    if not isinstance(given, Requirement):
        hint = f'write {method}(node_label("zone").is_in("a")), or .exists() for any value'
        raise DefinitionError(f"{method} takes what a label must be, not {given!r}", hint=hint, where=here())


def only_artifact(task: TaskHandle) -> Handle:
    """The task's artifact, if it makes exactly one; else its only output."""
    names = [name for name, port in task._draft.component.outputs.items() if isinstance(port, ArtifactOutput)]
    return task.outputs[names[0]] if len(names) == 1 else task.output


class Nested(StandsForOutput):
    """A nested pipeline that was called: what it returned, and all its tasks for `.after`."""

    def __init__(self, name: str, paths: tuple[str, ...], returned: Any) -> None:
        self.name, self.paths, self._returned = name, paths, returned

    if not TYPE_CHECKING:  # likewise

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            is_output = isinstance(self._returned, dict) and name in self._returned
            hint = f"an output is read from .outputs[{name!r}]" if is_output else None
            if hasattr(TaskHandle, name):
                hint = "that is said of single tasks, inside the nested pipeline"
            raise unknown_attribute(f"nested pipeline {self.name!r}", name, self, hint=hint)

    @property
    def output(self) -> Handle:
        """What the nested pipeline returned, if that is one value."""
        if isinstance(self._returned, TaskHandle | Nested):
            return self._returned.output
        if not isinstance(self._returned, Handle):
            raise DefinitionError(
                f"nested pipeline {self.name!r} does not return one value",
                hint='return an output, or a dict of outputs read with .outputs["…"]',
                where=here(),
            )
        return self._returned

    @property
    def outputs(self) -> Outputs:
        """What the nested pipeline returned, if that is a dict of outputs."""
        if isinstance(self._returned, Nested):
            return self._returned.outputs
        returned = self._returned if isinstance(self._returned, dict) else {"output": self._returned}
        handles = {
            name: one.output if isinstance(one, TaskHandle | Nested) else one
            for name, one in returned.items()
            if isinstance(one, Handle | TaskHandle | Nested)
        }
        return Outputs(f"nested pipeline {self.name!r}", handles)
