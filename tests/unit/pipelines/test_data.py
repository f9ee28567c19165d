"""The data sets are what `data/README.md` says they are."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import re
import struct
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

SETS = {"bikes": 8645, "diamonds": 53940, "digits": 1797, "languages": 9565, "segments": 2310}


@pytest.fixture(scope="module")
def make_data(project_root: Path) -> ModuleType:
    """`utils/make_data.py`, imported."""
    spec = importlib.util.spec_from_file_location("make_data", project_root / "utils" / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(project_root: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(project_root / "data" / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_these_are_all_data_sets(project_root: Path) -> None:
    assert {path.name for path in (project_root / "data").iterdir()} == {
        "README.md",
        *(f"{name}.csv.gz" for name in SETS),
    }


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_the_digest_size_and_rows_that_the_readme_states(project_root: Path, name: str) -> None:
    content = (project_root / "data" / f"{name}.csv.gz").read_bytes()
    readme = (project_root / "data" / "README.md").read_text(encoding="utf-8")
    section = readme.split(f"## `{name}.csv.gz`")[1].split("\n## ")[0]
    assert f"`{hashlib.sha256(content).hexdigest()}`" in section
    row = re.search(rf"\| `{name}\.csv\.gz` \| ([\d,]+) \|.*\| (\d+) KiB \|", readme)
    assert row is not None
    assert int(row[1].replace(",", "")) == SETS[name] == len(read(project_root, name))
    assert int(row[2]) == round(len(content) / 1024)
    assert len(content) < 1.5e6


@pytest.mark.parametrize("name", SETS)
def test_a_set_says_its_source_and_licence(project_root: Path, name: str) -> None:
    readme = (project_root / "data" / "README.md").read_text(encoding="utf-8")
    section = readme.split(f"## `{name}.csv.gz`")[1].split("\n## ")[0]
    assert "**Source**" in section
    assert re.search(r"\*\*Licence\*\*: .*(CC BY 4\.0|MIT|BSD-3-Clause)", section)


@pytest.mark.parametrize("name", SETS)
def test_a_set_keeps_no_time_in_its_header(project_root: Path, name: str) -> None:
    content = (project_root / "data" / f"{name}.csv.gz").read_bytes()
    assert struct.unpack_from("<I", content, 4) == (0,)


@pytest.mark.parametrize(("name", "label", "classes"), [("segments", "category", 7), ("digits", "digit", 10)])
def test_labels_are_balanced(project_root: Path, name: str, label: str, classes: int) -> None:
    counts = Counter(row[label] for row in read(project_root, name))
    assert len(counts) == classes
    assert min(counts.values()) > 0.9 * max(counts.values())


def test_languages_have_thirty_of_them_and_no_placeholder_left(project_root: Path) -> None:
    rows = read(project_root, "languages")
    counts = Counter(row["language"] for row in rows)
    assert len(counts) == 30
    assert min(counts.values()) > 290
    assert not [row["text"] for row in rows if "%(" in row["text"] or "<" in row["text"] or len(row["text"]) < 12]


def test_writing_the_same_table_twice_gives_the_same_bytes(make_data: ModuleType, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert make_data.write(tmp_path / name, ("x", "text"), iter([(1, "é"), (2, 'say "x"')])) == 2
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert gzip.decompress((tmp_path / "a").read_bytes()).decode() == 'x,text\n1,é\n2,"say ""x"""\n'


def test_the_digits_can_be_rebuilt_from_scikit_learn(make_data: ModuleType, project_root: Path, tmp_path: Path) -> None:
    columns, rows = make_data.digits(tmp_path)
    assert make_data.write(tmp_path / "digits.csv.gz", columns, rows) == 1797
    kept = (project_root / "data" / "digits.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "digits.csv.gz").read_bytes()) == gzip.decompress(kept)


def test_a_catalogue_gives_singular_texts_without_their_context(make_data: ModuleType) -> None:
    pairs = [("menu\4Open", "Öffnen"), ("%d file\0%d files", "%d Datei\0%d Dateien")]
    texts = [text.encode() for pair in zip(*pairs, strict=True) for text in pair]
    start = 28 + 16 * len(pairs)
    offsets = [start + sum(len(text) + 1 for text in texts[:index]) for index in range(len(texts))]
    tables = [struct.pack("<2I", len(text), offset) for text, offset in zip(texts, offsets, strict=True)]
    data = struct.pack("<7I", 0x950412DE, 0, 2, 28, 28 + 16, 0, 0) + b"".join(tables) + b"\0".join(texts) + b"\0"
    assert list(make_data._catalog(data)) == [("Open", "Öffnen"), ("%d file", "%d Datei")]
    with pytest.raises(ValueError, match="little-endian"):
        list(make_data._catalog(b"\0" * 28))
