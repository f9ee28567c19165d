"""What a definition file does when it is run as a script: it submits its pipeline.

Exit codes: 0 submitted (with --wait: succeeded), 2 definition or usage, 3 no server, 4 the server said no, 5 the run
failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlopx.errors import MlopxError

if TYPE_CHECKING:
    from mlopx.dsl import Pipeline


def main(pipeline: Pipeline, argv: list[str] | None = None) -> None:
    """Read the command line, submit, print the run's id and link. Ends the process on errors, with advice."""
    options = _parser(pipeline).parse_args(argv)
    try:
        _submit(pipeline, options)
    except MlopxError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("\nstopped waiting; the run goes on", file=sys.stderr)  # noqa: T201 - a command's output
        raise SystemExit(130) from None


def _parser(pipeline: Pipeline) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"Submit pipeline {pipeline.name}. {pipeline.description}")
    add = parser.add_argument
    add("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="set a pipeline parameter")
    add("--params", type=Path, metavar="FILE", help="parameters from a JSON file")
    add("--wait", action="store_true", help="follow the run to its end; exit 5 if it fails")
    add("--url", help="the server (default: MLOPX_URL, or http://127.0.0.1:8000)")
    add("--priority", type=int, help="higher goes first")
    add("--project", help="whom the run belongs to")
    add("--deadline", help="when it should be done, from now: 30m, 2h")
    add("--no-cache", action="store_true", help="run everything anew")
    add("--dry-run", action="store_true", help="print the pipeline's spec and submit nothing")
    return parser


def _submit(pipeline: Pipeline, options: argparse.Namespace) -> None:
    from mlopx.cli.parameters import read_parameters
    from mlopx.spec import to_json

    spec = pipeline.build()
    arguments = read_parameters(spec, options.param, options.params)
    if options.dry_run:
        sys.stdout.write(to_json(spec))
        return
    from mlopx.cli.following import follow
    from mlopx.remote import submit

    run = submit(
        spec,
        arguments,
        priority=options.priority,
        project=options.project,
        deadline=options.deadline,
        caching=False if options.no_cache else None,
        url=options.url,
    )
    notes = "".join(f"\n  note: {note}" for note in run.notes)
    print(f"submitted {spec.name} as run {run.id}{notes}\n  {run.link}", flush=True)  # noqa: T201 - a command's output
    if options.wait:
        follow(run)
