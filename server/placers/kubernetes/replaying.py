"""Replays recorded events through the strategy's own filters and scores, and says where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from server.placers.kubernetes.nodes import Amounts, Machines
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.reading import MalformedError
from server.placers.kubernetes.recorded import Created, Recording
from server.placers.kubernetes.scheduling import WEIGHTS, Decision, Question, most_looked_at


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs: `what` is feasible, score, final or choice; `node` and `plugin` where they matter."""

    what: str
    recorded: object
    found: object
    node: str | None = None
    plugin: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision: what we find, and how it differs. `ties` counts the nodes that share the highest score."""

    place: str
    pod: str
    feasible: tuple[str, ...]
    final: Mapping[str, int]
    best: tuple[str, ...]
    bound_to: str | None
    differences: tuple[Difference, ...]


def replay(recording: Recording) -> Iterator[Replayed]:
    """Decide on every created pod; what is bound follows the record. Raises MalformedError for a broken order."""
    machines = Machines(recording.machines)
    bound: dict[str, tuple[Pod, str | None]] = {}
    for event in recording.events:
        if not isinstance(event, Created):
            if event.pod not in bound:
                raise MalformedError(f"{event.place}.delete: there is no pod {event.pod!r} at this point")
            pod, node = bound.pop(event.pod)
            if node is not None:
                machines.remove(pod, machines.index[node])
            continue
        if event.pod.name in bound:
            raise MalformedError(f"{event.place}.create: the pod {event.pod.name!r} is there already")
        yield _compared(event, machines)
        bound[event.pod.name] = (event.pod, event.bound_to)
        if event.bound_to is not None:
            machines.add(event.pod, machines.index[event.bound_to])


def _compared(event: Created, machines: Machines) -> Replayed:
    is_decided_here = event.pod.is_ours and not event.pod.node_name
    question = Question(event.pod, machines)
    nodes = question.feasible() if is_decided_here else _bound_itself(event.pod, machines)
    recorded = set(event.final) or {node for node in (event.bound_to,) if node is not None}
    decision = question.decide(_as_sampled(nodes, recorded, machines))
    names = [machines.nodes[int(index)].name for index in decision.nodes]
    best = tuple(machines.nodes[index].name for index in decision.best())
    differences: list[Difference] = []
    if event.pod.is_ours or event.bound_to is None:
        if set(names) != recorded:
            cause = "VolumeBinding" if event.pod.claims else None
            differences.append(Difference("feasible", sorted(recorded), sorted(names), plugin=cause))
        if (event.bound_to is None and best) or (event.bound_to is not None and event.bound_to not in best):
            differences.append(Difference("choice", event.bound_to, list(best)))
    differences.extend(_score_differences(event, names, decision))
    final = dict(zip(names, map(int, decision.final), strict=False))
    return Replayed(event.place, event.pod.name, tuple(names), final, best, event.bound_to, tuple(differences))


def _bound_itself(pod: Pod, machines: Machines) -> Amounts:
    """A pod that names its node goes there without the scheduler; one that is not ours goes nowhere."""
    there = [machines.index[pod.node_name]] if pod.node_name in machines.index else []
    return np.array(there, np.int64)


def _as_sampled(nodes: Amounts, recorded: set[str], machines: Machines) -> Amounts:
    """On a large cluster the scheduler looks at some of the nodes that fit; it is judged by those it looked at."""
    enough = most_looked_at(len(machines))
    if len(nodes) <= enough or len(recorded) != enough:
        return nodes
    sampled = np.array([machines.nodes[int(index)].name in recorded for index in nodes], np.bool_)
    return nodes[sampled]


def _score_differences(event: Created, names: list[str], decision: Decision) -> Iterator[Difference]:
    if not event.final or not decision.scores:
        return
    for column, node in enumerate(names):
        if node not in event.final:
            continue
        scores = event.scores.get(node, {})
        for plugin in dict.fromkeys((*WEIGHTS, *scores)) if event.scores else ():
            ours = int(decision.scores[plugin][column]) if plugin in decision.scores else 0
            if ours != scores.get(plugin, 0):
                yield Difference("score", scores.get(plugin, 0), ours, node, plugin)
        if int(decision.final[column]) != event.final[node]:
            yield Difference("final", event.final[node], int(decision.final[column]), node)


__all__ = ["Difference", "Replayed", "replay"]
