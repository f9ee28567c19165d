"""Reads pipelines from JSON lines: when each arrives, its tasks, and the seconds they really take."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlopx.spec import ModelHints, WorkloadHints, parse_memory
from server.domain.placement import DEFAULT_OPTION
from server.exchange.errors import UnreadableError
from server.exchange.loading import kind_of, parse_json, said
from server.simulation.problems import ScenarioError, sentence
from server.simulation.scenario import ArrivalsTable
from server.simulation.work import Arrival, TaskWork, Way, make_work

LONGEST_SECONDS = 1e9
"""Thirty years: longer is a slip, and would leave the calendar."""
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
Instant = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
LEAST_SECONDS = 1e-3
"""What a task of no length counts as: estimates and slowdowns are ratios."""
Bytes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MEASURED_ON = "kinds of node whose seconds were measured where others are predicted; for the record"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class OptionLine(_Line):
    """One way in which a task can run."""

    name: str = Field(min_length=1)
    cpus: float | None = Field(default=None, gt=0)
    memory: str | None = None
    accelerator: str | None = None
    accelerators: int = Field(default=1, ge=1)
    seconds: dict[str, Seconds | None]
    measured_on: list[str] = Field(default=[], description=MEASURED_ON)


class TaskLine(_Line):
    """One task: `seconds` by kind of node (a kind that is missing cannot run it), or `options` with their own."""

    name: str | None = Field(default=None, min_length=1)
    after: list[int | str] = []
    seconds: dict[str, Seconds | None] = {}
    options: list[OptionLine] = []
    cpus: float | None = Field(default=None, gt=0)
    memory: str | None = None
    accelerator: str | None = None
    accelerators: int = Field(default=1, ge=1)
    output_bytes: Bytes = 0.0
    image: str | None = None
    image_bytes: Bytes = 0.0
    retries: int = Field(default=0, ge=0, le=100)
    failure_probability: float | None = Field(default=None, ge=0, le=1)
    task_kind: Literal["preprocessing", "training", "evaluation", "inference", "other"] | None = None
    model: str | None = None
    hints: WorkloadHints | None = Field(default=None, description="all hints, as a pipeline has them")
    component: str | None = Field(
        default=None,
        min_length=1,
        description="what equal tasks have in common, where estimators learn: NAME, or NAME@VERSION",
    )
    told_factor: float | None = Field(
        default=None, gt=0, description="told over true seconds, instead of a drawn error"
    )
    told_spread: float | None = Field(default=None, ge=0, le=10, description="the spread that is told along")
    measured_on: list[str] = Field(default=[], description=MEASURED_ON)


class PipelineLine(_Line):
    """One line of the file: a pipeline with `tasks`, or in short with `seconds_by_type` and `after`."""

    id: int | str
    name: str | None = None
    arrival: Instant | dict[str, Instant]
    tasks: list[TaskLine] = []
    seconds_by_type: list[list[Seconds | None]] = []
    after: list[list[int]] = []
    priority: int = Field(default=0, ge=-1000, le=1000)
    project: str = "default"
    deadline_seconds: float | None = Field(default=None, gt=0)


def read_pipelines(path: Path, table: ArrivalsTable, kinds: Sequence[str]) -> list[Arrival]:
    """All pipelines of a file in order of arrival. Raises ScenarioError naming file, line and key."""
    found = []
    for number, text in _lines(path):
        where = f"{path}:{number}"
        try:
            line = _line(parse_json(text, str(path), number), where)
        except UnreadableError as error:
            raise ScenarioError(str(error)) from None
        found.append(_arrival(line, where, table, kinds))
        if table.most is not None and len(found) == table.most:
            break
    if not found:
        raise ScenarioError(f"{path}: holds no pipeline")
    often, count = Counter(arrival.run_id for arrival in found).most_common(1)[0]
    if count > 1:
        raise ScenarioError(f"{path}: {count} pipelines have the id {often}")
    return sorted(found, key=lambda arrival: arrival.seconds)


def _line(found: Any, where: str) -> PipelineLine:
    if not isinstance(found, dict):
        raise UnreadableError(
            f"{where}: a pipeline is an object with `arrival`, `tasks` and more, not {kind_of(found)}"
        )
    try:
        return PipelineLine.model_validate(found)
    except ValidationError as error:
        raise UnreadableError(f"{where}: {said(found, error)}") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        is_packed = path.suffix == ".gz"
        with gzip.open(path, "rt", encoding="utf-8-sig") if is_packed else path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield number, text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None


def _arrival(line: PipelineLine, where: str, table: ArrivalsTable, kinds: Sequence[str]) -> Arrival:
    name = line.name or f"p{line.id}"
    if line.tasks and line.seconds_by_type:
        raise ScenarioError(f"{where}: has both tasks and seconds_by_type; give one")
    seconds = line.arrival
    if isinstance(seconds, dict):
        if table.key is None or table.key not in seconds:
            known = ", ".join(seconds)
            raise ScenarioError(f"{where}: arrival has the keys {known}: say which with key in [arrivals]")
        seconds = seconds[table.key]
    tasks = _short_tasks(line, where, table) if line.seconds_by_type else _full_tasks(line, where, table)
    for index, task in enumerate(tasks):
        _check(task, f"{where}: task {index}", len(tasks), index, kinds)
    run_id = f"r{line.id:05d}" if isinstance(line.id, int) else line.id
    try:
        work = make_work(name, tasks, kinds=kinds, identity=run_id)
    except ValidationError as error:
        raise ScenarioError(f"{where}: {sentence(error)}") from None
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from None
    return Arrival(seconds, run_id, work, line.priority, line.project, line.deadline_seconds)


def _short_tasks(line: PipelineLine, where: str, table: ArrivalsTable) -> list[TaskWork]:
    rows = line.seconds_by_type
    if not table.kinds:
        raise ScenarioError(f"{where}: seconds_by_type needs kinds in [arrivals]: the kind of node of each column")
    if line.after and len(line.after) != len(rows):
        raise ScenarioError(f"{where}: after has {len(line.after)} entries for {len(rows)} tasks")
    found = []
    for index, row in enumerate(rows):
        if len(row) != len(table.kinds):
            raise ScenarioError(f"{where}: task {index} has {len(row)} seconds for {len(table.kinds)} kinds")
        way = Way(
            _known(dict(zip(table.kinds, row, strict=True))), _millicores(table.cpus), _bytes(table.memory, where)
        )
        found.append(TaskWork(f"t{index}", (way,), tuple(line.after[index]) if line.after else ()))
    return found


def _full_tasks(line: PipelineLine, where: str, table: ArrivalsTable) -> list[TaskWork]:
    if not line.tasks:
        raise ScenarioError(f"{where}: needs tasks, or seconds_by_type")
    names = {task.name: index for index, task in enumerate(line.tasks) if task.name}
    found = []
    for index, task in enumerate(line.tasks):
        _check_line(task, f"{where}: task {index}", is_twin=task.name is not None and names[task.name] != index)
        after = []
        for upstream in task.after:
            if isinstance(upstream, str) and upstream not in names:
                raise ScenarioError(f"{where}: task {index}: after names {upstream!r}, which is no task")
            after.append(names[upstream] if isinstance(upstream, str) else upstream)
        options = task.options or [
            OptionLine(
                name=DEFAULT_OPTION,
                cpus=task.cpus,
                memory=task.memory,
                accelerator=task.accelerator,
                accelerators=task.accelerators,
                seconds=task.seconds,
                measured_on=task.measured_on,
            )
        ]
        found.append(
            TaskWork(
                name=task.name or f"t{index}",
                ways=tuple(_way(option, task, table, where) for option in options),
                after=tuple(after),
                output_bytes=task.output_bytes,
                image=task.image,
                image_bytes=task.image_bytes,
                retries=task.retries,
                failure_probability=task.failure_probability,
                hints=_hints(task),
                told_factor=task.told_factor,
                told_spread=task.told_spread,
                component=task.component,
            )
        )
    return found


def _check_line(task: TaskLine, where: str, *, is_twin: bool) -> None:
    if is_twin:
        raise ScenarioError(f"{where}: a later task is named {task.name!r} too")
    if task.options and task.seconds:
        raise ScenarioError(f"{where}: has both seconds and options; give one")
    names = [option.name for option in task.options]
    if len(set(names)) < len(names):
        raise ScenarioError(f"{where}: two of its options have the same name")


def _known(seconds: Mapping[str, float | None]) -> dict[str, float]:
    return {kind: max(value, LEAST_SECONDS) for kind, value in seconds.items() if value is not None}


def _way(option: OptionLine, task: TaskLine, table: ArrivalsTable, where: str) -> Way:
    return Way(
        seconds=_known(option.seconds),
        cpu_millicores=_millicores(option.cpus or task.cpus or table.cpus),
        memory_bytes=_bytes(option.memory or task.memory or table.memory, where),
        accelerator=option.accelerator,
        accelerators=option.accelerators,
        name=option.name,
        measured_on=tuple(option.measured_on),
    )


def _hints(task: TaskLine) -> WorkloadHints | None:
    if task.hints is not None or (task.task_kind is None and task.model is None):
        return task.hints
    model = ModelHints(type=task.model) if task.model is not None else None
    return WorkloadHints(task_kind=task.task_kind, model=model)


def _check(task: TaskWork, where: str, count: int, index: int, kinds: Sequence[str]) -> None:
    if any(not 0 <= upstream < count or upstream == index for upstream in task.after):
        raise ScenarioError(f"{where}: after {list(task.after)} names a task that does not exist, or itself")
    if not {kind for way in task.ways for kind in way.seconds} & set(kinds):
        raise ScenarioError(
            f"{where}: has no seconds for any kind of node in the cluster ({', '.join(sorted(set(kinds)))})"
        )


def _millicores(cpus: float | None) -> int | None:
    return None if cpus is None else max(round(cpus * 1000), 1)


def _bytes(memory: str | None, where: str) -> int | None:
    if memory is None:
        return None
    try:
        return parse_memory(memory)
    except ValueError as error:
        raise ScenarioError(f"{where}: memory: {error}") from None


def pipeline_schema() -> dict[str, Any]:
    """The published JSON Schema of one line."""
    schema = PipelineLine.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "MLOpX simulated pipeline", **schema}


__all__ = ["PipelineLine", "pipeline_schema", "read_pipelines"]
