"""The port that predicts: how many seconds will this task take on that node, and how sure is that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.domain.node import Node
from server.domain.placement import Estimate


@dataclass(frozen=True, slots=True)
class Profile:
    """What is to be estimated, shared by equal tasks: a component with inputs of some size, run with some option.

    `workload` carries the declared hints as plain values; `parameters` the task's arguments that are numbers or words;
    `given` what went into the tasks that its inputs come from: where those are not known yet (not `is_input_known`:
    their size is 0 then), it tells what they will be.
    """

    component: str
    component_digest: str
    option: str
    cpu_millicores: int
    accelerators: tuple[tuple[str, int], ...] = ()
    input_bytes: float = 0.0
    workload: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    is_input_known: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished attempt: what ran, where, how long, and how it ended (`succeeded`, `failed`, `oom`, `timeout`).

    Where known, `node_speeds` is the node's profile by kind of work, `node_cores` its CPUs, and `start_seconds` the
    time from binding to the start of the run. Of that, platforms that tell it apart spend `queue_seconds` looking for a
    node and `pull_seconds` on it before the run: mostly pulling `image`, of `image_bytes`, unless the node `had_image`.
    """

    profile: Profile
    node: str
    node_class: str
    node_speed: float
    run_seconds: float
    state: str
    finished_at: datetime
    peak_memory_bytes: float | None = None
    node_speeds: Mapping[str, float] = field(default_factory=dict)
    node_cores: float = 0.0
    start_seconds: float | None = None
    queue_seconds: float | None = None
    pull_seconds: float | None = None
    image: str = ""
    image_bytes: float | None = None
    had_image: bool | None = None


class EstimatorInterface(ABC):
    """Predicts run times. Called often with many tasks: must answer 10,000 profiles x nodes pairs in milliseconds."""

    name: str

    @abstractmethod
    def estimate(self, profiles: Sequence[Profile], nodes: Sequence[Node]) -> list[list[Estimate | None]]:
        """One row per profile, one column per node; None where this estimator knows nothing. Seconds, positive."""

    @abstractmethod
    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn from finished attempts, oldest first."""
