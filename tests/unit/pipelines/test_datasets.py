"""Data sets are uploaded whole, checked, and removed without touching anything else."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def datasets(project_root: Path) -> ModuleType:
    """`utils/datasets.py`, imported."""
    spec = importlib.util.spec_from_file_location("datasets_util", project_root / "utils" / "datasets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["folder", "fsspec"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, or a URL of fsspec."""
    if request.param == "fsspec":
        pytest.importorskip("fsspec")
        return f"memory://{uuid.uuid4().hex}"
    (tmp_path / "target").mkdir()
    return str(tmp_path / "target")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two files."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 100_000)
    (folder / "deep" / "b.bin").write_bytes(b"b" * 50)
    return folder


@pytest.fixture
def run(datasets: ModuleType) -> Callable[..., int]:
    """The command."""

    def call(*arguments: object) -> int:
        found: int = datasets.main([str(one) for one in arguments])
        return found

    return call


def test_a_folder_is_uploaded_checked_listed_and_removed(
    run: Callable[..., int], datasets: ModuleType, place: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("upload", source, place) == 0
    said = capsys.readouterr()
    assert "photos: 2 files, checksums right" in said.out
    assert "100 %" in said.err
    target = datasets.target_at(place)
    assert target.files() == ["photos.sha256", "photos/a.bin", "photos/deep/b.bin"]
    assert run("check", place, "photos") == 0
    assert run("list", place) == 0
    assert "photos: 2 files" in capsys.readouterr().out
    assert run("remove", place, "photos") == 0
    assert target.files() == []


def test_what_is_there_is_not_sent_again_and_what_is_gone_at_the_source_goes(
    run: Callable[..., int], datasets: ModuleType, place: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("upload", source, place)
    (source / "deep" / "b.bin").unlink()
    (source / "c.bin").write_bytes(b"c")
    capsys.readouterr()
    assert run("upload", source, place) == 0
    assert "photos/a.bin: there already" in capsys.readouterr().err
    assert datasets.target_at(place).files() == ["photos.sha256", "photos/a.bin", "photos/c.bin"]


def test_a_file_that_changed_at_the_target_is_found_and_mended(
    run: Callable[..., int], datasets: ModuleType, place: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("upload", source, place)
    with datasets.target_at(place).open("photos/a.bin", "wb") as file:
        file.write(b"broken")
    assert run("check", place, "photos") == 1
    assert "photos/a.bin is not as it was sent" in capsys.readouterr().out
    run("upload", source, place)
    assert run("check", place, "photos") == 0


def test_what_arrives_otherwise_than_it_was_sent_never_gets_its_name(
    datasets: ModuleType, tmp_path: Path, source: Path
) -> None:
    class Spoiling(datasets.Folder):  # type: ignore[name-defined,misc]  # a class of a module that was loaded by path
        def open(self, name: str, mode: str) -> object:
            if mode == "rb" and name.endswith(".part"):
                (tmp_path / name).write_bytes(b"spoilt")
            return super().open(name, mode)

    with pytest.raises(datasets.TargetError, match="did not arrive as it was sent"):
        datasets.upload(source / "a.bin", Spoiling(tmp_path), "a.bin", lambda text: None)
    assert not (tmp_path / "a.bin").exists()
    assert not (tmp_path / "a.bin.part").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc", ".hidden", "x.sha256", "a/../../b"])
def test_names_that_leave_the_target_are_refused(
    run: Callable[..., int], name: str, place: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("upload", source, place, "--name", name) == 2
    assert run("remove", place, name) == 2
    assert "is no name for a data set" in capsys.readouterr().err


def test_only_what_a_list_names_is_removed_even_if_somebody_wrote_into_it(
    run: Callable[..., int], datasets: ModuleType, tmp_path: Path, source: Path
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "other.bin").write_bytes(b"x")
    run("upload", source, folder)
    with (folder / "photos.sha256").open("a") as file:
        file.write(f"{'0' * 64}  other.bin\n{'0' * 64}  photos/../other.bin\n")
    assert run("remove", folder, "photos") == 0
    assert datasets.target_at(str(folder)).files() == ["other.bin"]


def test_mistakes_get_one_sentence(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("upload", tmp_path / "nothing", tmp_path) == 2
    assert run("list", tmp_path / "no-folder") == 2
    assert run("remove", tmp_path, "photos") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].endswith("does not exist")
    assert said[2].endswith("there are: none")
