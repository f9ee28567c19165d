"""What we ask of the Kubernetes API, permission by permission, and what is lost without each.

`deploy/` grants exactly these: `OBSERVE` to look, `PLACE` on top of it to write on pods, both to the server; `SUBMIT`
to those who submit. Kubeflow itself asks for verbs on runs in multi-user mode, by the account that a call shows. What
the server does for somebody it does with their account, so it never needs `SUBMIT` itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.kube.client import KubeClient
from server.kube.errors import KubeError
from server.kube.resources import (
    CLAIMS,
    DEVICE_CLAIMS,
    DEVICE_CLASSES,
    EVENTS,
    EXPERIMENTS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PODS,
    QUOTAS,
    RUNS,
    SLICES,
    VIEWERS,
    VOLUMES,
    WORKFLOWS,
    Kind,
)

READ = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one kind of object. `is_everywhere`: in the whole cluster, else in the namespace of the runs."""

    kind: Kind
    verbs: tuple[str, ...]
    lost: str
    sub: str = ""
    is_everywhere: bool = False

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.kind.plural}{f'/{self.sub}' if self.sub else ''}"

    @property
    def is_kubeflows(self) -> bool:
        """Whether Kubeflow asks for it, and only in multi-user mode."""
        return self.kind in (RUNS, EXPERIMENTS, VIEWERS)


OBSERVE = (
    Permission(NODES, READ, "no node is known: nothing can be placed", is_everywhere=True),
    Permission(PODS, READ, "what other pods hold is unknown: nodes look emptier than they are", is_everywhere=True),
    Permission(NAMESPACES, ("get",), "the namespace's label cannot be read: it is only observed unless KFP_MODE=place"),
    Permission(WORKFLOWS, READ, "tasks are known by their pods only: skipped and cached ones are not told apart"),
    Permission(PODS, READ, "no exact times, outputs, or reasons of waiting; nodes from the Workflow only"),
    Permission(PODS, ("get",), "no logs of tasks", sub="log"),
    Permission(EVENTS, ("list",), "a task whose volume is not mounted waits without a reason"),
    Permission(VOLUMES, READ, "tasks may be given nodes that their volumes cannot reach", is_everywhere=True),
    Permission(SLICES, READ, "accelerators that only their drivers tell of (DRA) are not known", is_everywhere=True),
    Permission(DEVICE_CLAIMS, READ, "such accelerators look free, whoever holds them", is_everywhere=True),
    Permission(DEVICE_CLASSES, READ, "tasks cannot ask for such accelerators by a resource's name", is_everywhere=True),
    Permission(CLAIMS, READ, "tasks may be given nodes that their volumes cannot reach"),
    Permission(QUOTAS, READ, "runs are handed over although their namespace has no quota left for them"),
    Permission(LIMIT_RANGES, READ, "what the namespace requests for tasks that ask for nothing is not counted"),
    Permission(RUNS, ("get", "list"), "Kubeflow shows no run of the namespace: none is followed or learned from"),
)
PLACE = (Permission(PODS, ("patch",), "the reason why a task waits is not written on its pod"),)
SUBMIT = (
    Permission(RUNS, ("create", "get", "list"), "no run is created: each submission ends with Kubeflow's refusal"),
    Permission(RUNS, ("terminate",), "a run that is cancelled here goes on in Kubeflow"),
    Permission(RUNS, ("archive",), "`mlopx archive` is refused"),
    Permission(EXPERIMENTS, ("get", "list", "create"), "the run's experiment is neither found nor made"),
    Permission(VIEWERS, ("get",), "Kubeflow's UI server hands out no artifact"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """Whether we have a verb of a permission; `problem` when nobody could say."""

    permission: Permission
    verb: str
    is_held: bool
    problem: str = ""


async def held(client: KubeClient, namespace: str, *, is_placing: bool, is_multi_user: bool = True) -> list[Held]:
    """Ask the API about every permission of the server's own account."""
    asked = (*OBSERVE, *(PLACE if is_placing else ()))
    return await _held(client, namespace, [one for one in asked if is_multi_user or not one.is_kubeflows])


async def held_to_submit(client: KubeClient, namespace: str) -> list[Held]:
    """Ask the API about what submitting takes in multi-user mode, for the account that asks."""
    return await _held(client, namespace, SUBMIT)


async def _held(client: KubeClient, namespace: str, permissions: Iterable[Permission]) -> list[Held]:
    found = []
    for permission in permissions:
        where = None if permission.is_everywhere else namespace
        for verb in permission.verbs:
            try:
                is_held, problem = await client.may(verb, permission.kind, namespace=where, sub=permission.sub), ""
            except KubeError as error:
                is_held, problem = False, error.message
            found.append(Held(permission, verb, is_held, problem))
    return found


__all__ = ["OBSERVE", "PLACE", "SUBMIT", "Held", "Permission", "held", "held_to_submit"]
