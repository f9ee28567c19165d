"""How long the inputs of planned tasks take to arrive, when all transfers of the plan share the nodes' network cards.

The plan is played once with its median run times. A task begins to fetch when its turn has come; each of its transfers
gets an equal part of its sender's and of its receiver's card, the smaller of the two, from event to event. Those that
are under way now are played from when they began, and last until now at least, since they have not arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from server.domain.network import NodeNetwork
from server.domain.placement import TaskRef
from server.planning.remaining import rest_of
from server.planning.steps import Step

MOST_TRANSFERS = 2_000
"""What begins while so many are under way has the network for itself: the forecast is then long and vague anyway."""


@dataclass(slots=True, eq=False)
class _Flow:
    """One transfer. `cap`: bytes per second that it never passes; `rate`: what it has since `touched`."""

    step: Step
    ports: tuple[tuple[str, str], ...]
    left: float
    cap: float
    touched: float
    rate: float = 0.0
    ticket: int = 0


@dataclass(slots=True)
class _Stage:
    """What the play stands on."""

    network: NodeNetwork
    followers: Mapping[TaskRef, Sequence[Step]]
    missing: dict[TaskRef, int]
    through: dict[tuple[str, str], set[_Flow]] = field(default_factory=dict)
    open: dict[TaskRef, int] = field(default_factory=dict)
    began: dict[TaskRef, float] = field(default_factory=dict)
    took: dict[TaskRef, float] = field(default_factory=dict)
    heap: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def at(self, seconds: float, act: Callable[[float], None]) -> None:
        heappush(self.heap, (seconds, next(self.numbers), act))


def fetch_seconds(
    steps: Sequence[Step], before: Mapping[TaskRef, Sequence[TaskRef]], network: NodeNetwork
) -> dict[TaskRef, float]:
    """Of the steps that have something to fetch: how long that takes, from when each begins to.

    `before`: what must end before each step. Steps that run have everything.
    """
    if not any(step.moves for step in steps if not step.is_running):
        return {}
    known = {step.key for step in steps}
    followers: dict[TaskRef, list[Step]] = {}
    missing: dict[TaskRef, int] = {}
    for step in steps:
        waits = [key for key in before[step.key] if key in known]
        missing[step.key] = len(waits)
        for key in waits:
            followers.setdefault(key, []).append(step)
    stage = _Stage(network, followers, missing)
    for step in steps:
        if step.is_running:
            stage.at(rest_of(step.start + step.p50, -step.start, step.spread), _ending(stage, step))
        elif not missing[step.key]:
            stage.at(min(step.fetches_since or 0.0, 0.0), _beginning(stage, step))
    while stage.heap:
        seconds, _, act = heappop(stage.heap)
        act(seconds)
    return stage.took


def _beginning(stage: _Stage, step: Step) -> Callable[[float], None]:
    """The step's turn comes: its transfers begin."""

    def act(now: float) -> None:
        moves = [move for move in step.moves if move.source != step.node]
        if not moves:
            stage.at(now + step.begins_p50 + step.p50, _ending(stage, step))
            return
        stage.began[step.key], stage.open[step.key] = now, len(moves)
        stage.at(now + stage.network.latency_seconds, lambda at: _enter(stage, step, at))

    return act


def _enter(stage: _Stage, step: Step, now: float) -> None:
    network = stage.network
    touched: set[tuple[str, str]] = set()
    for move in step.moves:
        if move.source == step.node:
            continue
        own = network.link(move.source, step.node) if move.source else network.rate(step.node)
        cap = min(own, move.bytes_per_second)
        ports = (("down", step.node), ("up", move.source)) if move.source else (("down", step.node),)
        is_crowded = sum(len(stage.through.get(port, ())) for port in ports) > MOST_TRANSFERS
        flow = _Flow(step, ports if network.is_shared and not is_crowded else (), move.size_bytes, cap, now)
        for port in flow.ports:
            stage.through.setdefault(port, set()).add(flow)
        touched.update(flow.ports)
        if not flow.ports:
            _pace(stage, flow, now)
    _share(stage, touched, now)


def _share(stage: _Stage, ports: set[tuple[str, str]], now: float) -> None:
    """Set the rates of all that goes through these cards anew."""
    for flow in sorted({flow for port in ports for flow in stage.through[port]}, key=lambda one: one.ticket):
        _pace(stage, flow, now)


def _pace(stage: _Stage, flow: _Flow, now: float) -> None:
    flow.left -= flow.rate * (now - flow.touched)
    flow.touched = now
    shares = [stage.network.rate(node) / len(stage.through[direction, node]) for direction, node in flow.ports]
    flow.rate = min([flow.cap, *shares])
    flow.ticket = ticket = next(stage.numbers)
    ends = now + max(flow.left, 0.0) / flow.rate
    stage.at(max(ends, 0.0), lambda at: _arrive(stage, flow, ticket, at))


def _arrive(stage: _Stage, flow: _Flow, ticket: int, now: float) -> None:
    if flow.ticket != ticket:
        return
    key = flow.step.key
    flow.ticket = -1
    for port in flow.ports:
        stage.through[port].discard(flow)
    _share(stage, set(flow.ports), now)
    stage.open[key] -= 1
    if not stage.open[key]:
        stage.took[key] = now - stage.began[key]
        stage.at(now + flow.step.begins_p50 + flow.step.p50, _ending(stage, flow.step))


def _ending(stage: _Stage, step: Step) -> Callable[[float], None]:
    """The step ends: what waits only for it begins."""

    def act(now: float) -> None:
        for follower in stage.followers.get(step.key, ()):
            stage.missing[follower.key] -= 1
            if not stage.missing[follower.key] and not follower.is_running:
                stage.at(now, _beginning(stage, follower))

    return act


__all__ = ["fetch_seconds"]
