"""What labels must say: expressions, label selectors of pods, terms of node selectors.

Source: Kubernetes, label selectors (apimachinery, labels) and node affinity (component-helpers, nodeaffinity).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NAME_FIELD = "metadata.name"
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_VALUE = re.compile(rf"(?:{_NAME})?", re.ASCII)
_KEY = re.compile(rf"(?:(?=[^/]{{1,253}}/){_PART}(?:\.{_PART})*/)?{_NAME}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expression:
    """One demand on a label, or on a field of a node."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether it can be judged at all; `Gt` and `Lt` need one integer."""
        if self.operator in ("Gt", "Lt"):
            return len(self.values) == 1 and integer(self.values[0]) is not None
        if self.operator in ("In", "NotIn"):
            return bool(self.values)
        return self.operator in ("Exists", "DoesNotExist") and not self.values

    @property
    def is_of_labels(self) -> bool:
        """Whether a label of Kubernetes can have such a name and such values; `-5` is none."""
        return bool(_KEY.fullmatch(self.key)) and all(_VALUE.fullmatch(value) for value in self.values)

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it. `NotIn` and `DoesNotExist` hold where the label is missing."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        found = None if value is None else integer(value)
        bound = integer(self.values[0])
        if found is None or bound is None:
            return False
        return found > bound if self.operator == "Gt" else found < bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Demands on a pod's labels, all of which must hold; without any it matches every pod."""

    expressions: tuple[Expression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all demands hold."""
        return all(expression.holds(labels) for expression in self.expressions)


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """Demands on one node's labels and fields, all of which must hold; without any it matches no node."""

    labels: tuple[Expression, ...] = ()
    fields: tuple[Expression, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether it can be judged. Fields can only be compared with one value."""
        are_fields = all(field.operator in ("In", "NotIn") and len(field.values) == 1 for field in self.fields)
        return are_fields and all(expression.is_valid for expression in self.labels)

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a node of that name with those labels meets it; never where it cannot be judged."""
        if not (self.labels or self.fields) or not self.is_valid:
            return False
        fields = {NAME_FIELD: name}
        return all(expression.holds(labels) for expression in self.labels) and all(
            (fields.get(field.key, "") == field.values[0]) == (field.operator == "In") for field in self.fields
        )


def integer(text: str) -> int | None:
    """A decimal integer of 64 bits, None if it is none."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


__all__ = ["NAME_FIELD", "Expression", "LabelSelector", "NodeTerm", "integer"]
