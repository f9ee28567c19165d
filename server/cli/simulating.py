"""`mlopx-server simulate`: a scenario file in; a table, JSON or figures out."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.preparing import say_preparing

if TYPE_CHECKING:
    from server.simulation.records import Finished
    from server.simulation.report import Measures
    from server.simulation.scenario import Scenario, ServerTable


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario file (TOML), or the name of one that comes with it.")],
    placer: Annotated[
        list[str] | None, typer.Option(help="Compare these strategies instead of the scenario's servers.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Simulate with seeds 0 to N - 1, and show means.", min=1)] = None,
    figures: Annotated[Path | None, typer.Option(help="Write figures (PNG) into this folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print per-run and per-task times and all measures.")] = False,
    costs: Annotated[
        bool, typer.Option(help="In JSON: also what simulating cost here, which is never twice equal.")
    ] = (False),
) -> None:
    """Run the server's own scheduler on a virtual clock, and compare strategies on a scenario."""
    from server.domain.errors import MlopxError

    try:
        rows = _run(scenario, placer or [], seeds)
        if figures is not None:
            _draw(rows, figures)
    except MlopxError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    if json:
        typer.echo(json_module.dumps(_document(scenario, rows, costs), indent=1, allow_nan=False))
        return
    for line in table(rows):
        typer.echo(line)


@dataclass(frozen=True, slots=True)
class Row:
    """One server of a comparison: its results, one per seed."""

    name: str
    server: ServerTable
    seeds: tuple[int, ...]
    results: tuple[Finished, ...]


def _run(name: str, placers: Sequence[str], seeds: int | None) -> list[Row]:
    from server.simulation.engine import simulate as run_case
    from server.simulation.reading import CaseMaker, find_scenario, read_scenario

    path = find_scenario(name)
    scenario = read_scenario(path)
    maker = CaseMaker(path, scenario)
    numbers = scenario.seeds if seeds is None else tuple(range(seeds))
    rows = []
    servers = _servers(scenario, placers)
    say_preparing(*(server.placer for server in servers))
    for server in servers:
        results = tuple(run_case(maker.case(server, seed)) for seed in numbers)
        rows.append(Row(server.name or server.placer, server, numbers, results))
    for note in maker.notes():
        typer.echo(f"note: {note}", err=True)
    return rows


def _servers(scenario: Scenario, placers: Sequence[str]) -> Sequence[ServerTable]:
    from server.simulation.scenario import ServerTable

    if not placers:
        return scenario.server
    bindings = {server.binding for server in scenario.server}
    rules = {"binding": bindings.pop()} if len(bindings) == 1 else {}
    return [ServerTable(placer=placer, **rules) for placer in placers]


def table(rows: Sequence[Row]) -> list[str]:
    """At most 80 columns; where there are several seeds, means over them."""
    from server.simulation.report import measures

    head = ("", "wait", "turnar.", "turnar.", "slowd.", "makespan", "cpu", "cycle")
    units = ("server", "mean s", "mean s", "p95 s", "p99", "s", "used", "p99 ms")
    lines = [_line(head), _line(units)]
    for row in rows:
        found = [measures(result) for result in row.results]
        lines.append(_line((row.name, *_figures(found))))
        failed, lost = (sum(getattr(one, what) for one in found) for what in ("failed", "lost"))
        fallbacks = sum(one.fallbacks for one in found)
        notes = [f"{failed} runs failed"] * (failed > 0) + [f"{lost} attempts lost"] * (lost > 0)
        notes += [f"the strategy failed in {fallbacks} cycles"] * (fallbacks > 0)
        lines.extend(f"  ({note})" for note in notes)
    return lines


def _figures(found: Sequence[Measures]) -> tuple[str, ...]:
    count = len(found)
    return (
        f"{sum(one.waiting.mean for one in found) / count:.1f}",
        f"{sum(one.turnaround.mean for one in found) / count:.1f}",
        f"{sum(one.turnaround.p95 for one in found) / count:.1f}",
        f"{sum(one.slowdown.p99 for one in found) / count:.2f}",
        f"{sum(one.makespan for one in found) / count:.0f}",
        f"{100 * sum(one.utilisation.get('cpu', 0.0) for one in found) / count:.0f} %",
        f"{1000 * sum(one.decision.p99 for one in found) / count:.1f}",
    )


def _line(cells: Sequence[str]) -> str:
    first, *rest = cells
    widths = (8, 8, 8, 7, 9, 6, 7)
    return f"{first[:27]:<27}" + "".join(f"{cell:>{width}}" for cell, width in zip(rest, widths, strict=True))


def _document(name: str, rows: Sequence[Row], is_costed: bool) -> dict[str, Any]:
    from server.simulation.report import as_document

    return {
        "scenario": name,
        "servers": [
            {
                "name": row.name,
                "server": row.server.model_dump(mode="json"),
                "seeds": [
                    {"seed": seed, **as_document(result, is_costed=is_costed)}
                    for seed, result in zip(row.seeds, row.results, strict=True)
                ],
            }
            for row in rows
        ],
    }


def _draw(rows: Sequence[Row], folder: Path) -> None:
    from server.simulation.figures import draw

    for path in draw([(row.name, row.results[0]) for row in rows], folder):
        typer.echo(f"wrote {path}", err=True)
