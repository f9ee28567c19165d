"""What a task's Kubernetes configuration already says about nodes, with Kubernetes' own meaning of each part.

Selector labels must all hold. Affinity entries without a weight are alternatives: one of them must hold, and in it
every expression. Entries with a weight are wishes. What is only known when the run gets there (a selector, affinity or
toleration read from an input) cannot be judged before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlopx.spec import Preference, Requirement, Toleration
from server.domain.feasibility import holds
from server.domain.node import HOSTNAME_LABEL, Node
from server.platforms.kubeflow.reading.fields import get, items, section, text

NODE_NAME_FIELD = "metadata.name"


@dataclass(frozen=True, slots=True)
class Expression:
    """One comparison of an affinity entry: of a label, or (`is_field`) of the node's name."""

    requirement: Requirement
    is_field: bool = False

    def holds(self, node: Node) -> bool:
        """Whether it holds on a node."""
        if not self.is_field:
            return holds(self.requirement, node)
        is_named = node.name in self.requirement.values
        return is_named if self.requirement.operator == "In" else not is_named


Term = tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Constraints:
    """The constraints of one executor. `unknown` names what only the run will tell, in words."""

    selector: tuple[Requirement, ...] = ()
    required: tuple[Term, ...] = ()
    preferred: tuple[tuple[int, Term], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    has_dynamic_selector: bool = False
    has_dynamic_affinity: bool = False
    has_dynamic_tolerations: bool = False

    @property
    def unknown(self) -> tuple[str, ...]:
        """What is read from an input when the run gets there."""
        if self is NO_CONSTRAINTS:
            return ()
        flags = {
            "node selector": self.has_dynamic_selector,
            "node affinity": self.has_dynamic_affinity,
            "tolerations": self.has_dynamic_tolerations,
        }
        return tuple(name for name, is_dynamic in flags.items() if is_dynamic)

    def rejection(self, node: Node) -> str | None:
        """Why the task's own selector or affinity keeps it from a node; None if it does not."""
        for requirement in self.selector:
            if not holds(requirement, node):
                return f"its own selector {requirement.label}={requirement.values[0]} does not hold on node {node.name}"
        if self.required and not any(_all_hold(term, node) for term in self.required):
            return f"its own node affinity does not hold on node {node.name}"
        return None

    def requirements_on(self, nodes: Sequence[Node]) -> tuple[Requirement, ...]:
        """The hard constraints as requirements that must all hold; alternatives become a list of host names."""
        if not self.required:
            return self.selector
        if len(self.required) == 1 and not any(one.is_field for one in self.required[0]):
            return (*self.selector, *(one.requirement for one in self.required[0]))
        return (*self.selector, _hosts(node for node in nodes if any(_all_hold(term, node) for term in self.required)))

    def preferences_on(self, nodes: Sequence[Node]) -> tuple[Preference, ...]:
        """The wishes; one of several expressions becomes a list of host names."""
        found = []
        for weight, term in self.preferred:
            if len(term) == 1 and not term[0].is_field:
                found.append(Preference(weight=weight, requirement=term[0].requirement))
            elif names := [node for node in nodes if _all_hold(term, node)]:
                found.append(Preference(weight=weight, requirement=_hosts(names)))
        return tuple(found)


NO_CONSTRAINTS = Constraints()


def read_constraints(config: object) -> Constraints:
    """Read the constraints of one executor's Kubernetes configuration; what is malformed counts as not there."""
    if not isinstance(config, dict) or not config:
        return NO_CONSTRAINTS
    selector, is_dynamic_selector = _selector(section(config, "nodeSelector"))
    required: list[Term] = []
    preferred: list[tuple[int, Term]] = []
    is_dynamic_affinity = False
    for entry in items(config, "nodeAffinity"):
        if get(entry, "nodeAffinityJson") is not None:
            is_dynamic_affinity = True
            continue
        term = _term(entry)
        weight = get(entry, "weight")
        if weight is None:
            required.append(term)
        elif term:
            preferred.append((_weight(weight), term))
    entries = items(config, "tolerations")
    return Constraints(
        selector=selector,
        required=tuple(required),
        preferred=tuple(preferred),
        tolerations=tuple(found for one in entries if (found := _toleration(one)) is not None),
        has_dynamic_selector=is_dynamic_selector,
        has_dynamic_affinity=is_dynamic_affinity,
        has_dynamic_tolerations=any(get(one, "tolerationJson") is not None for one in entries),
    )


def read_claims(config: object) -> tuple[str, ...]:
    """Names of the persistent volume claims that an executor mounts; those that the run will tell are left out."""
    found = []
    for mount in items(config, "pvcMount"):
        constant = get(section(mount, "pvcNameParameter", "runtimeValue"), "constant")
        name = constant if isinstance(constant, str) else text(mount, "constant")
        if name:
            found.append(name)
    return tuple(dict.fromkeys(found))


def _selector(found: object) -> tuple[tuple[Requirement, ...], bool]:
    """The selector's labels, and whether it is read from an input; a constant object in its place is as good."""
    labels = section(found, "labels")
    dynamic = get(found, "nodeSelectorJson")
    if dynamic is not None:
        constant = get(section(dynamic, "runtimeValue"), "constant")
        if not isinstance(constant, dict):
            return (), True
        labels = constant
    return tuple(
        Requirement(label=label, values=(str(value),)) for label, value in labels.items() if 0 < len(label) <= 317
    ), dynamic is not None


def _term(entry: object) -> Term:
    found = []
    for name, is_field in (("matchExpressions", False), ("matchFields", True)):
        for one in items(entry, name):
            expression = _expression(one, is_field=is_field)
            if expression is not None:
                found.append(expression)
    return tuple(found)


def _expression(one: object, *, is_field: bool) -> Expression | None:
    values = tuple(str(value) for value in items(one, "values"))
    key, operator = text(one, "key"), text(one, "operator") or "In"
    if is_field and (key != NODE_NAME_FIELD or operator not in ("In", "NotIn")):
        return None
    try:
        return Expression(Requirement(label=key, operator=operator, values=values), is_field)
    except ValueError:
        return None


def _toleration(one: object) -> Toleration | None:
    if get(one, "tolerationJson") is not None:
        return None
    try:
        return Toleration(
            key=text(one, "key"),
            operator=text(one, "operator") or "Equal",
            value=text(one, "value"),
            effect=text(one, "effect"),
        )
    except ValueError:
        return None


def _weight(value: object) -> int:
    number = int(value) if isinstance(value, int | float) else 1
    return min(max(number, 1), 100)


def _all_hold(term: Term, node: Node) -> bool:
    """Whether every expression holds; an empty entry holds nowhere, as in Kubernetes."""
    return bool(term) and all(one.holds(node) for one in term)


def _hosts(nodes: Iterable[Node]) -> Requirement:
    names = sorted({node.labels.get(HOSTNAME_LABEL, node.name) for node in nodes})
    return Requirement(label=HOSTNAME_LABEL, values=tuple(names) or ("no-node",))


__all__ = ["NO_CONSTRAINTS", "Constraints", "Expression", "read_claims", "read_constraints"]
