"""Filters, sorting and pages of the KFP API's lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

DEFAULT_PAGE, LARGEST_PAGE = 20, 200


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


RUN_KEYS = words(
    "run_id display_name name created_at finished_at scheduled_at state status storage_state namespace experiment_id "
    "recurring_run_id description"
)


class Listed(Protocol):
    """A record that filters can compare."""

    def field(self, key: str) -> Any:
        """The value of a field."""


class BadRequestError(Exception):
    """The API refuses the call (400)."""


def page_of(records: Sequence[Listed], asked: Mapping[str, str]) -> tuple[list[Any], str, int]:
    """The records of one page, the next page's token, and how many there are in all. Raises BadRequestError."""
    token = json.loads(asked["page_token"]) if asked.get("page_token") else {}
    terms = {name: token.get(name, asked.get(name, "")) for name in ("filter", "sort_by")}
    if token and any(asked.get(name) and asked[name] != token[name] for name in terms):
        raise BadRequestError("the page token was made for another filter or sorting")
    size = int(asked.get("page_size") or DEFAULT_PAGE)
    if size < 0:
        raise BadRequestError("page_size must not be negative")
    size = min(size or DEFAULT_PAGE, LARGEST_PAGE)
    found = [record for record in records if _passes(record, terms["filter"])]
    key, _, order = (terms["sort_by"] or "created_at").partition(" ")
    found.sort(key=lambda record: (record.field(key), record.field("run_id")), reverse=order == "desc")
    start = token.get("start", 0)
    rest = start + size < len(found)
    next_token = json.dumps({**terms, "start": start + size}) if rest else ""
    return found[start : start + size], next_token, len(found)


_OPERATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQUALS": lambda own, value: own == value,
    "NOT_EQUALS": lambda own, value: own != value,
    "GREATER_THAN": lambda own, value: own > value,
    "GREATER_THAN_EQUALS": lambda own, value: own >= value,
    "LESS_THAN": lambda own, value: own < value,
    "LESS_THAN_EQUALS": lambda own, value: own <= value,
    "IN": lambda own, value: own in value,
    "IS_SUBSTRING": lambda own, value: value in own,
}


def _passes(record: Listed, text: str) -> bool:
    if not text:
        return True
    try:
        predicates = json.loads(text)["predicates"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequestError(f"filter cannot be read: {error}") from error
    return all(_holds(record, one) for one in predicates)


def _holds(record: Listed, predicate: Mapping[str, Any]) -> bool:
    key, operation = str(predicate.get("key")), str(predicate.get("operation"))
    if key not in RUN_KEYS:
        raise BadRequestError(f"no such field to filter by: {key!r}")
    if operation not in _OPERATIONS:
        raise BadRequestError(f"no such operation: {operation!r}")
    return _OPERATIONS[operation](record.field(key), _value(predicate))


def _value(predicate: Mapping[str, Any]) -> Any:
    for name in ("stringValue", "string_value"):
        if name in predicate:
            return predicate[name]
    for name in ("intValue", "int_value", "longValue", "long_value"):
        if name in predicate:
            return int(predicate[name])
    for name in ("timestampValue", "timestamp_value"):
        if name in predicate:
            return int(datetime.fromisoformat(predicate[name].replace("Z", "+00:00")).timestamp())
    for name in ("stringValues", "string_values"):
        if name in predicate:
            return list(predicate[name]["values"])
    raise BadRequestError("a predicate has no value")
