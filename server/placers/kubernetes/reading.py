"""Values of a JSON document that know where they stand, so that every complaint names the place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from server.kube.quantities import quantity

Found = TypeVar("Found")


class MalformedError(ValueError):
    """A document that does not say what it should; the message begins with the place."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document. What is null counts as missing."""

    value: Any
    place: str

    def problem(self, text: str) -> MalformedError:
        """An error about this part."""
        return MalformedError(f"{self.place}: {text}")

    def part(self, *keys: str) -> Part | None:
        """What stands under the keys, None if one is missing. Raises MalformedError if something is no mapping."""
        found: Part = self
        for key in keys:
            found = found.mapping().get(key) or Part(None, f"{found.place}.{key}")
            if found.value is None:
                return None
        return found

    def required(self, key: str) -> Part:
        """The same for a part that must be there."""
        found = self.part(key)
        if found is None:
            raise self.problem(f"{key!r} is missing")
        return found

    def mapping(self) -> Mapping[str, Part]:
        """Its members."""
        if not isinstance(self.value, dict):
            raise self.problem(f"should be a mapping, is {_kind(self.value)}")
        return {str(key): Part(value, f"{self.place}.{key}") for key, value in self.value.items()}

    def items(self, key: str) -> Iterator[Part]:
        """The items of the list under a key; none if it is missing."""
        found = self.part(key)
        if found is None:
            return iter(())
        if not isinstance(found.value, list):
            raise found.problem(f"should be a list, is {_kind(found.value)}")
        return (Part(value, f"{found.place}[{index}]") for index, value in enumerate(found.value))

    def string(self) -> str:
        """This part as text."""
        if not isinstance(self.value, str):
            raise self.problem(f"should be text, is {_kind(self.value)}")
        return self.value

    def integer(self) -> int:
        """This part as a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.problem(f"should be a whole number, is {_kind(self.value)}")
        return self.value

    def text(self, key: str, default: str = "") -> str:
        """The text under a key."""
        return self._or(key, Part.string, default)

    def number(self, key: str, default: int = 0) -> int:
        """The whole number under a key."""
        return self._or(key, Part.integer, default)

    def flag(self, key: str) -> bool:
        """The truth value under a key, False if it is missing."""
        found = self.part(key)
        if found is not None and not isinstance(found.value, bool):
            raise found.problem(f"should be true or false, is {_kind(found.value)}")
        return found is not None and found.value

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts under a key."""
        return tuple(item.string() for item in self.items(key))

    def labels(self, key: str) -> dict[str, str]:
        """The mapping of texts under a key."""
        found = self.part(key)
        return {} if found is None else {name: value.string() for name, value in found.mapping().items()}

    def amounts(self, key: str) -> dict[str, Fraction]:
        """The mapping of quantities under a key."""
        found = self.part(key)
        return {} if found is None else {name: value.amount() for name, value in found.mapping().items()}

    def amount(self) -> Fraction:
        """This part as a quantity, written as text or as a number; up to the next thousandth, as the API has it."""
        if isinstance(self.value, bool) or not isinstance(self.value, str | int | float):
            raise self.problem(f"should be a quantity, is {_kind(self.value)}")
        try:
            return Fraction(math.ceil(quantity(str(self.value)) * 1000), 1000)
        except ValueError as error:
            raise self.problem(str(error)) from None

    def _or(self, key: str, read: Callable[[Part], Found], default: Found) -> Found:
        found = self.part(key)
        return default if found is None else read(found)


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


__all__ = ["MalformedError", "Part"]
