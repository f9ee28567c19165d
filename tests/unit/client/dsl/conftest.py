"""What the tests of the library share: a mistake is made, and must be told with the line that makes it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Pipeline, pipeline
from mlopx.errors import DefinitionError
from mlopx.spec import PipelineSpec

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]

MARK = "# here"
"""Marks the line of a definition that the error must name; a lambda's is its own."""


def place_of(definition: Callable[..., Any]) -> str:
    """`file:line` of the marked line of a function, or of a lambda."""
    code = definition.__code__
    line = code.co_firstlineno
    if definition.__name__ != "<lambda>":
        lines, start = inspect.getsourcelines(definition)
        (line,) = [start + at for at, text in enumerate(lines) if MARK in text]
    return f"{os.path.relpath(code.co_filename)}:{line}"


def fault_of(act: Callable[[], Any], definition: Callable[..., Any]) -> DefinitionError:
    """The error that an act ends with: it names the definition's line, and speaks no validator's words."""
    with pytest.raises(DefinitionError) as caught:
        act()
    assert caught.value.where == place_of(definition)
    assert "validation error" not in str(caught.value)
    assert " object at 0x" not in str(caught.value)
    return caught.value


@pytest.fixture
def told_at_once() -> Told:
    """Runs a definition outside of any pipeline; returns its error, whose place it has checked."""
    return lambda definition: fault_of(definition, definition)


@pytest.fixture
def told() -> Told:
    """Builds a pipeline of which the definition is the body; returns its error, whose place it has checked."""
    return lambda definition: fault_of(lambda: pipeline(definition).build(), definition)


@pytest.fixture
def build() -> Build:
    """Builds a pipeline of which the definition is the body."""

    def built(definition: Callable[..., Any]) -> PipelineSpec:
        made = pipeline(definition)
        assert isinstance(made, Pipeline)
        return made.build()

    return built
