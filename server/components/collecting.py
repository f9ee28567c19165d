"""Work done without Python's garbage collector looking on: a cycle's values all live until it is answered.

A request of a thousand tasks is a hundred thousand values. The collector would look through all of them again and
again, find nothing, and take as long as the decision itself.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing within; for work that is short and does not await. Where it was off, it stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


__all__ = ["uncollected"]
