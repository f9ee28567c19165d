"""A damaged database: whichever page is damaged, that is said, or what is read is right; never a driver's error."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from server.domain.errors import MlopxError, UnavailableError
from server.stores.interface import RunFilter
from server.stores.sql import SqlRunStore
from server.testing.contracts.store import a_change, put

RUNS = 40


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with some runs."""
    path = tmp_path_factory.mktemp("sound") / "store.sqlite"
    store = SqlRunStore(f"sqlite:///{path}")
    for number in range(RUNS):
        put(store, a_change(f"run-{number:02}"), f"key-{number}")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (RUNS,)
    return path


def page_size_and_count(path: Path) -> tuple[int, int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA page_size").fetchone()[0], connection.execute("PRAGMA page_count").fetchone()[
            0
        ]


def use(path: Path) -> str:
    """Do what a server does at its start and later; what the store says of damage, or nothing."""
    try:
        store = SqlRunStore(f"sqlite:///{path}")
    except MlopxError as error:
        return str(error)
    try:
        live = store.live_runs()
        assert [run.id for run in live] == sorted(run.id for run in live)
        assert len(live) == RUNS
        assert len(store.list_runs(RunFilter(limit=500)).runs) == RUNS
        assert len(store.events(after=0, limit=10_000)) >= RUNS
        put(store, a_change("another"), "another")
        store.load_run("another")
    except MlopxError as error:
        return str(error)
    finally:
        store.close()
    return ""


def test_whichever_page_is_damaged_that_is_said_in_words(sound: Path, tmp_path: Path) -> None:
    size, count = page_size_and_count(sound)
    said = set()
    for page in range(count):
        path = tmp_path / f"page-{page}.sqlite"
        shutil.copy(sound, path)
        with open(path, "r+b") as file:
            file.seek(page * size)
            file.write(b"\xff" * size)
        said.add(use(path).partition("\n")[0])
        path.unlink()
    assert any("malformed" in text for text in said)


def test_what_is_damaged_is_not_taken_for_passing_trouble(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    shutil.copy(sound, path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
    size, _ = page_size_and_count(path)
    with open(path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    store = SqlRunStore(f"sqlite:///{path}")
    with pytest.raises(UnavailableError, match="the database is damaged") as caught:
        store.live_runs()
    assert "put a copy of the file back" in (caught.value.hint or "")
    store.close()
