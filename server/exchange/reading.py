"""Reads a problem from a file, whatever its shape: our own, that of the benchmark files, or WfFormat with a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.exchange import wfformat
from server.exchange.arrays import to_problem
from server.exchange.clusters import read_cluster
from server.exchange.errors import UnreadableError
from server.exchange.loading import as_document, load_json
from server.planning.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Attributes: `problem`; the names of each task's `options`, of `runs`, and of the problem's `resources`."""

    problem: Problem
    options: tuple[tuple[str, ...], ...]
    runs: tuple[str, ...]
    resources: tuple[str, ...]


def read_question(path: Path, cluster: Path | None = None) -> Question:
    """Read a problem file. Raises UnreadableError: one sentence that names the file and the place."""
    found = load_json(path)
    try:
        if wfformat.is_workflow(found):
            if cluster is None:
                raise UnreadableError("a WfFormat file says nothing of your nodes: give them with --cluster FILE.toml")
            document = wfformat.to_document(found, read_cluster(cluster))
        elif cluster is not None:
            raise UnreadableError("has nodes of its own: --cluster goes with WfFormat files only")
        else:
            document = as_document(found)
        problem, options, resources = to_problem(document)
    except UnreadableError as error:
        text = str(error)
        raise UnreadableError(
            text if cluster is not None and text.startswith(str(cluster)) else f"{path}: {text}"
        ) from None
    runs = tuple(run.name or str(number) for number, run in enumerate(document.runs)) or ("0",)
    return Question(problem, options, runs, resources)


__all__ = ["Question", "read_question"]
