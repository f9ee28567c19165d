"""`mlopx strategies`: the strategy in use beside its shadows: how often they agree, and who would be quicker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mlopx.cli.output import console, show, span, table
from mlopx.remote import Client


def strategies(client: Client, name: str | None, *, as_json: bool) -> None:
    """All shadows in figures, or one with its newest comparisons."""
    path = "/api/v1/strategies/shadows"
    found = client.get(path if name is None else f"{path}/{quote(name, safe='')}")
    if as_json:
        show(found)
    elif name is not None:
        _one(found)
    else:
        _all(found)


def share(value: float | None, sign: str = "") -> str:
    """`79 %`, with a sign `+6 %`, or `-`."""
    return "-" if value is None else f"{100 * value:{sign}.0f} %"


def _all(found: Mapping[str, Any]) -> None:
    sys.stdout.write(f"in use: {found['live']}\n")
    if not found["shadows"]:
        sys.stdout.write("no other strategy runs beside it: the server's setting SHADOW names some\n")
        return
    right = ("same node", "predicted", "cycles", "dropped", "failed")
    rows = [
        (
            one["name"],
            share(one["agreement"]),
            share(one["predicted_difference"], "+"),
            str(one["cycles_compared"]),
            str(one["cycles_dropped"]),
            str(one["cycles_failed"]),
        )
        for one in found["shadows"]
    ]
    console().print(table(("shadow", *right), rows, right=right))
    sys.stdout.write("predicted: mean turnaround against the one in use; below 0 is quicker\n")
    for one in found["shadows"]:
        if one["problem"]:
            sys.stdout.write(f"{one['name']} failed last with: {one['problem']}\n")


def _one(found: Mapping[str, Any]) -> None:
    out = console()
    out.print(
        f"{found['name']} beside {found['live']}: the same node for {share(found['agreement'])} "
        f"of {found['tasks']} tasks, predicted turnaround {share(found['predicted_difference'], '+')}"
    )
    right = ("cycle", "same", "of", "in use", "shadow")
    rows = [
        (
            one["at"][11:19],
            str(one["cycle"]),
            str(one["same"]),
            str(one["tasks"]),
            span(one["live_turnaround_seconds"]),
            span(one["shadow_turnaround_seconds"]),
            _difference(one),
        )
        for one in found["newest"]
    ]
    if rows:
        out.print(table(("at (UTC)", *right, "differs first in"), rows, right=right))


def _difference(one: Mapping[str, Any]) -> str:
    if not one["differences"]:
        return ""
    first = one["differences"][0]
    return f"{first['task']}: {first['live_node']} / {first['shadow_node']}"
