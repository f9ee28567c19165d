"""Taking a function's source along: its text without decorators, and the proof that it can run alone."""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopx.dsl.where import here, shown
from mlopx.errors import DefinitionError

PROVIDED = {
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Dataset",
    "Input",
    "Markdown",
    "Metrics",
    "Model",
    "Output",
    "TaskInfo",
    "Any",
    "Dict",
    "List",
    "NamedTuple",
    "Optional",
    "Tuple",
    "Union",
    "__file__",
    "__name__",
}
"""Names that the runtime defines around the function."""


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function's text as it travels. `line` is where its `def` stands in `file`."""

    text: str
    file: str
    line: int
    where: str


def read_source(function: Callable[..., Any]) -> FunctionSource:
    """Take the source of a plain function. Raises DefinitionError where it could not run alone."""
    where = place_of(function, "component")
    if function.__name__ == "<lambda>":
        raise DefinitionError("a lambda cannot be a component", hint="write it as a function with def", where=where)
    if "." in function.__qualname__.replace("<locals>.", "") and "<locals>" not in function.__qualname__:
        raise DefinitionError(
            f"{function.__qualname__} is a method", hint="a component is a plain function", where=where
        )
    try:
        lines, start = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise DefinitionError(
            f"the source of {function.__name__} cannot be read",
            hint="define components in a file or a notebook cell, not in an interactive prompt",
            where=where,
        ) from error
    text = _without_margin("".join(lines))
    node = ast.parse(text).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise DefinitionError(f"{function.__name__} is no plain function", hint="use def, not async def", where=where)
    body = "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]) + "\n"
    name, definition = _returned_tuple(function)
    _require_alone(function, body, where, known={name})
    return FunctionSource(body + definition, Path(function.__code__.co_filename).name, start + node.lineno - 1, where)


def place_of(function: Callable[..., Any], decorator: str) -> str:
    """`file:line` where a decorated function begins. Raises DefinitionError if it is no function."""
    if not inspect.isfunction(function):
        is_name = isinstance(function, str)
        raise DefinitionError(
            f"@{decorator} takes a function, not {function!r}"
            if is_name
            else f"@{decorator} takes a function, not a {type(function).__name__}",
            hint=f"write @{decorator}(name={function!r})" if is_name else "decorate a function written with def",
            where=here(),
        )
    code = function.__code__
    return f"{shown(code.co_filename)}:{code.co_firstlineno}"


def _without_margin(text: str) -> str:
    """The text moved to the left edge; lines that continue a text in quotes stay as they are, being its content."""
    margin = text[: len(text) - len(text.lstrip())]
    if not margin:
        return text
    quoted = {
        line
        for node in ast.walk(ast.parse(f"if True:\n{text}"))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for line in range(node.lineno - 1, (node.end_lineno or node.lineno) - 1)
    }
    lines = text.splitlines(keepends=True)
    return "".join(line if at in quoted else line.removeprefix(margin) for at, line in enumerate(lines))


def _returned_tuple(function: Callable[..., Any]) -> tuple[str, str]:
    """Name and definition of the NamedTuple that the function is annotated to return, which travels with it."""
    annotation = function.__annotations__.get("return")
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    returned = function.__globals__.get(name) if isinstance(annotation, str) else annotation
    fields = getattr(returned, "_fields", None) if isinstance(returned, type) else None
    if fields is None or not name.isidentifier():
        return "", ""
    pairs = ", ".join(f'("{field}", Any)' for field in fields)
    return name, f'\n\n{name} = NamedTuple("{name}", [{pairs}])\n'


def _require_alone(function: Callable[..., Any], body: str, where: str, *, known: set[str]) -> None:
    missing = sorted((set(function.__code__.co_freevars) | _globals_used(body)) - known)
    if missing:
        names = ", ".join(missing)
        raise DefinitionError(
            f"{function.__name__} uses {names} from outside; a component's function runs alone, somewhere else",
            hint="import and define what it needs inside the function, or pass it as a parameter",
            where=where,
        )


def _globals_used(body: str) -> set[str]:
    """Names that the function's body and defaults read from around it, builtins and provided names left out."""
    tree = ast.parse(body)
    function = tree.body[0]
    if isinstance(function, ast.FunctionDef):
        _drop_annotations(function)
    used: set[str] = set()
    tables = [symtable.symtable(ast.unparse(tree), "<component>", "exec")]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        is_module = table.get_type() in ("module", getattr(symtable, "SymbolTableType", None))
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or (is_module and not symbol.is_assigned())):
                used.add(symbol.get_name())
    return {name for name in used if not hasattr(builtins, name) and name not in PROVIDED and name != function.name}  # type: ignore[attr-defined]  # a FunctionDef has a name


def _drop_annotations(function: ast.FunctionDef) -> None:
    function.returns = None
    for argument in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
        argument.annotation = None
