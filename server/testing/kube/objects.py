"""The double's store: objects of any kind with resource versions, and the history that watches read."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an object of one kind (its plural)."""

    version: int
    plural: str
    type: str
    object: Object


class Objects:
    """All objects. Every change gets the next resource version; `compact` forgets the history."""

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[tuple[str, str], Object]] = {}
        self.history: list[Change] = []
        self.version = 1
        self.oldest = 0
        self._news = asyncio.Event()

    def all(self, plural: str, namespace: str | None = None) -> list[Object]:
        """Objects of a kind, in order of namespace and name."""
        found = self._by_kind.get(plural, {})
        return [item for key, item in sorted(found.items()) if namespace is None or key[0] == namespace]

    def find(self, plural: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._by_kind.get(plural, {}).get((namespace, name))

    def put(self, plural: str, item: Mapping[str, Any]) -> Object:
        """Add or replace an object."""
        kept: Object = copy.deepcopy(dict(item))
        about = kept.setdefault("metadata", {})
        key = (str(about.get("namespace") or ""), str(about["name"]))
        kind = self._by_kind.setdefault(plural, {})
        type_ = "MODIFIED" if key in kind else "ADDED"
        self._note(plural, type_, kept)
        kind[key] = kept
        return kept

    def delete(self, plural: str, namespace: str, name: str) -> bool:
        """Remove an object; whether it was there."""
        item = self._by_kind.get(plural, {}).pop((namespace, name), None)
        if item is not None:
            self._note(plural, "DELETED", copy.deepcopy(item))
        return item is not None

    def compact(self) -> None:
        """Forget the history: who watches from before must list again."""
        self.history.clear()
        self.oldest = self.version

    async def wait(self) -> None:
        """Until something changes (or `wake`)."""
        await self._news.wait()

    def wake(self) -> None:
        """Let all waiters look."""
        self._news.set()
        self._news = asyncio.Event()

    def _note(self, plural: str, type_: str, item: Object) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Change(self.version, plural, type_, copy.deepcopy(item)))
        self.wake()


def merged(into: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(into) if isinstance(into, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def selects(item: Mapping[str, Any], labels: str, fields: str) -> bool:
    """Whether an object matches both selectors: `a=b`, `a!=b`, `a` (exists), `!a`, `a in (b,c)`."""
    own = (item.get("metadata") or {}).get("labels") or {}
    return all(_holds(term, own) for term in _terms(labels)) and all(
        _field_holds(term, item) for term in _terms(fields)
    )


def _terms(text: str) -> list[str]:
    terms, depth, current = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            terms.append(current)
            current = ""
        else:
            current += letter
    return [term.strip() for term in [*terms, current] if term.strip()]


def _holds(term: str, labels: Mapping[str, str]) -> bool:
    if " in " in term:
        name, values = term.split(" in ", 1)
        return labels.get(name.strip()) in [value.strip() for value in values.strip(" ()").split(",")]
    if "!=" in term:
        name, value = term.split("!=", 1)
        return labels.get(name.strip()) != value.strip()
    if "=" in term:
        name, value = term.replace("==", "=").split("=", 1)
        return labels.get(name.strip()) == value.strip()
    return term[1:] not in labels if term.startswith("!") else term in labels


def _field_holds(term: str, item: Mapping[str, Any]) -> bool:
    is_not = "!=" in term
    path, value = term.split("!=" if is_not else "=", 1)
    found: Any = item
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return (str(found or "") == value) is not is_not
