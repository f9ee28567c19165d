"""What a task can ask of its node, in words: labels, options, volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlopx.dsl.handles import Handle
from mlopx.dsl.quantities import cpu_millicores, memory_bytes
from mlopx.dsl.where import here
from mlopx.errors import DefinitionError
from mlopx.spec import (
    Accelerator,
    NfsSource,
    Option,
    PvcSource,
    Requirement,
    Resources,
    VolumePath,
    slug,
)
from mlopx.spec import Volume as VolumeSpec


@dataclass(frozen=True, slots=True)
class NodeLabel:
    """A node label to make a requirement of: `node_label("zone").is_in("a", "b")`."""

    name: str

    def is_in(self, *values: str) -> Requirement:
        """The label has one of the values."""
        return self._make("In", values)

    def is_not_in(self, *values: str) -> Requirement:
        """The label is missing or has none of the values."""
        return self._make("NotIn", values)

    def exists(self) -> Requirement:
        """The label is there."""
        return self._make("Exists", ())

    def is_missing(self) -> Requirement:
        """The label is not there."""
        return self._make("DoesNotExist", ())

    def is_above(self, number: int) -> Requirement:
        """The label is a number greater than `number`."""
        return self._make("Gt", (str(number),))

    def is_below(self, number: int) -> Requirement:
        """The label is a number less than `number`."""
        return self._make("Lt", (str(number),))

    def _make(self, operator: Any, values: tuple[str, ...]) -> Requirement:
        try:
            return Requirement(label=self.name, operator=operator, values=values)
        except ValueError as error:
            raise DefinitionError(f"the constraint on label {self.name!r} is wrong: {error}", where=here()) from error


def node_label(name: str) -> NodeLabel:
    """Begin a constraint on a node label."""
    return NodeLabel(name)


def resources(
    *,
    cpu: int | float | str | None = None,
    memory: int | str | None = None,
    accelerator: str | None = None,
    accelerators: int = 1,
    accelerator_memory: int | str | None = None,
) -> Resources:
    """Requests as the spec says them. Raises DefinitionError for bad amounts."""
    device = None
    if accelerator is not None:
        if accelerators < 1:
            raise DefinitionError(f"{accelerators} accelerators make no sense", where=here())
        memory_each = memory_bytes(accelerator_memory) if accelerator_memory is not None else None
        device = Accelerator(accelerator=accelerator, count=accelerators, memory_bytes=memory_each)
    return Resources(
        cpu_millicores=cpu_millicores(cpu) if cpu is not None else None,
        memory_bytes=memory_bytes(memory) if memory is not None else None,
        accelerator=device,
    )


def option(name: str, *, image: str | None = None, env: dict[str, str] | None = None, **requests: Any) -> Option:
    """One of several ways in which a task can run, for `.any_of(...)`; requests as in `.request(...)`."""
    return Option(name=_name(name), image=image, resources=resources(**requests), environment=env or {})


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that tasks mount: `Volume.pvc("datasets-pvc", mount_path="/mnt/datasets")`.

    `volume.path("adult.csv")` is a text argument that arrives as the real path of that file, on every platform.
    """

    spec: VolumeSpec

    @classmethod
    def pvc(
        cls, claim: str, *, mount_path: str, name: str | None = None, sub_path: str = "", read_only: bool = False
    ) -> Volume:
        """A persistent volume claim."""
        return cls._of(PvcSource(claim=claim), name or claim, mount_path, sub_path, read_only)

    @classmethod
    def nfs(
        cls,
        server: str,
        path: str,
        *,
        mount_path: str,
        name: str | None = None,
        sub_path: str = "",
        read_only: bool = False,
    ) -> Volume:
        """A folder exported by an NFS server."""
        return cls._of(NfsSource(server=server, path=path), name or path, mount_path, sub_path, read_only)

    @classmethod
    def _of(cls, source: Any, name: str, mount_path: str, sub_path: str, read_only: bool) -> Volume:
        if not mount_path.startswith("/"):
            raise DefinitionError(f"mount_path {mount_path!r} must be absolute", where=here())
        return cls(
            VolumeSpec(name=_name(name), source=source, mount_path=mount_path, sub_path=sub_path, read_only=read_only)
        )

    def path(self, inside: str = "") -> VolumeHandle:
        """The real path of a file or folder inside the volume, as an argument; mounts the volume by itself."""
        return VolumeHandle(VolumePath(volume=self.spec.name, path=inside), "str", volume=self.spec)


@dataclass(frozen=True, eq=False)
class VolumeHandle(Handle):
    """A path inside a volume."""

    volume: VolumeSpec | None = None


def _name(text: str) -> str:
    found = slug(text)
    if not found or not found[0].isalpha():
        raise DefinitionError(f"{text!r} cannot be made into a name", hint="begin it with a letter", where=here())
    return found
