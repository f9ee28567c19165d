"""The one place that knows numba: compiles a kernel where it can, and hands it back as it is where it cannot."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

try:
    from numba import config, njit
except ImportError:
    njit = None

Kernel = TypeVar("Kernel", bound=Callable[..., object])

IS_COMPILED = njit is not None
FASTMATH = {"nnan", "nsz", "reassoc", "arcp", "contract"}
"""Everything but `ninf`: infinite seconds say that a node cannot run a task, so infinities must stay exact."""


def _choose_cache() -> None:
    """Keep machine code in a folder named after the kernels' sources, beside them or in the user's cache.

    numba looks at a kernel's own file only, and would go on using code into which an older version of another file was
    compiled. Where neither folder can be written, numba looks for one itself, and failing that compiles every time.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()[:16]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "mlopx"
    for base in (here / "__pycache__", user):
        folder = base / f"compiled-{digest}"
        with contextlib.suppress(OSError, RuntimeError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                config.CACHE_DIR = str(folder)
                return


if njit is not None and not os.environ.get("NUMBA_CACHE_DIR"):
    _choose_cache()


def is_cold() -> bool:
    """Whether kernels have yet to be compiled on this installation; False where that cannot be told."""
    if njit is None or not config.CACHE_DIR:
        return False
    return next(Path(config.CACHE_DIR).rglob("*.nbi"), None) is None


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
    """Compile something that only kernels call, as a call."""
    return _part(kernel, is_inlined=False)


def inlined(kernel: Kernel) -> Kernel:
    """Compile something short that only kernels call, often, into each of them: a call hands down every array as seven
    numbers, which takes longer than what it computes. Machine code grows, and with it the time to compile."""
    return _part(kernel, is_inlined=True)


def _part(kernel: Kernel, *, is_inlined: bool) -> Kernel:
    """Without the wrappers for Python, which take as long to compile as the code."""
    if njit is None:
        return kernel
    found: Kernel = njit(
        nogil=True,
        fastmath=FASTMATH,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=is_inlined,
    )(kernel)
    return found


__all__ = ["IS_COMPILED", "compiled", "inlined", "is_cold", "part"]
