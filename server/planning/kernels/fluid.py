"""Replays a plan on a network whose cards are shared fairly: the event loop of `server.planning.prediction`.

Rates are max-min fair (progressive filling: Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): all transfers
grow together until a card is full; those on it are settled, the others go on. Cards are numbered 0 to m - 1 for sending
and m to 2m - 1 for receiving.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from server.planning.kernels.compiling import compiled, inlined, part
from server.planning.problem import Floats, Ints

ENDS, TIMER, FLOWS = range(3)
"""Kinds of events: a task ends, a time after which a node is looked at again, a transfer begins to flow."""


class Replayed(NamedTuple):
    """What does not change: tasks with their `node`, `seconds`, `demand` and `release`, in planned order per node
    (`first_on[j]` up to `first_on[j + 1]` of `on_node`); transfers with `sender` and `receiver` node, `size` in bytes,
    most bytes per second (`cap`) and the task they are for; the transfers that a task starts (`first_out`, `out`; the
    row after the last task holds those that start at once); `card` [2m] bytes per second."""

    node: Ints
    seconds: Floats
    demand: Floats
    release: Floats
    capacity: Floats
    opens: Floats
    first_on: Ints
    on_node: Ints
    sender: Ints
    receiver: Ints
    size: Floats
    cap: Floats
    target: Ints
    first_out: Ints
    out: Ints
    card: Floats
    latency: float


class Moving(NamedTuple):
    """What changes: `missing` transfers of each task; what is `free` on each node; `start` and `finish` of tasks; how
    far each node has `begun` its row of tasks; per transfer what is `left` and its `rate`; the `active` ones; `chain`s
    of those on each card, its `room` and `users`; the heap of events (`when`, `kind`, `what`), `pending` of them."""

    missing: Ints
    free: Floats
    start: Floats
    finish: Floats
    begun: Ints
    left: Floats
    rate: Floats
    active: Ints
    chain: Ints
    room: Floats
    users: Ints
    when: Floats
    kind: Ints
    what: Ints
    pending: Ints


@part
def push(state: Moving, when: float, kind: int, what: int) -> None:
    """Add an event."""
    at = state.pending[0]
    state.pending[0] += 1
    while at > 0:
        above = (at - 1) // 2
        if state.when[above] <= when:
            break
        state.when[at], state.kind[at], state.what[at] = state.when[above], state.kind[above], state.what[above]
        at = above
    state.when[at], state.kind[at], state.what[at] = when, kind, what


@part
def pop(state: Moving) -> None:
    """Remove the first event."""
    state.pending[0] -= 1
    last = state.pending[0]
    when, kind, what = state.when[last], state.kind[last], state.what[last]
    at = 0
    while 2 * at + 1 < last:
        below = 2 * at + 1
        if below + 1 < last and state.when[below + 1] < state.when[below]:
            below += 1
        if state.when[below] >= when:
            break
        state.when[at], state.kind[at], state.what[at] = state.when[below], state.kind[below], state.what[below]
        at = below
    state.when[at], state.kind[at], state.what[at] = when, kind, what


@part
def fill(ground: Replayed, state: Moving, flowing: int) -> None:
    """Give each of the `flowing` active transfers its max-min fair rate."""
    cards = len(ground.card)
    senders = cards // 2
    state.users[:] = 0
    state.chain[:cards] = -1
    for a in range(flowing):
        flow = state.active[a]
        state.rate[flow] = -1.0
        for side in range(2):
            card = ground.sender[flow] if side == 0 else senders + ground.receiver[flow]
            state.users[card] += 1
            link = cards + 2 * flow + side
            state.chain[link] = state.chain[card]
            state.chain[card] = link
    state.room[:] = ground.card
    open_count = flowing
    while open_count > 0:
        share, tight = np.inf, -1
        for card in range(cards):
            if state.users[card] > 0 and state.room[card] / state.users[card] < share:
                share, tight = state.room[card] / state.users[card], card
        settled = settle_capped(ground, state, flowing, share) if ground.cap[0] < np.inf else 0
        if settled == 0:
            settled = settle_card(ground, state, tight, share)
        open_count -= settled


@inlined
def settle(ground: Replayed, state: Moving, flow: int, rate: float) -> None:
    """A transfer gets its rate, and takes it from its cards."""
    state.rate[flow] = rate
    up, down = ground.sender[flow], len(ground.card) // 2 + ground.receiver[flow]
    state.room[up] = max(0.0, state.room[up] - rate)
    state.room[down] = max(0.0, state.room[down] - rate)
    state.users[up] -= 1
    state.users[down] -= 1


@part
def settle_capped(ground: Replayed, state: Moving, flowing: int, share: float) -> int:
    """Settle the transfers whose own link is slower than any share."""
    found = 0
    for a in range(flowing):
        flow = state.active[a]
        if state.rate[flow] < 0.0 and ground.cap[flow] <= share:
            settle(ground, state, flow, ground.cap[flow])
            found += 1
    return found


@part
def settle_card(ground: Replayed, state: Moving, card: int, share: float) -> int:
    """Settle the transfers of the card that is full first."""
    cards, found = len(ground.card), 0
    link = state.chain[card]
    while link >= 0:
        flow = (link - cards) // 2
        if state.rate[flow] < 0.0:
            settle(ground, state, flow, share)
            found += 1
        link = state.chain[link]
    return found


@part
def begin_tasks(ground: Replayed, state: Moving, node: int, now: float) -> None:
    """Start what can start on a node: tasks in planned order, none that would take room from an earlier one."""
    if now < ground.opens[node]:
        return
    resources = ground.capacity.shape[1]
    reserved = np.zeros(resources)
    is_head = True
    for place in range(state.begun[node], ground.first_on[node + 1]):
        task = ground.on_node[place]
        if state.start[task] < np.inf:
            if is_head:
                state.begun[node] = place + 1
            continue
        fits, is_full = True, True
        for r in range(resources):
            reserved[r] += ground.demand[task, r]
            over = reserved[r] > state.free[node, r] * (1.0 + 1e-9) + 1e-12 * ground.capacity[node, r]
            if over and ground.demand[task, r] > 0.0:
                fits = False
            if reserved[r] < state.free[node, r]:
                is_full = False
        if fits and state.missing[task] == 0 and ground.release[task] <= now:
            state.start[task] = now
            state.finish[task] = now + ground.seconds[task]
            for r in range(resources):
                reserved[r] -= ground.demand[task, r]
                state.free[node, r] -= ground.demand[task, r]
            push(state, state.finish[task], ENDS, task)
            if is_head:
                state.begun[node] = place + 1
            continue
        is_head = False
        if is_full:
            return


@part
def send(ground: Replayed, state: Moving, source: int, now: float) -> None:
    """Start the transfers that a task's end starts; those within a node are there at once."""
    for k in range(ground.first_out[source], ground.first_out[source + 1]):
        flow = ground.out[k]
        if ground.sender[flow] == ground.receiver[flow]:
            state.missing[ground.target[flow]] -= 1
        else:
            push(state, now + ground.latency, FLOWS, flow)


@part
def give_back(state: Moving, node: int, demand: Floats) -> None:
    """What was in use on a node is free."""
    for r in range(len(demand)):
        state.free[node, r] += demand[r]


@part
def end_task(ground: Replayed, state: Moving, task: int, now: float) -> None:
    """A task ended: its transfers start, and others may begin."""
    node = ground.node[task]
    give_back(state, node, ground.demand[task])
    send(ground, state, task, now)
    for k in range(ground.first_out[task], ground.first_out[task + 1]):
        flow = ground.out[k]
        if ground.sender[flow] == ground.receiver[flow] and ground.receiver[flow] != node:
            begin_tasks(ground, state, ground.receiver[flow], now)
    begin_tasks(ground, state, node, now)


@compiled
def replay(ground: Replayed, state: Moving, held_node: Ints, held_demand: Floats, held_until: Floats) -> int:
    """Run the plan to its end; returns how many events that took."""
    nodes, tasks = len(ground.opens), len(ground.node)
    prepare(ground, state, held_node, held_demand, held_until)
    send(ground, state, tasks, 0.0)
    now, flowing, events = 0.0, 0, 0
    for node in range(nodes):
        begin_tasks(ground, state, node, now)
    while state.pending[0] > 0 or flowing > 0:
        events += 1
        until = state.when[0] if state.pending[0] > 0 else np.inf
        for a in range(flowing):
            flow = state.active[a]
            until = min(until, now + state.left[flow] / state.rate[flow])
        before = flowing
        flowing = flow_on(ground, state, flowing, now, until)
        is_changed, now = flowing != before, until
        while state.pending[0] > 0 and state.when[0] <= now:
            kind, what = state.kind[0], state.what[0]
            pop(state)
            if kind == FLOWS:
                state.active[flowing] = what
                flowing += 1
                is_changed = True
            elif kind == ENDS:
                end_task(ground, state, what, now)
            else:
                if what >= nodes:
                    give_back(state, held_node[what - nodes], held_demand[what - nodes])
                begin_tasks(ground, state, held_node[what - nodes] if what >= nodes else what, now)
        if is_changed:
            fill(ground, state, flowing)
    return events


@part
def prepare(ground: Replayed, state: Moving, held_node: Ints, held_demand: Floats, held_until: Floats) -> None:
    """Everything at second 0: what is held, and the timers."""
    nodes = len(ground.opens)
    for k in range(len(held_node)):
        for r in range(ground.capacity.shape[1]):
            state.free[held_node[k], r] -= held_demand[k, r]
        if held_until[k] < np.inf:
            push(state, held_until[k], TIMER, nodes + k)
    for node in range(nodes):
        if 0.0 < ground.opens[node] < np.inf:
            push(state, ground.opens[node], TIMER, node)
    for task in range(len(ground.node)):
        if ground.node[task] >= 0 and 0.0 < ground.release[task] < np.inf:
            push(state, ground.release[task], TIMER, ground.node[task])


@part
def flow_on(ground: Replayed, state: Moving, flowing: int, now: float, until: float) -> int:
    """Let the transfers flow; those that are through are taken off, and their tasks may start."""
    span, kept = until - now, 0
    for a in range(flowing):
        flow = state.active[a]
        left = state.left[flow] - state.rate[flow] * span
        if left <= 1e-12 * ground.size[flow] or now + state.left[flow] / state.rate[flow] <= until:
            state.missing[ground.target[flow]] -= 1
            state.left[flow] = 0.0
            begin_tasks(ground, state, ground.node[ground.target[flow]], until)
        else:
            state.left[flow] = left
            state.active[kept] = flow
            kept += 1
    return kept


__all__ = ["Moving", "Replayed", "replay"]
