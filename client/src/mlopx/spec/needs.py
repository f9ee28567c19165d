"""What a task asks of the node it runs on, and how it wants to be run.

Quantities are plain numbers in one unit each: CPU in millicores, memory in bytes, time in seconds.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from mlopx.spec.base import Name, SpecModel

INTEGER = re.compile(r"-?[0-9]{1,18}")


class Accelerator(SpecModel):
    """Accelerators of one kind (`nvidia.com/gpu`, or a model such as `nvidia-a100`); memory is per device."""

    accelerator: str = Field(min_length=1, max_length=253)
    count: int = Field(default=1, ge=1, le=1024)
    memory_bytes: int | None = Field(default=None, ge=1)


class Resources(SpecModel):
    """What the task requests. None means: not said (one CPU on the local platform, nothing on Kubernetes).

    Limits are what it may use at most; one without a request is the request too, as in Kubernetes.
    """

    cpu_millicores: int | None = Field(default=None, ge=1, le=10_000_000)
    memory_bytes: int | None = Field(default=None, ge=1)
    accelerator: Accelerator | None = None
    cpu_limit_millicores: int | None = Field(default=None, ge=1, le=10_000_000)
    memory_limit_bytes: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Resources:
        if (self.cpu_limit_millicores or math.inf) < (self.cpu_millicores or 0):
            raise ValueError(f"the CPU limit {self.cpu_limit_millicores}m is below the request {self.cpu_millicores}m")
        if (self.memory_limit_bytes or math.inf) < (self.memory_bytes or 0):
            raise ValueError(f"the memory limit {self.memory_limit_bytes} is below the request {self.memory_bytes}")
        return self

    def completed_by(self, base: Resources) -> Resources:
        """These, with what they leave open taken from others; a limit of those that is too low becomes the request."""
        cpu, memory = self.cpu_millicores or base.cpu_millicores, self.memory_bytes or base.memory_bytes
        cpu_limit = self.cpu_limit_millicores or base.cpu_limit_millicores
        memory_limit = self.memory_limit_bytes or base.memory_limit_bytes
        return Resources(
            cpu_millicores=cpu,
            memory_bytes=memory,
            accelerator=self.accelerator or base.accelerator,
            cpu_limit_millicores=max(cpu_limit, cpu or 0) if cpu_limit else None,
            memory_limit_bytes=max(memory_limit, memory or 0) if memory_limit else None,
        )


class Option(SpecModel):
    """One of several ways in which a task can run; the placer chooses one, the task is told which."""

    name: Name
    image: str | None = None
    resources: Resources = Resources()
    environment: dict[str, str] = {}


class Requirement(SpecModel):
    """A node label that must hold. `Gt` and `Lt` compare as integers."""

    label: str = Field(min_length=1, max_length=317)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_fit(self) -> Requirement:
        needs_none = self.operator in ("Exists", "DoesNotExist")
        if needs_none and self.values:
            raise ValueError(f"operator {self.operator} takes no values")
        if not needs_none and not self.values:
            raise ValueError(f"operator {self.operator} needs at least one value")
        if self.operator in ("Gt", "Lt") and (len(self.values) != 1 or not INTEGER.fullmatch(self.values[0])):
            raise ValueError(f"operator {self.operator} needs exactly one integer, as text")
        return self


class Preference(SpecModel):
    """A requirement that is wished for, with a weight of 1 to 100."""

    weight: int = Field(ge=1, le=100)
    requirement: Requirement


class Toleration(SpecModel):
    """A node taint that the task accepts; meaning as in Kubernetes."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class PvcSource(SpecModel):
    """A persistent volume claim, by name."""

    kind: Literal["pvc"] = "pvc"
    claim: str = Field(min_length=1, max_length=253)


class NfsSource(SpecModel):
    """A folder exported by an NFS server."""

    kind: Literal["nfs"] = "nfs"
    server: str = Field(min_length=1)
    path: str = Field(pattern=r"^/")


class Volume(SpecModel):
    """A volume mounted into the task at `mount_path`; `sub_path` is the folder of it to mount."""

    name: Name
    source: Annotated[Union[PvcSource, NfsSource], Field(discriminator="kind")]  # noqa: UP007 - discriminated
    mount_path: str = Field(pattern=r"^/", max_length=4096)
    sub_path: str = ""
    read_only: bool = False


class SecretEnv(SpecModel):
    """An environment variable that takes the value of a secret's key; the value itself is never in the spec."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    secret: str = Field(min_length=1, max_length=253)
    key: str = Field(min_length=1, max_length=253)


class Retry(SpecModel):
    """How often a failed task is tried again, and after how long: backoff x factor^(n-1), at most `max_backoff`."""

    max_retries: int = Field(ge=0, le=100)
    backoff_seconds: float = Field(default=0.0, ge=0, le=86_400)
    backoff_factor: float = Field(default=2.0, ge=1, le=100)
    max_backoff_seconds: float = Field(default=3_600.0, ge=0, le=86_400)

    def delay_seconds(self, retry: int) -> float:
        """Seconds to wait before retry number `retry` (1 = the first)."""
        if self.backoff_seconds == 0:
            return 0.0
        exponent = min(max(retry, 1) - 1, 64)
        return float(min(self.backoff_seconds * self.backoff_factor**exponent, self.max_backoff_seconds))
