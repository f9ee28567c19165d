"""When a task's data can be on each node."""

from __future__ import annotations

from server.planning.kernels.compiling import inlined, part
from server.planning.kernels.ground import Ground, Lanes, Plan
from server.planning.problem import Floats


@inlined
def seconds_between(ground: Ground, sender: int, receiver: int, size: float) -> float:
    """What a transfer costs alone; 0 on one node."""
    if sender == receiver or ground.kind == 0:
        return 0.0
    if ground.kind == 1:
        return ground.latency + size * ground.rate[0, 0]
    if ground.kind == 2:
        return ground.latency + size * ground.rate[sender, receiver]
    return ground.latency + size * max(ground.rate[0, sender], ground.rate[0, receiver])


@inlined
def raise_arrival(
    kind: int, rate: Floats, latency: float, sender: int, since: float, size: float, arrival: Floats
) -> None:
    """Raise each node's arrival time to that of data that lies on `sender` from `since` on."""
    if sender < 0:
        arrival[:] = since
        return
    own = max(arrival[sender], since)
    late = since + latency
    if kind == 2:
        row = rate[sender]
        for j in range(len(arrival)):
            arrival[j] = max(arrival[j], late + size * row[j])
    elif kind == 3:
        card, cards = rate[0, sender], rate[0]
        for j in range(len(arrival)):
            arrival[j] = max(arrival[j], late + size * max(card, cards[j]))
    else:
        late = since + latency * kind + size * rate[0, 0]
        for j in range(len(arrival)):
            arrival[j] = max(arrival[j], late)
    arrival[sender] = own


@part
def arrivals(ground: Ground, lanes: Lanes, plan: Plan, task: int) -> None:
    """Fill `lanes.arrival`: when the task is released and all it needs is there, for every node."""
    arrival = lanes.arrival
    if ground.is_one_port:
        for j in range(len(arrival)):
            arrival[j] = through_ports(ground, lanes, plan, task, j, False)
        return
    kind, rate, latency = ground.kind, ground.rate, ground.latency
    source, size, input_node, input_size = ground.source, ground.bytes, ground.input_node, ground.input_bytes
    node, finish = plan.node, plan.finish
    arrival[:] = ground.release[task]
    for e in range(ground.first[task], ground.first[task + 1]):
        raise_arrival(kind, rate, latency, node[source[e]], finish[source[e]], size[e], arrival)
    for e in range(ground.input_first[task], ground.input_first[task + 1]):
        raise_arrival(kind, rate, latency, input_node[e], 0.0, input_size[e], arrival)


@part
def through_ports(ground: Ground, lanes: Lanes, plan: Plan, task: int, receiver: int, is_final: bool) -> float:
    """When all data of a task is on a node if every transfer takes its sender's uplink and the receiver's downlink
    alone, after all transfers that are planned already; the earliest output first. `is_final` takes the links."""
    there = ground.release[task]
    down = lanes.down[receiver]
    for e in range(ground.input_first[task], ground.input_first[task + 1]):
        sender = ground.input_node[e]
        if sender != receiver:
            down = max(down, lanes.up[sender]) + seconds_between(ground, sender, receiver, ground.input_bytes[e])
            there = max(there, down)
            if is_final:
                lanes.up[sender] = down
    begin, end = ground.first[task], ground.first[task + 1]
    done_at, done = -1.0, -1
    for _ in range(begin, end):
        e = next_upstream(ground, plan, begin, end, done_at, done)
        sender, finish = plan.node[ground.source[e]], plan.finish[ground.source[e]]
        done_at, done = finish, e
        if sender == receiver or sender < 0:
            there = max(there, finish)
            continue
        down = max(finish, max(down, lanes.up[sender])) + seconds_between(ground, sender, receiver, ground.bytes[e])
        there = max(there, down)
        if is_final:
            lanes.up[sender] = down
    if is_final:
        lanes.down[receiver] = down
    return there


@part
def next_upstream(ground: Ground, plan: Plan, begin: int, end: int, done_at: float, done: int) -> int:
    """The edge whose upstream ends next after (`done_at`, edge `done`); ties go by position."""
    best, best_at = -1, 0.0
    for e in range(begin, end):
        at = plan.finish[ground.source[e]]
        if (at > done_at or (at == done_at and e > done)) and (best < 0 or at < best_at):
            best, best_at = e, at
    return best


__all__ = ["arrivals", "next_upstream", "raise_arrival", "seconds_between", "through_ports"]
