"""What all database files have in common, shown with SQLite."""

import errno
import sqlite3
from contextlib import closing

import pytest

from stagerunner_parts.sinks.database import quoted
from stagerunner_parts.sinks.sqlite import Sqlite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def sink(path):
    """A sink to which a record was written and committed."""
    sink = Sqlite(path=path, table="orders")
    sink.open(None)
    sink.write(sink.encode([{"id": 1}]))
    sink.commit({"frame": 1})
    yield sink
    sink.abort()


@pytest.fixture
def patience(monkeypatch):
    """What may take half a minute takes moments."""
    monkeypatch.setattr("stagerunner_parts.sinks.database.PATIENCE", 0.3)
    monkeypatch.setattr("stagerunner_parts.sinks.sqlite.SOON", 0.05)


def test_a_name_is_quoted_for_sql():
    assert quoted('odd "one"') == '"odd ""one"""'


def test_a_table_that_is_gone_cannot_be_resumed(path):
    sink = Sqlite(path=path, table="orders")
    with pytest.raises(OSError, match="is gone"):
        sink.open(5)
    sink.abort()


@pytest.mark.parametrize("table", ["", "_stagerunner", "sqlite_x", "a\0"])
def test_names_that_cannot_be(path, table):
    with pytest.raises(ValueError, match="name of a table"):
        Sqlite(path=path, table=table).check()


def test_what_can_be_asked(path):
    sink = Sqlite(path=path, table="orders")
    sink.sync()
    assert (sink.keeps, sink.target(), sink.describe()) == ("transaction", path, f"table orders of {path}")


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_it_waits_for_a_locked_database_and_says_so_once(path, patience, capfd, lock):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE others (a)")
        other.execute(lock)
        for sink in (Sqlite(path=path, table="orders"), Sqlite(path=path, table="orders", mode="new")):
            sink.check()
            with pytest.raises(OSError, match=r"another process has kept .*shop.db locked for 0.3 s") as caught:
                sink.open(None)
            assert caught.value.errno == errno.EBUSY
            assert capfd.readouterr().err == f"waiting for {path}, locked by another process\n"


def test_a_commit_waits_for_a_reader(path, patience, sink, capfd):
    sink.write(sink.encode([{"id": 2}]))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM _stagerunner").fetchall()
        with pytest.raises(OSError, match="another process has kept"):
            sink.commit({})
        other.execute("COMMIT")
    sink.commit({"frame": 2})
    sink.finish()

    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT id FROM orders").fetchall() == [(1,), (2,)]
    assert capfd.readouterr().err == f"waiting for {path}, locked by another process\n"
