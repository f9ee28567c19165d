"""Says on a terminal that a strategy is being compiled, once on a new installation: silence would look like a fault."""

from __future__ import annotations

import sys

import typer

PREPARING = "preparing the planner: it is compiled once on a new installation, which takes about a minute"


def say_preparing(*placers: str) -> None:
    """Say so on stderr where that is a terminal and one of the strategies has yet to be compiled.

    Raises ConfigurationError where a strategy cannot be loaded.
    """
    from server.components.placer_registry import load_placer
    from server.placers.interface import PlacerInterface

    if not sys.stderr.isatty() or all(load_placer(name).warm is PlacerInterface.warm for name in placers):
        return
    from server.planning.kernels.compiling import is_cold

    if is_cold():
        typer.echo(PREPARING, err=True)


__all__ = ["PREPARING", "say_preparing"]
