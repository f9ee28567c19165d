"""Conditions in Kubeflow's expression language, over inputs of the task that they guard."""

from __future__ import annotations

import json

from mlopx.spec import Clause, ConditionScope, Const, OutputRef, Value
from server.platforms.kubeflow.compile.dags import Dag
from server.platforms.kubeflow.compile.values import Binder, InexpressibleError

_NUMBERS = ("int", "float")


def expression(binder: Binder, dag: Dag, scope: ConditionScope) -> str:
    """When the DAG of a condition runs. Its operands become inputs of it. Raises InexpressibleError."""
    parts = [f"!({_all(binder, dag, group)})" for group in scope.unless]
    if scope.when:
        parts.append(_all(binder, dag, scope.when))
    return " && ".join(parts)


def _all(binder: Binder, dag: Dag, clauses: tuple[Clause, ...]) -> str:
    return " && ".join(_clause(binder, dag, clause) for clause in clauses)


def _clause(binder: Binder, dag: Dag, clause: Clause) -> str:
    if clause.operator in ("in", "not in"):
        return _membership(binder, dag, clause)
    kinds = {binder.type_of(clause.left), binder.type_of(clause.right)} - {None}
    if kinds & {"list", "dict"}:
        raise InexpressibleError(f"comparing a list or an object ({clause.operator})")
    if clause.operator not in ("==", "!=") and not kinds <= set(_NUMBERS):
        raise InexpressibleError(f"ordering values that are no numbers ({clause.operator})")
    left, right = _operand(binder, dag, clause.left), _operand(binder, dag, clause.right)
    return f"{left} {clause.operator} {right}"


def _membership(binder: Binder, dag: Dag, clause: Clause) -> str:
    options = clause.right.value if isinstance(clause.right, Const) else None
    if not isinstance(options, list | tuple) or any(isinstance(one, list | dict) for one in options):
        raise InexpressibleError(f"a condition with {clause.operator!r} on anything but a written list of plain values")
    left = _operand(binder, dag, clause.left)
    any_of = " || ".join(f"{left} == {_literal(one)}" for one in options) or "false"
    return f"({any_of})" if clause.operator == "in" else f"!({any_of})"


def _operand(binder: Binder, dag: Dag, value: Value) -> str:
    if isinstance(value, Const):
        return _literal(value.value)
    if isinstance(value, OutputRef) and binder.type_of(value) not in ("str", "int", "float", "bool"):
        raise InexpressibleError(f"a condition on {value.port!r} of {value.task}, which is no plain value")
    binding = binder.bind(dag, value, binder.type_of(value) or "str")
    name = (binding or {}).get("componentInputParameter")
    if name is None or "parameterExpressionSelector" in (binding or {}):
        raise InexpressibleError(f"a condition on a {value.kind} value")
    return f"inputs.parameter_values['{name}']"


def _literal(value: object) -> str:
    """Numbers are written as doubles, since that is what parameters arrive as."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        text = repr(float(value))
        return text if "inf" not in text and "nan" not in text else "0.0"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"
    raise InexpressibleError("comparing a list or an object")


__all__ = ["expression"]
