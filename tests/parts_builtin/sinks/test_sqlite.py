import sqlite3
from contextlib import closing

import pytest

from stagerunner_parts.sinks.sqlite import Sqlite

MODES = ("replace", "append", "new")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "shop.db"


@pytest.fixture(autouse=True)
def connections(monkeypatch):
    """Tests leave sinks behind as a killed process would; what they have opened is closed after them."""
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: opened.append(connect(*args, **more)) or opened[-1])
    yield
    for base in opened:
        base.close()


def rows(path, table="orders"):
    with closing(sqlite3.connect(path)) as base:
        cursor = base.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]


def tables(path):
    with closing(sqlite3.connect(path)) as base:
        return {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def written(path, *frames, mode="replace", position=None, table="orders", **options):
    """A sink to which these frames were written, each committed with its number."""
    sink = Sqlite(path=path, table=table, mode=mode, **options)
    sink.check()
    sink.open(position)
    for number, frame in enumerate(frames, 1):
        sink.write(sink.encode(frame))
        sink.commit({"frame": number})
    return sink


@pytest.mark.parametrize("mode", MODES)
def test_a_row_a_record(path, mode):
    sink = written(
        path, [{"id": 1, "name": "amy"}, {"name": "bob"}], [{"name": None, "id": 2.5}], mode=mode, missing="fill"
    )
    assert sink.position() == 3
    sink.finish()
    assert rows(path) == [{"id": 1, "name": "amy"}, {"id": None, "name": "bob"}, {"id": 2.5, "name": None}]
    assert tables(path) == {"orders", "_stagerunner"}


def test_odd_names(path):
    written(path, [{'a "b"': 1, "select": 2, "ä;": 3}], table='odd "one"').finish()
    with closing(sqlite3.connect(path)) as base:
        assert base.execute('SELECT "a ""b""", "select", "ä;" FROM "odd ""one"""').fetchall() == [(1, 2, 3)]


def test_the_old_table_stays_until_the_end(path):
    written(path, [{"id": 1}]).finish()
    sink = written(path, [{"other": 2}])
    assert rows(path) == [{"id": 1}]
    sink.finish()
    assert rows(path) == [{"other": 2}]


def test_no_records_replace_the_old_table_too(path):
    written(path, [{"id": 1}]).finish()
    written(path).finish()
    assert tables(path) == {"_stagerunner"}


def test_append_goes_on_in_the_table_that_is_there(path):
    written(path, [{"id": 1}]).finish()
    written(path, [{"ID": 2}], mode="append").finish()
    assert rows(path) == [{"id": 1}, {"id": 2}]


def test_new_overwrites_nothing(path):
    written(path, [{"id": 1}], mode="new").finish()
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        Sqlite(path=path, table="orders", mode="new").check()
    written(path, [{"id": 2}], mode="new", table="others").finish()
    assert rows(path) == [{"id": 1}]


@pytest.mark.parametrize("mode", MODES)
def test_the_runners_row_is_in_the_same_transaction(path, mode):
    sink = written(path, [{"id": 1}], [{"id": 2}], mode=mode)
    sink.write(sink.encode([{"id": 3}]))
    sink.abort()
    again = Sqlite(path=path, table="orders", mode=mode)
    assert again.last_row() == {"frame": 2}
    again = written(path, [{"id": 4}], mode=mode, position=2)
    assert again.position() == 3
    again.finish()
    assert rows(path) == [{"id": 1}, {"id": 2}, {"id": 4}]
    assert again.last_row() == {"frame": 1}


def test_a_new_run_begins_a_new_table(path):
    written(path, [{"id": 1}]).abort()
    written(path, [{"id": 2}]).finish()
    assert rows(path) == [{"id": 2}]


def test_there_is_no_row_before_the_first_commit(path):
    sink = Sqlite(path=path, table="orders")
    assert sink.last_row() is None
    sink.open(None)
    sink.abort()
    assert sink.last_row() is None


def test_finish_may_be_called_twice(path):
    written(path, [{"id": 1}]).finish()
    Sqlite(path=path, table="orders").finish()
    assert rows(path) == [{"id": 1}]


def test_finish_without_having_been_opened(path):
    written(path, [{"id": 1}]).abort()
    Sqlite(path=path, table="orders").finish()
    assert rows(path) == [{"id": 1}]


def test_a_field_without_a_column(path):
    sink = written(path, [{"id": 1}])
    with pytest.raises(ValueError, match=r"'x', and table orders of .* has no such column"):
        sink.write(sink.encode([{"x": 1}]))
    sink.abort()


@pytest.mark.parametrize("record", [{"id": 1}, {"ID": 1, "Name": 2, "c": 3}, {"id": 1, "c": 3}])
@pytest.mark.parametrize("known", ["from the first record", "from the table", "within a frame"])
def test_a_field_too_many_or_too_few(path, record, known):
    sink = Sqlite(path=path, table="orders")
    before = [{"id": 1, "name": 2}] if known == "within a frame" else []
    if known == "from the first record":
        sink.expect(sink.columns_of({"id": 1, "name": 2}))
    elif known == "from the table":
        parent = written(path, [{"id": 1, "name": 2}])
        sink.expect(parent.columns())
        parent.abort()
    with pytest.raises(ValueError, match=r"there is no column for 'c'; `extras|the record lacks 'name'; `missing"):
        sink.encode([*before, record])


def test_extras_are_ignored_and_what_is_missing_is_filled(path):
    records = [{"id": 1, "name": "a"}, {"NAME": "b", "c": 3}, {"c": 4, "id": 5, "name": "d"}]
    written(path, records, extras="ignore", missing="fill").finish()
    assert rows(path) == [{"id": 1, "name": "a"}, {"id": None, "name": "b"}, {"id": 5, "name": "d"}]


def test_what_was_encoded_for_other_columns_is_not_written(path):
    sink = written(path, [{"id": 1, "name": 2}])
    other = Sqlite(path=path, table="orders")
    assert sink.fits(other.encode([{"NAME": 3, "id": 4}]))
    assert not sink.fits(other.encode([{"id": 1}]))
    assert not sink.fits(other.encode([{"id": 1, "c": 2}]))
    assert sink.columns() == ["id", "name"]
    sink.abort()


def test_a_file_that_is_no_database(write):
    sink = Sqlite(path=write("a.db", b"no database at all, " * 20), table="orders", mode="new")
    with pytest.raises(OSError, match=r"SQLite can't use .*a\.db"):
        sink.check()
    sink.abort()


def strict(path, clause=""):
    """A sink that appends to a table with a key, opened."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"CREATE TABLE orders (id INTEGER PRIMARY KEY {clause}, name TEXT NOT NULL)")
    return written(path, [{"id": 7, "name": "old"}], mode="append")


def test_all_rows_but_those_refused_are_written(path):
    sink = strict(path)
    rows_ = [{"id": n, "name": None if n == 3 else "new"} for n in range(10)]
    refused = sink.write_or_refuse(sink.encode([*rows_, {"name": "last", "id": 9}]))
    sink.commit({})

    assert {at: str(why) for at, why in refused.items()} == {
        3: "NOT NULL constraint failed: orders.name",
        7: "UNIQUE constraint failed: orders.id",
        10: "UNIQUE constraint failed: orders.id",
    }
    assert (sink.position(), [row["id"] for row in rows(path)]) == (9, [0, 1, 2, 4, 5, 6, 7, 8, 9])


def test_a_constraint_that_takes_other_rows_with_it_ends_the_run(path):
    sink = strict(path, "ON CONFLICT ROLLBACK")

    with pytest.raises(OSError, match="UNIQUE constraint failed"):
        sink.write_or_refuse(sink.encode([{"id": 1, "name": "new"}, {"id": 7, "name": "new"}]))
    assert sink.last_row() == {"frame": 1}
