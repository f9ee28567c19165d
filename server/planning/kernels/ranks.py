"""What orders tasks and looks ahead: topological order, upward and downward ranks, and the optimistic cost table."""

from __future__ import annotations

import numpy as np

from server.planning.kernels.compiling import compiled, inlined, part
from server.planning.kernels.exclusive import seconds_of
from server.planning.kernels.ground import Ground, Lanes
from server.planning.kernels.octets import read_row
from server.planning.kernels.shared import fits
from server.planning.problem import Floats, Ints


@compiled
def topological(first: Ints, source: Ints) -> Ints:
    """Tasks with upstreams first; as they are numbered wherever that is such an order. Shorter than n on a cycle."""
    tasks = len(first) - 1
    order = np.arange(tasks).astype(np.int32)
    is_sorted = True
    for t in range(tasks):
        for e in range(first[t], first[t + 1]):
            is_sorted = is_sorted and source[e] < t
    if is_sorted:
        return order
    start, receivers = by_sender(first, source)
    waits = (first[1:] - first[:-1]).astype(np.int32)
    count = 0
    for t in range(tasks):
        if waits[t] == 0:
            order[count] = t
            count += 1
    at = 0
    while at < count:
        t = order[at]
        at += 1
        for e in range(start[t], start[t + 1]):
            waits[receivers[e]] -= 1
            if waits[receivers[e]] == 0:
                order[count] = receivers[e]
                count += 1
    return order[:count]


@compiled
def by_sender(first: Ints, source: Ints) -> tuple[Ints, Ints]:
    """The same edges by sender: the receivers of task t are `receivers[start[t]:start[t + 1]]`."""
    tasks = len(first) - 1
    start = np.zeros(tasks + 1, np.int32)
    for e in range(len(source)):
        start[source[e] + 1] += 1
    for t in range(tasks):
        start[t + 1] += start[t]
    fill = start.copy()
    receivers = np.zeros(len(source), np.int32)
    for t in range(tasks):
        for e in range(first[t], first[t + 1]):
            receivers[fill[source[e]]] = t
            fill[source[e]] += 1
    return start, receivers


@part
def column_weights(ground: Ground) -> Floats:
    """How many nodes share each column of seconds."""
    weight = np.zeros(ground.seconds.shape[1])
    for j in range(len(ground.column)):
        weight[ground.column[j]] += 1.0
    return weight


@inlined
def mean_seconds(
    seconds: Floats, row: Ints, first_mode: Ints, is_shared: bool, is_plain: bool, task: int, weight: Floats
) -> float:
    """A task's mean run time over the nodes that can run it, of its mode where that is least; 0 if none can."""
    if not is_shared:
        return mean_of_row(seconds[row[task]], is_plain, weight)
    best = np.inf
    for q in range(first_mode[task], first_mode[task + 1]):
        mean = mean_of_row(seconds[row[q]], is_plain, weight)
        if 0 < mean < best:
            best = mean
    return best if best < np.inf else 0.0


@part
def mean_of_row(values: Floats, is_plain: bool, weight: Floats) -> float:
    """The mean of a row of seconds over nodes, infinite ones aside."""
    total, count = 0.0, 0.0
    if is_plain:
        for c in range(len(values)):
            total += values[c]
        if total < np.inf:
            return total / len(values)
        total = 0.0
    for c in range(len(values)):
        if values[c] < np.inf:
            total += weight[c] * values[c]
            count += weight[c]
    return total / count if count > 0 else 0.0


@compiled
def upward(ground: Ground, order: Ints, rank: Floats, lows: Floats) -> Floats:
    """Fill the upward rank (mean seconds to the end of the last dependent, transfers included); returns the means.

    `lows`, where it has any columns, is filled with the least seconds of each row's octets.
    """
    weight = column_weights(ground)
    mean = np.zeros(len(rank))
    latency, mean_rate = ground.latency if ground.kind > 0 else 0.0, ground.mean_rate
    seconds, row, first_mode, is_shared, is_plain = (
        ground.seconds,
        ground.row,
        ground.first_mode,
        ground.is_shared,
        ground.is_plain,
    )
    first, source, size = ground.first, ground.source, ground.bytes
    room = np.zeros(lows.shape[1])
    for t in range(len(rank)):  # forwards: memory is fetched ahead in that direction only
        if lows.shape[1] > 0:
            mean[t] = read_row(seconds[row[t]], lows[row[t]], room) / seconds.shape[1]
        if lows.shape[1] == 0 or mean[t] == np.inf:
            mean[t] = mean_seconds(seconds, row, first_mode, is_shared, is_plain, t, weight)
    rank[:] = 0.0
    for i in range(len(order) - 1, -1, -1):
        t = order[i]
        rank[t] += mean[t]
        for e in range(first[t], first[t + 1]):
            p = source[e]
            rank[p] = max(rank[p], rank[t] + latency + size[e] * mean_rate)
    return mean


@compiled
def downward(ground: Ground, order: Ints, mean: Floats, rank: Floats) -> None:
    """Fill the downward rank: mean seconds from the beginning to the task's own start."""
    latency = ground.latency if ground.kind > 0 else 0.0
    rank[:] = 0.0
    for t in order:
        for e in range(ground.first[t], ground.first[t + 1]):
            p = ground.source[e]
            rank[t] = max(rank[t], rank[p] + mean[p] + latency + ground.bytes[e] * ground.mean_rate)


@compiled
def quickest(ground: Ground, lanes: Lanes, task: int, values: Floats) -> None:
    """[m] seconds of a task's quickest mode on each node; infinite where none fits."""
    if not ground.is_shared:
        values[:] = seconds_of(ground, lanes, ground.row[task])
        return
    values[:] = np.inf
    for q in range(ground.first_mode[task], ground.first_mode[task + 1]):
        row = ground.seconds[ground.row[q]]
        for j in range(len(values)):
            if row[ground.column[j]] < values[j] and fits(ground.capacity[j], ground.demand[q]):
                values[j] = row[ground.column[j]]


@compiled
def optimistic_costs(ground: Ground, lanes: Lanes, order: Ints, table: Floats) -> None:
    """Fill [n, m]: the least seconds from a task's end on a node to the end of all that follows, every dependent where
    that is quickest and nothing ever waiting (Arabnejad and Barbosa, IEEE TPDS 25(3), 2014, equation 3)."""
    nodes = len(ground.opens)
    latency = ground.latency if ground.kind > 0 else 0.0
    values = np.zeros(nodes)
    table[:] = 0.0
    for i in range(len(order) - 1, -1, -1):
        t = order[i]
        quickest(ground, lanes, t, values)
        least = np.inf
        for j in range(nodes):
            values[j] += table[t, j]
            least = min(least, values[j])
        if least == np.inf:
            continue
        for e in range(ground.first[t], ground.first[t + 1]):
            p = ground.source[e]
            away = least + latency + ground.bytes[e] * ground.mean_rate
            for j in range(nodes):
                table[p, j] = max(table[p, j], min(values[j], away))


@compiled
def depths(first: Ints, source: Ints, order: Ints, depth: Ints) -> None:
    """Fill how many edges lead to each task at most."""
    depth[:] = 0
    for t in order:
        for e in range(first[t], first[t + 1]):
            depth[t] = max(depth[t], depth[source[e]] + 1)


@compiled
def highest_below(first: Ints, source: Ints, order: Ints, level: Ints) -> None:
    """Raise each task's level to the highest among its dependents, so that no level waits for a lower one."""
    for i in range(len(order) - 1, -1, -1):
        t = order[i]
        for e in range(first[t], first[t + 1]):
            level[source[e]] = max(level[source[e]], level[t])


__all__ = ["by_sender", "depths", "downward", "highest_below", "optimistic_costs", "quickest", "topological", "upward"]
