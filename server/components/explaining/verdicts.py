"""What each node says to a task now. Pure: the same snapshot gives the same verdicts, and each can be checked on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.components.explaining.values import NodeVerdict, Shortage, Verdict
from server.domain.feasibility import Refusal, refusal
from server.domain.node import Node, Snapshot
from server.domain.placement import Estimate, Estimates, TaskOption, WaitingTask
from server.domain.resources import Resources
from server.planning.needs import FAILED_BEFORE

ORDER: Mapping[Verdict, int] = {"free": 0, "busy": 1, "not-there-yet": 2, "never": 3}


def node_verdicts(task: WaitingTask, snapshot: Snapshot, estimates: Estimates | None = None) -> tuple[NodeVerdict, ...]:
    """One verdict per node: those that could start the task first, the quickest of them first."""
    available = snapshot.available()
    found = [_verdict(task, node, available[node.name], estimates) for node in snapshot.nodes]
    return tuple(
        sorted(found, key=lambda one: (ORDER[one.verdict], one.seconds_p50 is None, one.seconds_p50 or 0.0, one.node))
    )


def shortages(asked: Resources, room: Resources) -> tuple[Shortage, ...]:
    """Every request that does not fit into the room, with both amounts."""
    return tuple(Shortage(name, amount(asked, name), max(amount(room, name), 0)) for name in asked.lacking_in(room))


def amount(resources: Resources, name: str) -> int:
    """Millicores, bytes, pods, or the count of an accelerator."""
    if name == "cpu":
        return resources.cpu_millicores
    if name == "memory":
        return resources.memory_bytes
    return resources.pods if name == "pods" else resources.accelerator_count(name)


def amount_text(name: str, count: int) -> str:
    """An amount as people read it: `2 CPUs`, `512 MiB`, `1 nvidia.com/gpu`."""
    if name == "cpu":
        return f"{count / 1000:g} CPU{'' if count == 1000 else 's'}"
    if name == "memory":
        return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
    return f"{count} {name}"


def requests_text(option: TaskOption) -> str:
    """What an option asks for: `2 CPUs, 512 MiB and 1 nvidia.com/gpu`."""
    asked = option.requests
    names = [name for name, has in (("cpu", asked.cpu_millicores), ("memory", asked.memory_bytes)) if has]
    parts = [amount_text(name, amount(asked, name)) for name in names]
    parts += [amount_text(kind, count) for kind, count in asked.accelerators]
    if option.accelerator_memory_bytes:
        parts[-1] += f" with {amount_text('memory', option.accelerator_memory_bytes)}"
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts) or "nothing in particular"


def _verdict(task: WaitingTask, node: Node, room: Resources, estimates: Estimates | None) -> NodeVerdict:
    refusals = [(option, refusal(task, option, node)) for option in task.options]
    able = [option for option, refused in refusals if refused is None]
    if not able:
        first = refusals[0]
        return _never(node, *first) if first[1] is not None else NodeVerdict(node.name, "never", "", "no option fits")
    free = [option for option in able if option.requests.fits_in(room)]
    option, estimate = _quickest(task, node, free or able, estimates)
    verdict: Verdict = "free" if free else "busy"
    missing = () if free else shortages(option.requests, room)
    reason = "it has room now" if free else "busy: " + ", ".join(_lack(one) for one in missing)
    reason += f"; {FAILED_BEFORE}" if node.name in task.avoid_nodes else ""
    if node.is_virtual:
        verdict, missing = "not-there-yet", ()
        reason = f"a node that group {node.group or node.name} could add, in about {node.startup_seconds:.0f} s"
    return NodeVerdict(
        node=node.name,
        verdict=verdict,
        kind="",
        reason=reason,
        missing=missing,
        option=option.name,
        seconds_p10=estimate.p10 if estimate else None,
        seconds_p50=estimate.p50 if estimate else None,
        seconds_p90=estimate.p90 if estimate else None,
    )


def _never(node: Node, option: TaskOption, refused: Refusal | None) -> NodeVerdict:
    assert refused is not None
    missing = shortages(option.requests, node.allocatable) if refused.kind == "request" else ()
    return NodeVerdict(node.name, "never", refused.kind, refused.text, missing)


def _quickest(
    task: WaitingTask, node: Node, options: Sequence[TaskOption], estimates: Estimates | None
) -> tuple[TaskOption, Estimate | None]:
    known = [(option, _estimate(task, node, option, estimates)) for option in options]
    return min(known, key=lambda pair: pair[1].p50 if pair[1] else float("inf"))


def _estimate(task: WaitingTask, node: Node, option: TaskOption, estimates: Estimates | None) -> Estimate | None:
    if estimates is None or node.name not in estimates.column_of:
        return None
    row = estimates.profile_of.get((task.run_id, task.key, option.name))
    return None if row is None else estimates.table[row][estimates.column_of[node.name]]


def _lack(shortage: Shortage) -> str:
    return f"needs {amount_text(shortage.request, shortage.asks)}, {amount_text(shortage.request, shortage.has)} free"


__all__ = ["amount", "amount_text", "node_verdicts", "requests_text", "shortages"]
