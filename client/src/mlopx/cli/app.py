"""The `mlopx` command: its sub-commands, options and exit codes.

Exit codes: 0 ok, 1 something else, 2 usage or definition, 3 no server, 4 the server said no, 5 the run failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mlopx.cli.datasets import datasets_app
from mlopx.cli.output import advice
from mlopx.cli.scheduling import schedule, schedules_app

app = typer.Typer(
    name="mlopx",
    help="Submit machine-learning pipelines to an MLOpX server, and follow them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunName = Annotated[str, typer.Argument(help="Run id, a unique beginning of one, or `latest`.")]
Latest = Annotated[str, typer.Argument(help="Run id, a unique beginning of one, or `latest`, as by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Param = Annotated[list[str] | None, typer.Option("-p", "--param", help="Parameter NAME=VALUE.")]


def run() -> None:
    """Run the command; our errors become advice and exit codes."""
    with advice():
        app()


def _client() -> Any:
    from mlopx.remote import Client

    return Client()


@app.command()
def submit(
    file: Annotated[
        Path, typer.Argument(help="A definition file (.py), a spec (.json) or a compiled Kubeflow pipeline.")
    ],
    param: Param = None,
    params: Annotated[Path | None, typer.Option(help="Parameters from a JSON file.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    project: Annotated[str | None, typer.Option(help="Whom the run belongs to.")] = None,
    deadline: Annotated[str | None, typer.Option(help="When it should be done, from now: 30m, 2h.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run everything anew.")] = False,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline, where a file defines several.")] = None,
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Create the run on Kubeflow (KFP_URL), without a server; not placed."),
    ] = False,
    json: Json = False,
) -> None:
    """Submit a pipeline."""
    from mlopx.cli import actions

    with advice():
        if direct:
            from mlopx.cli import submitting_directly

            flags = {"--wait": wait, "--no-cache": no_cache, "--json": json}
            values = {"--params": params, "--project": project, "--pipeline": pipeline}
            submitting_directly.submit(
                file, param or [], values, flags, {"--priority": priority, "--deadline": deadline}
            )
        options = {"priority": priority, "project": project, "deadline": deadline}
        caching = False if no_cache else None
        actions.submit_file(
            file, pipeline, param or [], params, {**options, "caching": caching}, wait=wait, as_json=json
        )


@app.command()
def build(
    file: Annotated[Path, typer.Argument(help="A definition file.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write; by default, print.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline, where a file defines several.")] = None,
) -> None:
    """Write a pipeline's spec and submit nothing."""
    from mlopx.cli import actions

    with advice():
        actions.build_file(file, pipeline, output)


app.command()(schedule)
app.add_typer(schedules_app, name="schedules")
app.add_typer(datasets_app, name="datasets")


@app.command()
def runs(
    state: Annotated[list[str] | None, typer.Option(help="Only runs in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only runs of this pipeline.")] = None,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    limit: Annotated[int, typer.Option(help="How many at the most.")] = 20,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    from mlopx.cli import views

    with advice():
        views.runs(_client(), state, name, project, limit, as_json=json)


@app.command()
def show(run: Latest = "latest", json: Json = False) -> None:
    """Show a run: its tasks, where they ran, and what went wrong."""
    from mlopx.cli import views

    with advice():
        views.run(_client(), run, as_json=json)


@app.command()
def watch(
    run: Latest = "latest",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as it happens.")] = False,
) -> None:
    """Follow a run live, with what runs where."""
    from mlopx.cli import watching

    with advice():
        watching.watch(_client(), run, as_json=json)


@app.command()
def logs(
    run: RunName,
    task: Annotated[
        str | None,
        typer.Argument(help="The task, as `mlopx show` names it; by default the one that failed, runs, or is alone."),
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the task ends.")] = False,
    attempt: Annotated[int | None, typer.Option(help="Which attempt; by default the last.")] = None,
    json: Json = False,
) -> None:
    """Print what a task printed."""
    from mlopx.cli import views

    with advice():
        views.logs(_client(), run, task, attempt, follow=follow, as_json=json)


@app.command()
def events(run: Latest = "latest", json: Json = False) -> None:
    """Tell a run's story."""
    from mlopx.cli import views

    with advice():
        views.events(_client(), run, as_json=json)


@app.command()
def explain(
    run: Latest = "latest",
    task: Annotated[str | None, typer.Argument(help="The task, as `mlopx show` names it; all by default.")] = None,
    json: Json = False,
) -> None:
    """Say why a run or a task is where it is, what it waits for, and until when."""
    from mlopx.cli import explaining

    with advice():
        explaining.explain(_client(), run, task, as_json=json)


@app.command()
def accept(
    run: RunName,
    task: Annotated[str, typer.Argument(help="The waiting task, as `mlopx show` names it.")],
    option: Annotated[str | None, typer.Option(help="One of its options; goes to the quickest free node.")] = None,
    node: Annotated[str | None, typer.Option(help="This node, which must have room.")] = None,
    json: Json = False,
) -> None:
    """Take another node or option for a waiting task at once."""
    from mlopx.cli import actions

    with advice():
        actions.accept(_client(), run, task, option, node, as_json=json)


@app.command()
def plan(
    file: Annotated[
        Path | None, typer.Argument(help="A definition or spec; without one, the queue is planned.")
    ] = None,
    param: Param = None,
    strategy: Annotated[str | None, typer.Option(help="With another strategy.")] = None,
    objective: Annotated[str | None, typer.Option(help="turnaround, makespan, cost, deadline or fair.")] = None,
    add_node: Annotated[list[str] | None, typer.Option(help="With one more node like this one.")] = None,
    remove_node: Annotated[list[str] | None, typer.Option(help="Without this node.")] = None,
    priority: Annotated[list[str] | None, typer.Option(help="This run's priority, or RUN=NUMBER.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline, where a file defines several.")] = None,
    json: Json = False,
) -> None:
    """Say what would happen, with nothing submitted: when it would be done, where, and why not sooner."""
    from mlopx.cli import planning

    with advice():
        what_if = {"strategy": strategy, "objective": objective, "add_nodes": add_node, "remove_nodes": remove_node}
        planning.plan(_client(), file, pipeline, param or [], what_if, priorities=priority or [], as_json=json)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="Run id, a unique beginning of one, or `latest`.")],
    second: Annotated[str, typer.Argument(help="The other run.")],
    all: Annotated[bool, typer.Option("--all", help="Also what is the same in both.")] = False,  # noqa: A002 - likewise
    json: Json = False,
) -> None:
    """Show how two runs differ: parameters, values, times, nodes, data and code."""
    from mlopx.cli import comparing

    with advice():
        comparing.compare(_client(), first, second, is_all=all, as_json=json)


@app.command()
def queue(json: Json = False) -> None:
    """Show what waits for a node, and why."""
    from mlopx.cli import views

    with advice():
        views.queue(_client(), as_json=json)


@app.command()
def cancel(
    run: RunName, reason: Annotated[str, typer.Option(help="Kept with the run.")] = "", json: Json = False
) -> None:
    """Stop a run; its exit task still runs."""
    from mlopx.cli import actions

    with advice():
        actions.cancel(_client(), run, reason, as_json=json)


@app.command()
def archive(run: RunName, json: Json = False) -> None:
    """Have the platform put an ended run away; it stays here as it is."""
    from mlopx.cli import actions

    with advice():
        actions.archive(_client(), run, as_json=json)


@app.command()
def retry(
    run: RunName,
    from_task: Annotated[str | None, typer.Option("--from", help="Run this task and what follows anew.")] = None,
    file: Annotated[Path | None, typer.Option(help="A definition file with new code.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Which pipeline of that file.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the new run to its end.")] = False,
    json: Json = False,
) -> None:
    """Run an ended run again, reusing what was finished."""
    from mlopx.cli import actions

    with advice():
        actions.retry(_client(), run, from_task, file, pipeline, wait=wait, as_json=json)


@app.command()
def replace(
    run: RunName,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the new run to its end.")] = False,
    json: Json = False,
) -> None:
    """Accept the offer of a new placement for a run that waits in vain: stop it, and run it anew."""
    from mlopx.cli import actions

    with advice():
        actions.replace(_client(), run, wait=wait, as_json=json)


@app.command()
def rerun(
    run: RunName,
    task: Annotated[str, typer.Argument(help="The task, as `mlopx show` names it.")],
    local: Annotated[bool, typer.Option("--local", help="Run it here, with the inputs it had.")] = False,
    pdb: Annotated[bool, typer.Option("--pdb", help="Stop in the debugger where it fails.")] = False,
) -> None:
    """Run one task of a run here, with the inputs it had."""
    from mlopx.cli import rerunning
    from mlopx.errors import UsageError

    with advice():
        if not local:
            raise UsageError(
                "rerun runs a task on this machine: say --local", hint="to run it there, use `mlopx retry`"
            )
        rerunning.rerun(_client(), run, task, with_debugger=pdb)


@app.command()
def nodes(json: Json = False) -> None:
    """Show the nodes: what they have, what is promised, what runs there."""
    from mlopx.cli import views

    with advice():
        views.nodes(_client(), as_json=json)


@app.command()
def placers(all: Annotated[bool, typer.Option("--all", help="All of them.")] = False, json: Json = False) -> None:  # noqa: A002 - the option's name
    """List the placement strategies."""
    from mlopx.cli import views

    with advice():
        views.placers(_client(), all_of_them=all, as_json=json)


@app.command()
def strategies(
    name: Annotated[str | None, typer.Argument(help="One shadow, with its newest comparisons.")] = None,
    json: Json = False,
) -> None:
    """Show what other strategies (the server's SHADOW) would have done."""
    from mlopx.cli import shadowing

    with advice():
        shadowing.strategies(_client(), name, as_json=json)


@app.command()
def report(
    since: Annotated[str | None, typer.Option(help="How far back: 7d.")] = None,
    month: Annotated[bool, typer.Option("--month", help="The last thirty days, as by default.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for a simulation.")] = False,
    json: Json = False,
) -> None:
    """Say what the strategy saved: measured against the runs left out, or simulated."""
    from mlopx.cli import reporting

    with advice():
        reporting.report(_client(), since, is_month=month, is_waiting=not no_wait, as_json=json)


@app.command()
def doctor(json: Json = False) -> None:
    """Check this installation and the server, and say what to do."""
    from mlopx.cli import doctoring

    with advice():
        doctoring.doctor(_client(), as_json=json)


@app.command()
def version() -> None:
    """Print the library's version."""
    from mlopx import __version__

    typer.echo(__version__)
