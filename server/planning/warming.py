"""Compiles the kernels ahead of need: a worker process calls `warm` once, before it is asked to place anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from server.planning.constructors import PORTFOLIO
from server.planning.problem import Network, Sharing, exclusive_problem, no_edges
from server.planning.search import anytime


def warm() -> None:
    """Load the kernels from their cache, or compile them and fill it (some twenty seconds of one core)."""
    exclusive = exclusive_problem(np.ones((2, 2)), no_edges(2), Network(uniform=1.0))
    shared = replace(exclusive, capacity=np.full((2, 1), 2.0))
    for construct in PORTFOLIO.values():
        construct(exclusive)
        construct(shared)
    linked = replace(exclusive, network=Network(pairs=np.zeros((2, 2))))
    PORTFOLIO["heft"](linked)
    ported = replace(exclusive, network=Network(cards=np.ones(2), sharing=Sharing.ONE_PORT))
    for problem in (linked, shared, ported):
        anytime(problem, seconds=1.0, monotonic=lambda: 0.0, max_steps=2)


__all__ = ["warm"]
