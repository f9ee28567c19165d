"""From our nodes, tasks and occupancies to the nodes and pods that the scheduler sees."""

from __future__ import annotations

from server.domain.node import Node, Occupancy
from server.domain.placement import TaskOption, WaitingTask
from server.domain.resources import Resources
from server.placers.kubernetes.nodes import Machine, Machines
from server.placers.kubernetes.pods import Pod, Preference, Toleration
from server.placers.kubernetes.requests import DEFAULT_CPU_MILLICORES, DEFAULT_MEMORY_BYTES
from server.placers.kubernetes.selectors import Expression, NodeTerm


def machine_of(node: Node) -> Machine:
    """A node as the scheduler sees it."""
    return Machine(
        name=node.name,
        labels=node.labels,
        taints=node.taints,
        allocatable=amounts_of(node.allocatable),
        pods=node.allocatable.pods,
        is_unschedulable=not node.is_schedulable,
    )


def pod_of(task: WaitingTask, option: TaskOption) -> Pod:
    """The pod that a task becomes with one of its options."""
    demands = tuple(Expression(one.label, one.operator, one.values) for one in task.requirements)
    wished = [(wish.weight, wish.requirement) for wish in task.preferences]
    asked = option.requests
    scored_cpu = asked.cpu_millicores or DEFAULT_CPU_MILLICORES
    scored_memory = asked.memory_bytes or DEFAULT_MEMORY_BYTES
    return Pod(
        name=f"{task.run_id}/{task.key}",
        requests=amounts_of(asked),
        scored_cpu_millicores=scored_cpu,
        scored_memory_bytes=scored_memory,
        held_cpu_millicores=scored_cpu,
        held_memory_bytes=scored_memory,
        images=(option.image,) if option.image else (),
        required=(NodeTerm(demands),) if demands else None,
        preferred=tuple(
            Preference(weight, NodeTerm((Expression(one.label, one.operator, one.values),))) for weight, one in wished
        ),
        tolerations=tuple(Toleration(one.key, one.operator, one.value, one.effect) for one in task.tolerations),
    )


def hold_occupancy(machines: Machines, occupancy: Occupancy) -> None:
    """Count what somebody holds; a pod without a request counts as 100m and 200 MiB in scores, as in Kubernetes."""
    node, held = machines.index.get(occupancy.node), occupancy.requests
    if node is None:
        return
    scored_cpu = held.cpu_millicores or DEFAULT_CPU_MILLICORES * held.pods
    scored_memory = held.memory_bytes or DEFAULT_MEMORY_BYTES * held.pods
    machines.hold(node, amounts_of(held), scored_cpu, scored_memory, held.pods)


def amounts_of(resources: Resources) -> dict[str, int]:
    """Amounts by resource; accelerators under their own kinds."""
    return {"cpu": resources.cpu_millicores, "memory": resources.memory_bytes, **dict(resources.accelerators)}


__all__ = ["amounts_of", "hold_occupancy", "machine_of", "pod_of"]
