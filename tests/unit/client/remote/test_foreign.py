"""Kubeflow files that cannot be meant are refused with their place before they are sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlopx.errors import UsageError
from mlopx.remote import foreign
from mlopx.remote.foreign import AGAIN, read_foreign

SOUND = "# made by the SDK\nroot:\n  dag: {}\nschemaVersion: 2.1.0\n"
REFUSED = {
    "nothing": (b" \n", "flow.yaml is empty", None),
    "no text": (b"root:\n\xff", "flow.yaml is not UTF-8 text at byte 6", None),
    "two pipelines": (
        f"{SOUND}---\n{SOUND}".encode(),
        "flow.yaml holds 2 pipelines; there must be one",
        "write one pipeline to one file",
    ),
    "a workflow of version 1": (
        b"# old\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
        "flow.yaml, line 2: is an Argo workflow, as Kubeflow Pipelines 1 compiled them",
        AGAIN,
    ),
    "a component of version 1": (
        b"name: step\nimplementation:\n  container: {}\n",
        "flow.yaml, line 2: is a component of Kubeflow Pipelines 1, not a pipeline",
        AGAIN,
    ),
    "another schema": (
        b'root: {}\n"schemaVersion": "2.0.0"\n',
        "flow.yaml, line 2: is of schemaVersion 2.0.0; Kubeflow Pipelines 2 reads 2.1.0",
        AGAIN,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_kubeflow_would_not_take_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    content, said, hint = REFUSED[case]
    path = tmp_path / "flow.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_foreign(path)
    assert caught.value.message.removeprefix(f"{tmp_path}/") == said
    assert caught.value.hint == hint


def test_a_sound_file_is_taken_to_the_letter_with_its_platform_part(tmp_path: Path) -> None:
    text = f"{SOUND}---\nplatforms:\n  kubernetes: {{}}\n"
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    assert read_foreign(path) == foreign.ForeignPipeline("flow.yaml", text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone.yaml cannot be read: No such file or directory$"):
        read_foreign(tmp_path / "gone.yaml")


def test_a_file_larger_than_kubeflow_takes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MOST_BYTES", 1 << 20)
    path = tmp_path / "flow.yaml"
    path.write_text(SOUND + "#" * (1 << 20))
    with pytest.raises(UsageError, match=r"flow.yaml is larger than 1 MiB, the most that Kubeflow takes"):
        read_foreign(path)
