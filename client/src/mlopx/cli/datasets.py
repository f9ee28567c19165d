"""`mlopx datasets`: what is registered, which nodes hold copies, and how old that knowledge is."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from mlopx.cli.output import advice

datasets_app = typer.Typer(
    help="List data sets; register or forget one, and say which nodes hold copies.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="Name of the data set.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CHUNK_BYTES = 4 * 2**20


@datasets_app.callback()
def datasets(context: typer.Context, json: Json = False) -> None:
    """List data sets, or with a sub-command change what is known of one."""
    from mlopx.cli.output import console, show, size, table
    from mlopx.remote import Client

    if context.invoked_subcommand is not None:
        return
    with advice():
        answer = Client().get("/api/v1/datasets")
        if json:
            show(answer)
            return
        rows = [
            (one["name"], one["place"], size(one["size_bytes"]), _copies(one, answer["at"]))
            for one in answer["registered"]
        ]
        rows += [
            (one["name"], f"data folder: {one['path']}", size(one["size_bytes"]), "") for one in answer["datasets"]
        ]
        console().print(table(["data set", "place", "size", "copies"], rows, right=["size"]))


@datasets_app.command()
def add(
    name: Name,
    place: Annotated[
        str, typer.Argument(help="A folder or file, nfs://SERVER/PATH, pvc://CLAIM/PATH, or a URL of an object store.")
    ],
    size: Annotated[
        str | None, typer.Option(help="Of all its files: 4GB, 200Mi, a number; measured where the place is at hand.")
    ] = None,
    digest: Annotated[str, typer.Option(help="Checksum: sha256:…; of a single file at hand it is worked out.")] = "",
    speed: Annotated[float | None, typer.Option(help="Bytes per second at which its place gives it away.")] = None,
    kept: Annotated[
        bool, typer.Option("--kept-where-read", help="A node keeps a copy once a task has read it there.")
    ] = False,
    json: Json = False,
) -> None:
    """Register a data set, or change what is known of it: tasks that read it then stay where it lies, if that pays."""
    from mlopx.cli.output import size as written
    from mlopx.remote import Client

    with advice():
        here = Path(place)
        size_bytes = _measured(here) if size is None else _bytes(size)
        body = {
            "name": name,
            "place": str(here.absolute()) if "://" not in place else place,
            "size_bytes": size_bytes,
            "digest": digest or (_digest(here) if here.is_file() else ""),
            "bytes_per_second": speed,
            "is_kept_where_read": kept,
        }
        answer = Client().post("/api/v1/datasets", body)
        _say(answer, f"data set {name} is registered: {written(answer['size_bytes'])} at {answer['place']}", json)


@datasets_app.command()
def remove(name: Name, json: Json = False) -> None:
    """Forget a data set; its files stay."""
    from mlopx.remote import Client

    with advice():
        _say(Client().delete(_path(name)), f"data set {name} is forgotten; its files stay", json)


@datasets_app.command()
def copy(
    name: Name,
    node: Annotated[str, typer.Argument(help="A node that holds all of it.")],
    gone: Annotated[bool, typer.Option("--gone", help="It holds it no more.")] = False,
    json: Json = False,
) -> None:
    """Say that a node holds a copy of a data set, or holds it no more."""
    from mlopx.remote import Client

    with advice():
        path = f"{_path(name)}/copies/{quote(node, safe='')}"
        answer = Client().delete(path) if gone else Client().post(path)
        _say(answer, f"node {node} holds {'no copy' if gone else 'a copy'} of {name}", json)


def _path(name: str) -> str:
    return f"/api/v1/datasets/{quote(name, safe='')}"


def _copies(one: Mapping[str, Any], now: str) -> str:
    """The nodes with copies, each with how long ago that was known."""
    from mlopx.cli.output import span

    at = datetime.fromisoformat(now)
    ages = ((copy["node"], (at - datetime.fromisoformat(copy["seen_at"])).total_seconds()) for copy in one["copies"])
    return ", ".join(f"{node} ({span(max(age, 0))} ago)" for node, age in ages)


def _bytes(text: str) -> int:
    from mlopx.errors import DefinitionError
    from mlopx.spec import parse_memory

    amount = text.strip()
    for unit, short in (("KB", "k"), ("kB", "k"), ("MB", "M"), ("GB", "G"), ("TB", "T"), ("iB", "i")):
        amount = amount.removesuffix(unit) + short if amount.endswith(unit) else amount
    try:
        return parse_memory(amount)
    except ValueError as error:
        raise DefinitionError(f"--size {text}: {error}", hint="write 4GB, 200Mi, or a number of bytes") from None


def _measured(place: Path) -> int:
    from mlopx.errors import DefinitionError

    if not place.exists():
        raise DefinitionError(f"{place} is not at hand, so its size is unknown", hint="give --size, 4GB say")
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _say(answer: Mapping[str, Any], text: str, as_json: bool) -> None:
    from mlopx.cli.output import show

    if as_json:
        show(answer)
    else:
        sys.stdout.write(text + "\n")


__all__ = ["datasets_app"]
