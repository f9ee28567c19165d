"""Beside the SDK: what it loads we never refuse, whatever was done to it; where it mixes placements up, we do not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domain.errors import InvalidSubmissionError
from server.platforms.kubeflow.placing import PlacementMode, TaskPlacement, place_pipeline
from server.platforms.kubeflow.reading import read_pipeline
from server.testing.compiled import a_node

COMPILES = 100
FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FAST_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
HOST = "kubernetes.io/hostname"
DELIBERATE = (
    "has no tasks",
    "contains itself",
    "has no name",
    "schemaVersion",
    "is empty",
    "no parameterType",
    "it has no root (it has: nothing)",
    "_CONFIG, not 1.5",
    "_CONFIG, not True",
)
"""What we refuse on purpose although the SDK's loader does not look at it (or takes 1.5 and True for the number of a
kind); Kubeflow's server does."""


def test_a_task_and_a_nested_task_of_one_component_go_where_each_was_sent_in_a_hundred_compiles(
    judge: Any, sdk: Any, tmp_path: Path
) -> None:
    from kfp import dsl

    @dsl.pipeline
    def nested():  # type: ignore[no-untyped-def]  # the SDK reads the annotations
        sdk.number(value=1.0)
        sdk.add(left=1.0)

    def outer():  # type: ignore[no-untyped-def]  # likewise
        sdk.number(value=2.0)
        nested()

    wanted = {"number": a_node("outer"), "nested/number": a_node("inner")}
    right = 0
    for _ in range(COMPILES):
        pipeline = read_pipeline(judge.compile(outer, tmp_path))
        placed = place_pipeline(
            pipeline, {path: TaskPlacement((node,)) for path, node in wanted.items()}, mode=PlacementMode.REQUIRE
        )
        tasks = read_pipeline(placed.text).tasks
        right += (
            all(
                [one.values for one in tasks[path].constraints.selector if one.label == HOST] == [(node.name,)]
                for path, node in wanted.items()
            )
            and not tasks["nested/add"].constraints.selector
        )
    assert right == COMPILES


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be changed in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


def mutated(documents: list[Any], place: tuple[Any, ...], kind: str, junk: Any) -> str:
    changed = copy.deepcopy(documents)
    at: Any = changed
    for key in place[:-1]:
        at = at[key]
    last = place[-1]
    if kind == "delete":
        del at[last]
    elif kind == "rename" and isinstance(at, dict):
        at[f"{last}x"] = at.pop(last)
    elif kind == "null":
        at[last] = None
    else:
        at[last] = junk
    return str(yaml.dump_all(changed, Dumper=FAST_DUMPER, sort_keys=False))


JUNK = st.sampled_from([0, 1.5, "x", True, {}, [1], {"a": 1}, {"a": None}, "10s", -1, "NUMBER_DOUBLE"])
"""No empty texts and lists: the SDK takes them for an empty mapping, which Kubeflow itself does not."""


KINDS = st.sampled_from(["delete", "rename", "null", "junk"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 10_000), where=st.integers(0, 10_000), kind=KINDS, junk=JUNK)
def test_whatever_is_done_to_a_file_we_read_it_or_refuse_it_in_words_but_never_what_the_sdk_loads(
    judge: Any, compiled: Mapping[str, str], which: int, where: int, kind: str, junk: Any
) -> None:
    name = sorted(compiled)[which % len(compiled)]
    documents = list(yaml.load_all(compiled[name], FAST_LOADER))
    found = places(documents)
    text = mutated(documents, found[where % len(found)], kind, junk)
    try:
        pipeline = read_pipeline(text, "the file")
    except InvalidSubmissionError as error:
        message = str(error)
        assert message.startswith("the file")
        if not any(reason in message for reason in DELIBERATE):
            with pytest.raises(Exception):  # noqa: B017, PT011 - the SDK raises whatever comes
                judge.load(text)
        return
    nodes = {task.path: TaskPlacement((a_node("one"), a_node("two"))) for task in pipeline.placeable()}
    for mode in PlacementMode:
        placed = place_pipeline(pipeline, nodes, mode=mode)
        assert list(read_pipeline(placed.text).tasks) == list(pipeline.tasks)


@settings(max_examples=100, deadline=None)
@given(text=st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidSubmissionError, match=r"the pipeline file"):
        read_pipeline(text)
