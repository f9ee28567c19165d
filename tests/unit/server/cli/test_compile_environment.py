"""`mlopx-server compile`: variables and images come out of the file as they went into the spec, whatever they say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlopx import component, option, pipeline
from mlopx.spec import PipelineSpec, to_json
from server.cli.app import run
from server.platforms.kubeflow.compile.executors import DEFAULT_IMAGE
from server.platforms.kubeflow.reading import read_pipeline

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
HARD = (
    "",
    " ",
    "yes",
    "0x1f",
    "1e3",
    "null",
    "a: b #c",
    "{{$.inputs}}",
    "$(HOME)",
    "- x",
    "line\nline\n",
    "\t'\"\\",
    "ä☃😀",
    "---",
)
VARIABLES = st.dictionaries(NAMES, TEXTS | st.sampled_from(HARD), max_size=5)
IMAGES = st.from_regex(
    r"[a-z0-9]{1,9}(\.[a-z]{2,3})?(:[0-9]{2,4})?/[a-z0-9]{1,9}(:[A-Za-z0-9_.-]{1,9}|@sha256:[0-9a-f]{64})?",
    fullmatch=True,
)


@component
def step(a: int = 0) -> int:
    return a


def compiled(spec: PipelineSpec, folder: Path, *more: str) -> dict[str, Any]:
    """The container of the only task, as the command writes it and as it is read again."""
    source, made = folder / "spec.json", folder / "kfp.yaml"
    source.write_text(to_json(spec), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mlopx-server", "compile", str(source), "-o", str(made), *more])
        with pytest.raises(SystemExit) as ended:
            run()
    assert not ended.value.code
    document, _ = yaml.safe_load_all(made.read_text(encoding="utf-8"))
    [executor] = document["deploymentSpec"]["executors"].values()
    assert read_pipeline(made.read_bytes()).documents.pipeline == document, "our reader agrees with PyYAML"
    container: dict[str, Any] = executor["container"]
    return container


def variables_of(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container.get("env", [])}


@settings(max_examples=20, deadline=None)
@given(variables=VARIABLES, image=st.none() | IMAGES)
def test_variables_and_the_image_are_kept_to_the_letter(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str], image: str | None
) -> None:
    @pipeline
    def one():
        task = step(a=1).env(**variables)
        if image is not None:
            task.image(image)

    container = compiled(one.build(), tmp_path_factory.mktemp("env"))
    assert variables_of(container) == variables
    assert container["image"] == (image or DEFAULT_IMAGE)


@component(image="component:1")
def with_image(a: int = 0) -> int:
    return a


@pytest.mark.parametrize(
    ("task_image", "options", "chosen", "image", "variables"),
    [
        (None, False, (), "component:1", {"A": "task"}),
        ("task:1", False, (), "task:1", {"A": "task"}),
        ("task:1", True, (), "option:1", {"A": "first", "B": "1", "MLOPX_OPTION": "first"}),
        ("task:1", True, ("--option", "step=second"), "task:1", {"A": "task", "MLOPX_OPTION": "second"}),
        (None, True, ("--option", "step=second"), "component:1", {"A": "task", "MLOPX_OPTION": "second"}),
    ],
)
def test_the_nearest_image_wins_and_an_option_adds_its_variables(
    tmp_path: Path,
    task_image: str | None,
    options: bool,
    chosen: tuple[str, ...],
    image: str,
    variables: dict[str, str],
) -> None:
    @pipeline
    def one():
        task = with_image(a=1).named("step").env(A="task")
        if task_image is not None:
            task.image(task_image)
        if options:
            task.any_of(option("first", image="option:1", env={"A": "first", "B": "1"}), option("second", cpu=1))

    container = compiled(one.build(), tmp_path, *chosen)
    assert (container["image"], variables_of(container)) == (image, variables)
