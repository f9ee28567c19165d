"""From a scenario file to cases that can be simulated: one for each server that it compares, and each seed."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlopx.spec import parse_memory
from server.domain.node import ARCHITECTURE_LABEL, HOSTNAME_LABEL, Node
from server.domain.resources import Resources
from server.domain.toml_text import parse_toml
from server.simulation.engine import Case, Loss
from server.simulation.machines import Machine
from server.simulation.pipeline_lines import read_pipelines
from server.simulation.problems import ScenarioError, sentence
from server.simulation.rules import Rules
from server.simulation.scenario import NodeTable, Scenario, ServerTable
from server.simulation.told import Telling
from server.simulation.transfers import Wires
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Work, make_work
from server.simulation.workloads import generate
from server.simulation.world import Nature

MOST_SECONDS_IN_ALL = 1e11
"""Three thousand years: what all pipelines may take one after another, so that no time leaves the calendar."""

SHIPPED = Path(__file__).parent / "scenarios"
"""The scenarios that come with the server."""


def shipped_names() -> list[str]:
    """Names of the shipped scenarios."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find_scenario(name: str) -> Path:
    """A file, or a shipped scenario by its name. Raises ScenarioError."""
    path = Path(name)
    if path.is_file():
        return path
    if name in shipped_names():
        return SHIPPED / f"{name}.toml"
    raise ScenarioError(f"there is no scenario {name!r}", hint=f"a TOML file, or one of: {', '.join(shipped_names())}")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises ScenarioError naming the file and the key."""
    try:
        return Scenario.model_validate(parse_toml(path.read_bytes()))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ScenarioError(f"{path}: {sentence(error)}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: {error}") from None


class CaseMaker:
    """Makes the cases of one scenario; pipelines are read or drawn once per seed."""

    def __init__(self, path: Path, scenario: Scenario) -> None:
        self.path, self.scenario = path, scenario
        tables = [*scenario.cluster.node, *self._csv_tables()]
        self._nodes = [machine for table in tables for machine in _machines(table, str(path))]
        names = [node.name for node, _, _ in self._nodes]
        if not names:
            raise ScenarioError(f"{path}: cluster: has no node")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ScenarioError(f"{path}: cluster: two nodes are named {twice}: give name or another kind")
        unknown = [loss.node for loss in scenario.loss if loss.node not in names]
        if unknown:
            raise ScenarioError(f"{path}: loss: there is no node {unknown[0]!r}")
        self._arrivals: dict[int, list[Arrival]] = {}

    def machines(self) -> list[Machine]:
        """Fresh machines."""
        return [Machine(node, kind, joins_at) for node, kind, joins_at in self._nodes]

    def case(self, server: ServerTable, seed: int) -> Case:
        """The case of one server and seed. Raises ScenarioError."""
        world, told = self.scenario.world, self.scenario.estimates
        arrivals = self._arrivals_of(seed)
        return Case(
            machines=self.machines,
            arrivals=arrivals if server.accelerators else _without_accelerators(arrivals, self._kinds()),
            rules=_rules(server),
            nature=Nature(
                wires=self._wires(),
                noise_sigma=world.noise_sigma,
                bind_seconds=world.bind_seconds,
                start_seconds=world.start_seconds,
                pull_bytes_per_second=world.pull_bytes_per_second or math.inf,
                slowdown=world.slowdown,
                failure_probability=world.failure_probability,
                loss_mean_seconds=world.loss_mean_seconds or math.inf,
                repair_mean_seconds=world.repair_mean_seconds,
            ),
            telling=Telling(told.error_sigma, told.error_of, told.spread, self.scenario.network.told),
            losses=[Loss(loss.node, loss.at, loss.back_after) for loss in self.scenario.loss],
            seed=seed,
        )

    def _wires(self) -> Wires:
        table = self.scenario.network
        zones = table.zones.zones() if table.zones is not None else None
        wires = Wires(table.sharing, table.bytes_per_second, table.latency_seconds, zones)
        return wires.among(node for node, _, _ in self._nodes)

    def notes(self) -> list[str]:
        """What may be a slip: run times that the pipelines read so far give for kinds of node that are not there."""
        arrivals = [arrival for found in self._arrivals.values() for arrival in found]
        works = {id(arrival.work): arrival.work for arrival in arrivals}.values()
        given = {kind for work in works for task in work.tasks.values() for way in task.ways for kind in way.seconds}
        absent = sorted(given - set(self._kinds()))
        return [f"there are run times for kinds that no node of the cluster is: {', '.join(absent)}"] if absent else []

    def _kinds(self) -> list[str]:
        return [kind for _, kind, _ in self._nodes]

    def _arrivals_of(self, seed: int) -> list[Arrival]:
        if seed not in self._arrivals:
            table, generator = self.scenario.arrivals, self.scenario.generator
            if table is not None:
                found = self._arrivals.get(-1) or read_pipelines(self.path.parent / table.file, table, self._kinds())
                self._arrivals[-1] = found
            else:
                assert generator is not None
                found = generate(generator, self.machines(), seed)
            self._check(found)
            self._arrivals[seed] = found
        return self._arrivals[seed]

    def _check(self, arrivals: Sequence[Arrival]) -> None:
        """Every task must fit on some node, or the simulation could never end, and no time may leave the calendar."""
        total = max((one.seconds for one in arrivals), default=0.0) + sum(_longest(one.work) for one in arrivals)
        if total > MOST_SECONDS_IN_ALL:
            raise ScenarioError(
                f"{self.path}: all tasks one after another take {total:.2g} seconds: too long to simulate",
                hint=f"{MOST_SECONDS_IN_ALL:.0e} seconds are the most: is some figure far too large?",
            )
        for work in {id(arrival.work): arrival.work for arrival in arrivals}.values():
            for task in work.tasks.values():
                if not any(_fits(task, node, kind) for node, kind, _ in self._nodes):
                    raise ScenarioError(
                        f"{self.path}: task {task.name} of pipeline {work.name} fits on no node of the cluster",
                        hint="it asks for more CPUs, memory or accelerators than any node of a kind it knows has",
                    )

    def _csv_tables(self) -> list[NodeTable]:
        name = self.scenario.cluster.csv
        if name is None:
            return []
        path = self.path.parent / name
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [_row(path, number, row) for number, row in enumerate(csv.DictReader(file), 2)]
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{path}: cannot be read: {error}") from None


def _row(path: Path, number: int, row: dict[str, Any]) -> NodeTable:
    try:
        return NodeTable.model_validate({key: value for key, value in row.items() if value not in ("", None)})
    except ValidationError as error:
        raise ScenarioError(f"{path}:{number}: {sentence(error)}") from None


def _machines(table: NodeTable, where: str) -> list[tuple[Node, str, float]]:
    try:
        memory = parse_memory(table.memory)
    except ValueError as error:
        raise ScenarioError(f"{where}: cluster.node {table.kind}: memory: {error}") from None
    base = table.name or table.kind
    names = [base] if table.count == 1 else [f"{base}-{index}" for index in range(1, table.count + 1)]
    allocatable = Resources.of(
        cpu_millicores=round(table.cpus * 1000),
        memory_bytes=memory,
        accelerators=_devices(table, where),
        pods=table.pods,
    )
    return [(_node(table, name, allocatable), table.kind, table.joins_at) for name in names]


def _devices(table: NodeTable, where: str) -> dict[str, int] | None:
    found = table.accelerators
    if isinstance(found, dict):
        if table.accelerator is not None:
            raise ScenarioError(
                f"{where}: cluster.node {table.kind}: accelerator and a table of accelerators: give one of them"
            )
        return found
    if table.accelerator is None and found:
        raise ScenarioError(
            f"{where}: cluster.node {table.kind}: accelerators = {found}, but of which kind?",
            hint='give accelerator = "nvidia.com/gpu", for instance',
        )
    return {table.accelerator: found} if table.accelerator else None


def _node(table: NodeTable, name: str, allocatable: Resources) -> Node:
    return Node(
        name=name,
        allocatable=allocatable,
        labels={
            HOSTNAME_LABEL: name,
            ARCHITECTURE_LABEL: table.architecture,
            KIND_LABEL: table.kind,
            **table.labels,
        },
        speed=table.speed,
        price_per_hour=table.price_per_hour,
    )


def _longest(work: Work) -> float:
    return sum(max(seconds for way in task.ways for seconds in way.seconds.values()) for task in work.tasks.values())


def _fits(task: TaskWork, node: Node, kind: str) -> bool:
    return any(kind in way.seconds and way.amounts().fits_in(node.allocatable) for way in task.ways)


def _rules(server: ServerTable) -> Rules:
    return Rules(**server.model_dump(exclude={"name", "accelerators"}))


def _without_accelerators(arrivals: Sequence[Arrival], kinds: Sequence[str]) -> list[Arrival]:
    """The same pipelines by somebody who has no way to ask for an accelerator."""
    known: dict[int, Any] = {}
    found = []
    for arrival in arrivals:
        work = arrival.work
        if id(work) not in known:
            order = list(work.tasks)
            tasks = []
            for path in order:
                task = work.tasks[path]
                plain = tuple(way for way in task.ways if way.accelerator is None)
                if not plain:
                    raise ScenarioError(f"task {path} of pipeline {work.name} cannot run without its accelerator")
                after = tuple(order.index(one) for one in work.graph.waits_for[path])
                tasks.append(replace(task, ways=plain, after=after))
            known[id(work)] = make_work(work.name, tasks, kinds=kinds)
        found.append(replace(arrival, work=known[id(work)]))
    return found


__all__ = ["CaseMaker", "find_scenario", "read_scenario", "shipped_names"]
