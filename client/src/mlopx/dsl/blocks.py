"""What stands behind `with` in a pipeline function: `If`, `Elif`, `Else` and `Loop`.

Without the `with` such a block would hold nothing, and say nothing. So each is noted when it is made, until it is
entered; those that never are become an error with their line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from types import TracebackType
from typing import Generic, NoReturn, ParamSpec, TypeVar

from mlopx.dsl.build import Build, current_build
from mlopx.dsl.where import here
from mlopx.errors import DefinitionError

P = ParamSpec("P")
Given = TypeVar("Given")


class Block(AbstractContextManager[Given], Generic[Given]):
    """A part of a pipeline, to be entered by `with`."""

    def __init__(self, name: str, inner: AbstractContextManager[Given], build: Build) -> None:
        self._name, self._inner, self._build = name, inner, build
        self._place = (name, here())
        build.not_entered.append(self._place)

    def __enter__(self) -> Given:
        if self._place in self._build.not_entered:
            self._build.not_entered.remove(self._place)
        return self._inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._inner.__exit__(kind, error, trace)

    def __bool__(self) -> NoReturn:
        raise without_with(self._name, here())

    def __iter__(self) -> NoReturn:
        raise without_with(self._name, here())


def block(function: Callable[P, Iterator[Given]]) -> Callable[P, Block[Given]]:
    """Make a generator, as for `contextmanager`, a block of pipelines."""
    opened = contextmanager(function)
    name = function.__name__

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Block[Given]:
        return Block(name, opened(*args, **kwargs), require_build(name))

    return made


def require_build(what: str) -> Build:
    """The pipeline under construction. Raises DefinitionError outside of one."""
    build = current_build()
    if build is None:
        raise DefinitionError(
            f"{what} belongs inside a pipeline function",
            hint="decorate the function around it with @pipeline",
            where=here(),
        )
    return build


def without_with(name: str, where: str | None) -> DefinitionError:
    """What is wrong about a block that is used in another way, or not at all."""
    written = {"Loop": "with Loop(items) as item:", "Else": "with Else():"}.get(name, f"with {name}(a == b):")
    return DefinitionError(
        f"{name} stands without `with`, so no task is in it",
        hint=f"write `{written}`, and indent what belongs to it",
        where=where,
    )


__all__ = ["Block", "block", "require_build", "without_with"]
