"""Kubernetes quantities: `1500m` of a processor, `0.5Gi` of memory, `1e3` of anything; exact, rounded up at the end.

Source: the Kubernetes API's quantity notation (apimachinery, resource.Quantity).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

LARGEST = 2**63 - 1
"""Larger amounts count as this, as everywhere in Kubernetes."""

_SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    **{letter: Fraction(1000 ** (power + 2)) for power, letter in enumerate("MGTPE")},
    **{f"{letter}i": Fraction(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}
_QUANTITY = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)


@lru_cache(maxsize=4096)
def quantity(text: str) -> Fraction:
    """The exact amount. Raises ValueError if it is not a quantity, or negative."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a quantity; write it like 2, 1500m, 0.5Gi or 1e3")
    sign, digits, exponent, suffix = found.groups()
    amount = Fraction(digits) * (Fraction(10) ** int(exponent) if exponent else _SCALES[suffix or ""])
    if sign == "-" and amount:
        raise ValueError(f"{text!r} is negative")
    return amount


def units(amount: Fraction) -> int:
    """Whole units, rounded up: bytes, pods, devices."""
    return min(math.ceil(amount), LARGEST)


def millis(amount: Fraction) -> int:
    """Thousandths, rounded up: millicores."""
    return min(math.ceil(amount * 1000), LARGEST)


__all__ = ["millis", "quantity", "units"]
