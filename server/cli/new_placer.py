"""`mlopx-server placer new NAME`: a strategy that works, with the test that holds it to its contract, to start from."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from server.components.decision_unit import placers
from server.domain.errors import ConfigurationError

LONGEST_NAME = 63
placer_app = typer.Typer(help="Write a placement strategy of your own.", no_args_is_help=True, rich_markup_mode=None)

STRATEGY = Template('''\
"""$title: first come, first served, each task on the node that is predicted to finish it first.

Change `first_come` (who is next) and `choose` (which node); `docs/placers.md` lists what else there is to build on.
"""

from typing import ClassVar

from server.domain.placement import PlacementPlan, PlacementRequest, WaitingTask
from server.placers.halves import Assignment, Choice, Cluster, Needs, first_come, plan_in_turn
from server.placers.interface import PlacerInterface


class $class_name(PlacerInterface):
    """A pure function of the request: no clock, no chance but `request.seed`, no I/O."""

    name: ClassVar[str] = "$name"
    summary: ClassVar[str] = "Takes tasks in submission order and gives each the node that finishes it first."
    source: ClassVar[str] = ""
    version: ClassVar[str] = "1"

    def place(self, request: PlacementRequest) -> PlacementPlan:
        """Join the two halves; planned times follow from the estimates."""
        return plan_in_turn(request, first_come, FinishesFirst())


class FinishesFirst(Assignment):
    """Waits for a busy node where that is faster."""

    def choose(self, task: WaitingTask, needs: Needs, cluster: Cluster, at: float) -> Choice:
        nodes = cluster.comparable(needs)
        offers = [offer for node in nodes if (offer := cluster.offer(task, node, at)) is not None]
        if not offers:
            return Choice(nodes[0], "no node is known to become free")
        best = min(offers, key=lambda offer: offer.finish)
        return Choice(best.node, "finishes first", best.finish)
''')

TEST = Template('''\
"""$class_name keeps what every strategy promises."""

import pytest
from hypothesis import given, settings
from $name import $class_name

from server.testing.contracts.placement_requests import requests
from server.testing.contracts.placer import LARGE, PROMISES, REQUESTS, check_promise


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_keeps_its_promises(promise, request_name):
    check_promise(promise, $class_name(), REQUESTS[request_name]())


@pytest.mark.parametrize("promise", PROMISES)
@settings(max_examples=20, deadline=None)
@given(request_=requests())
def test_keeps_them_on_any_request(promise, request_):
    check_promise(promise, $class_name(), request_)


def test_is_quick_enough():
    check_promise("answers_within_its_limit", $class_name(), LARGE["a_large_queue"]())
''')


@placer_app.callback()
def _group() -> None:
    """Write a placement strategy of your own."""


@placer_app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name, such as shortest_first: lower case, with underscores.")],
    folder: Annotated[Path, typer.Option(help="Where to write NAME.py and test_NAME.py.")] = Path(),
) -> None:
    """Write a strategy that works and the test of its contract."""
    class_name = _class_name(name)
    texts = {
        folder / f"{name}.py": STRATEGY,
        folder / f"test_{name}.py": TEST,
    }
    for path in texts:
        if path.exists():
            raise ConfigurationError(f"{path} is there already", hint="choose another name, or another --folder")
    values = {"name": name, "class_name": class_name, "title": name.replace("_", " ").capitalize()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in texts.items():
            path.write_text(template.substitute(values), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}", hint="give --folder") from error
    typer.echo(
        f"wrote {' and '.join(map(str, texts))}\n"
        f"test it:  cd {folder} && python -m pytest test_{name}.py\n"
        f'use it:   PYTHONPATH={folder} PLACER="{name}:{class_name}" mlopx-server serve'
    )


def _class_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ConfigurationError(
            f"{name!r} cannot be a strategy's name", hint="use lower-case words joined by underscores: shortest_first"
        )
    if len(name) > LONGEST_NAME:
        raise ConfigurationError(f"a strategy's name has at most {LONGEST_NAME} characters", hint="choose another name")
    if name in placers:
        raise ConfigurationError(f"the server has a strategy {name!r} already", hint="choose another name")
    return "".join(part.capitalize() for part in name.split("_"))


__all__ = ["placer_app"]
