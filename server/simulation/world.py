"""The executor: what really happens to a task after it was bound. The server only hears of it through events.

A bound attempt is queued, its image is pulled and its inputs are fetched, then it runs for its true seconds (more
where it shares the node with others, and other tasks slow it down), and it succeeds, fails, or is lost with its node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server.domain import events as happened
from server.domain.run import Artifact, Output, Run, TaskError, TaskKey
from server.simulation.agenda import Agenda
from server.simulation.chance import chance, lognormal
from server.simulation.ledger import Ledger
from server.simulation.machines import Going, Machine
from server.simulation.transfers import Transfers, Wires
from server.simulation.work import OUTPUT, Work


@dataclass(frozen=True, slots=True)
class Nature:
    """How the simulated world behaves.

    Attributes:
        noise_sigma: spread of run times from attempt to attempt (log-normal), which nobody can foretell.
        bind_seconds: from the decision until the platform has the attempt queued.
        start_seconds: what every attempt takes to start once its inputs are there (a container, a process).
        pull_bytes_per_second: how fast a node pulls an image; infinite where images cost nothing.
        slowdown: by how much of its speed each other running task on the node slows a task down.
        failure_probability: of an attempt, where the pipeline does not say.
        loss_mean_seconds, repair_mean_seconds: mean time between two losses of one node, and until it is back.
    """

    wires: Wires = field(default_factory=Wires)
    noise_sigma: float = 0.0
    bind_seconds: float = 0.0
    start_seconds: float = 0.0
    pull_bytes_per_second: float = math.inf
    slowdown: float = 0.0
    failure_probability: float = 0.0
    loss_mean_seconds: float = math.inf
    repair_mean_seconds: float = 600.0


class World:
    """All machines and what goes on there. `on_nodes_change` is called when one comes or goes, `on_end` when an
    attempt has left its machine."""

    def __init__(
        self, *, agenda: Agenda, ledger: Ledger, machines: Sequence[Machine], nature: Nature, seed: int
    ) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self._agenda, self._ledger, self._nature, self._seed = agenda, ledger, nature, seed
        self._transfers = Transfers(agenda, nature.wires)
        self._is_plain = not nature.noise_sigma and not nature.failure_probability
        self.on_nodes_change: Callable[[], None] = lambda: None
        self.on_end: Callable[[Going], None] = lambda going: None

    def begin(self) -> None:
        """Let nodes arrive, and line up the first losses."""
        for machine in self.machines.values():
            if machine.joins_at > 0:
                machine.is_there = False
                self._agenda.at(machine.joins_at, lambda machine=machine: self._join(machine))  # type: ignore[misc]
            if math.isfinite(self._nature.loss_mean_seconds):
                self._expect_loss(machine, 0)

    def bind(self, run: Run, work: Work, key: TaskKey, number: int, node: str, option: str | None) -> None:
        """Take an attempt. It is told queued, started and ended; lost at once if the node is down."""
        machine, task = self.machines[node], work.tasks[key.path]
        going = Going(run.id, key, number, machine, task, task.way(option))
        machine.going[going] = None
        if self._nature.bind_seconds:
            self._agenda.after(self._nature.bind_seconds, self._unless_outdated(going, lambda: self._queued(going)))
        else:
            self._queued(going)

    def lose(self, name: str, back_after: float | None) -> None:
        """A node goes down with everything on it; it comes back after so many seconds, or never."""
        machine = self.machines[name]
        if not machine.is_up:
            return
        machine.is_up = False
        machine.images.clear()
        for going in list(machine.going):
            self._leave(going)
            self._ledger.apply(
                going.run_id,
                happened.TaskLost(
                    at=self._agenda.now, key=going.key, attempt=going.number, reason=f"node {name} is gone"
                ),
            )
            self.on_end(going)
        self.on_nodes_change()
        if back_after is not None:
            self._agenda.after(back_after, lambda: self._return(machine))

    def _join(self, machine: Machine) -> None:
        machine.is_there = True
        self.on_nodes_change()

    def _return(self, machine: Machine) -> None:
        machine.is_up = True
        self.on_nodes_change()

    def _expect_loss(self, machine: Machine, number: int) -> None:
        luck = chance(self._seed, "loss", machine.name, number)
        after = luck.expovariate(1 / self._nature.loss_mean_seconds)
        repair = luck.expovariate(1 / self._nature.repair_mean_seconds)

        def lose() -> None:
            self.lose(machine.name, repair)
            self._agenda.after(repair, lambda: self._expect_loss(machine, number + 1))

        self._agenda.after(after, lose)

    def _unless_outdated(self, going: Going, act: Callable[[], None]) -> Callable[[], None]:
        ticket = going.ticket

        def acting() -> None:
            if going.ticket == ticket:
                act()

        return acting

    def _queued(self, going: Going) -> None:
        run = self._ledger.apply(
            going.run_id,
            happened.TaskQueued(at=self._agenda.now, key=going.key, attempt=going.number, node=going.machine.name),
        )
        if run is None:
            self._leave(going)
            return
        pull = self._pull_seconds(going)
        fetch = self._unless_outdated(going, lambda: self._fetch(going))
        if pull:
            self._agenda.after(pull, fetch)
        else:
            fetch()

    def _pull_seconds(self, going: Going) -> float:
        task, images = going.task, going.machine.images
        if task.image is None or task.image in images:
            return 0.0
        images.add(task.image)
        return task.image_bytes / self._nature.pull_bytes_per_second

    def _fetch(self, going: Going) -> None:
        begin = self._unless_outdated(going, lambda: self._prepare(going))
        if self._nature.wires.sharing == "free":
            begin()
            return
        run = self._ledger.runs[going.run_id]
        self._transfers.fetch(going.machine.name, _inputs(run, going.key), begin)

    def _prepare(self, going: Going) -> None:
        if self._nature.start_seconds:
            self._agenda.after(self._nature.start_seconds, self._unless_outdated(going, lambda: self._start(going)))
        else:
            self._start(going)

    def _start(self, going: Going) -> None:
        going.left_seconds = going.way.seconds[going.machine.kind]
        if not self._is_plain or going.task.failure_probability:
            self._draw(going)
        going.is_running, going.touched = True, self._agenda.seconds
        self._ledger.apply(
            going.run_id,
            happened.TaskStarted(at=self._agenda.now, key=going.key, attempt=going.number, node=going.machine.name),
        )
        if self._nature.slowdown:
            self._slow_down(going.machine)
        else:
            self._agenda.after(going.left_seconds, self._unless_outdated(going, lambda: self._end(going)))

    def _draw(self, going: Going) -> None:
        """This attempt's luck: how long it takes, and whether and when it fails."""
        what = (going.run_id, going.key, going.number)
        going.left_seconds *= lognormal(self._nature.noise_sigma, self._seed, "noise", *what)
        probability = going.task.failure_probability
        probability = self._nature.failure_probability if probability is None else probability
        if probability:
            luck = chance(self._seed, "failure", *what)
            going.fails = luck.random() < probability
            if going.fails:
                going.left_seconds *= luck.random()

    def _slow_down(self, machine: Machine) -> None:
        """The number of running tasks changed: count what was done, and expect the ends at the new speed."""
        running, now = machine.running(), self._agenda.seconds
        before = 1 + self._nature.slowdown * max(machine.neighbours, 0)
        after = 1 + self._nature.slowdown * (len(running) - 1)
        machine.neighbours = len(running) - 1
        for going in running:
            going.left_seconds -= (now - going.touched) / before
            going.touched = now
            going.ticket += 1
            left = max(going.left_seconds, 0.0) * after
            self._agenda.after(left, self._unless_outdated(going, lambda going=going: self._end(going)))  # type: ignore[misc]

    def _end(self, going: Going) -> None:
        at, key, number = self._agenda.now, going.key, going.number
        self._leave(going)
        event: happened.Event
        if going.fails:
            event = happened.TaskFailed(at=at, key=key, attempt=number, error=TaskError("user-code", "it failed"))
        else:
            event = happened.TaskSucceeded(at=at, key=key, attempt=number, outputs=_outputs(going))
        self._ledger.apply(going.run_id, event)
        self.on_end(going)

    def _leave(self, going: Going) -> None:
        going.ticket += 1
        was_running, going.is_running = going.is_running, False
        going.machine.going.pop(going, None)
        if was_running and self._nature.slowdown:
            self._slow_down(going.machine)


def _outputs(going: Going) -> dict[str, Output]:
    size = going.task.output_bytes
    if not size:
        return {}
    return {OUTPUT: Output(artifact=Artifact(f"simulated://{going.run_id}/{going.key}", size_bytes=int(size)))}


def _inputs(run: Run, key: TaskKey) -> list[tuple[str, float]]:
    """Where the task's inputs lie, and how big they are."""
    found = []
    for path in run.graph.waits_for[key.path]:
        task = run.tasks[TaskKey(path)]
        size = sum(output.artifact.size_bytes or 0 for output in task.outputs.values() if output.artifact)
        if task.current.actual_node and size:
            found.append((task.current.actual_node, float(size)))
    return found


__all__ = ["Nature", "World"]
