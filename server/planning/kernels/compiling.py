"""The one place that knows numba: compiles a kernel where it can, and hands it back as it is where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

try:
    from numba import njit
except ImportError:
    njit = None

Kernel = TypeVar("Kernel", bound=Callable[..., object])

IS_COMPILED = njit is not None
FASTMATH = {"nnan", "nsz", "reassoc", "arcp", "contract"}
"""Everything but `ninf`: infinite seconds say that a node cannot run a task, so infinities must stay exact."""


def compiled(kernel: Kernel) -> Kernel:
    """Compile without the interpreter's lock, and keep the machine code on disk where a folder can be written."""
    if njit is None:
        return kernel
    try:
        found: Kernel = njit(cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(kernel)
    except RuntimeError:  # numba found no folder that it may write its cache to
        found = njit(nogil=True, fastmath=FASTMATH, error_model="numpy")(kernel)
    return found


def part(kernel: Kernel) -> Kernel:
    """Compile something that only kernels call: without the wrappers for Python, which take as long as the code."""
    if njit is None:
        return kernel
    found: Kernel = njit(
        nogil=True, fastmath=FASTMATH, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(kernel)
    return found


__all__ = ["IS_COMPILED", "compiled", "part"]
