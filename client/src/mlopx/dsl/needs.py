"""What a task can ask of its node, in words: labels, options, volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlopx.dsl.handles import Handle
from mlopx.dsl.quantities import cpu_millicores, memory_bytes
from mlopx.dsl.unknown import require_known
from mlopx.dsl.where import here
from mlopx.dsl.wrong import checked
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
        with checked(f"the constraint on label {self.name!r} is wrong"):
            return Requirement(label=self.name, operator=operator, values=values)


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
    cpu_limit: int | float | str | None = None,
    memory_limit: int | str | None = None,
) -> Resources:
    """Requests and limits as the spec says them. Raises DefinitionError for bad amounts."""
    device = None
    if accelerator is not None:
        if not isinstance(accelerators, int) or accelerators < 1:
            raise DefinitionError(
                f"{accelerators!r} accelerators make no sense", hint="ask for one or more, or for none", where=here()
            )
        memory_each = memory_bytes(accelerator_memory) if accelerator_memory is not None else None
        with checked("the accelerator is wrong", hint='write accelerator="nvidia.com/gpu", accelerators=1'):
            device = Accelerator(accelerator=accelerator, count=accelerators, memory_bytes=memory_each)
    elif accelerators != 1 or accelerator_memory is not None:
        raise DefinitionError(
            "accelerators are asked for, but not which", hint='write accelerator="nvidia.com/gpu" as well', where=here()
        )
    cpus = (_given(cpu_millicores, cpu), _given(cpu_millicores, cpu_limit))
    amounts = (_given(memory_bytes, memory), _given(memory_bytes, memory_limit))
    for what, asked, limit, (request, most) in (
        ("CPU", cpu, cpu_limit, cpus),
        ("memory", memory, memory_limit, amounts),
    ):
        if request is not None and most is not None and most < request:
            raise DefinitionError(
                f"the {what} limit {limit!r} is below the request {asked!r}",
                hint="raise the limit, or request less",
                where=here(),
            )
    with checked("the requests are wrong"):
        return Resources(
            cpu_millicores=cpus[0],
            memory_bytes=amounts[0],
            accelerator=device,
            cpu_limit_millicores=cpus[1],
            memory_limit_bytes=amounts[1],
        )


def _given(read: Callable[[Any], int], amount: Any) -> int | None:
    return read(amount) if amount is not None else None


def option(name: str, *, image: str | None = None, env: dict[str, str] | None = None, **requests: Any) -> Option:
    """One of several ways in which a task can run, for `.any_of(...)`; requests as in `.request(...)`."""
    require_known("an option", requests, resources)
    texts = {variable: str(value) for variable, value in (env or {}).items()}
    asked = resources(**requests)
    with checked(f"option {name!r} is wrong"):
        return Option(name=_name(name), image=image, resources=asked, environment=texts)


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
        with checked(f"the claim {claim!r} is wrong"):
            source = PvcSource(claim=claim)
        return cls._of(source, name or claim, mount_path, sub_path, read_only)

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
        if not path.startswith("/"):
            raise DefinitionError(
                f"the exported folder {path!r} must be absolute", hint=f"write {'/' + path!r}", where=here()
            )
        with checked("the NFS server is wrong"):
            source = NfsSource(server=server, path=path)
        return cls._of(source, name or path, mount_path, sub_path, read_only)

    @classmethod
    def _of(cls, source: Any, name: str, mount_path: str, sub_path: str, read_only: bool) -> Volume:
        if not mount_path.startswith("/"):
            raise DefinitionError(
                f"mount_path {mount_path!r} must be absolute",
                hint=f"write mount_path={'/' + mount_path!r}",
                where=here(),
            )
        named = _name(name)
        with checked(f"volume {named!r} is wrong"):
            return cls(
                VolumeSpec(name=named, source=source, mount_path=mount_path, sub_path=sub_path, read_only=read_only)
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
