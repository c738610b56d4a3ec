"""The sink `duckdb`: as `sqlite`, with typed columns."""

import errno
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from support import needs

from stagerunner_parts.sinks.duckdb import Duckdb

duckdb = needs.module("duckdb", "stagerunner[duckdb]")
MODES = ("replace", "append", "new")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "shop.duckdb"


@pytest.fixture
def written(path):
    """A sink to which these frames were written, each committed with its number."""
    made = []

    def write(*frames, position=None, **options):
        sink = Duckdb(path=path, table="orders", **options)
        made.append(sink)
        sink.check()
        sink.open(position)
        for number, frame in enumerate(frames, 1):
            if (columns := sink.columns()) is not None:
                sink.expect(columns)
            sink.write(sink.encode(frame))
            sink.commit({"frame": number})
        return sink

    yield write
    for sink in made:
        sink.abort()


def rows(path, table="orders"):
    with duckdb.connect(str(path)) as base:
        return base.execute(f'SELECT * FROM "{table}"').fetchall()


def tables(path):
    with duckdb.connect(str(path)) as base:
        return {name for (name,) in base.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


@pytest.mark.parametrize("mode", MODES)
def test_a_row_a_record(path, written, mode):
    sink = written([{"id": 1, "name": "amy"}, {"NAME": "bob"}], [{"name": None, "id": 3}], mode=mode, missing="fill")
    assert sink.position() == 3
    sink.finish()
    sink.finish()
    assert rows(path) == [(1, "amy"), (None, "bob"), (3, None)]
    assert tables(path) == {"orders", "_stagerunner"}


def test_values_come_back_as_they_were(path, written):
    record = {
        "i": -(2**63),
        "f": 0.1,
        "b": True,
        "t": "ü\n\t",
        "raw": b"\0\xff",
        "d": Decimal("1.0000000001"),
        "day": date(2024, 5, 1),
        "at": datetime(2024, 5, 1, 12, 0, 0, 7),
        "zoned": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "clock": time(1, 2, 3),
        "span": timedelta(days=1, seconds=2),
        "u": UUID(int=7),
        "nothing": None,
    }
    written([record, dict.fromkeys(record)]).finish()
    assert rows(path) == [tuple(record.values()), (None,) * len(record)]


def test_lists_and_mappings_are_json(path, written):
    written([{"a": [1, {"b": None}], 'odd "n"': {}}]).finish()
    assert rows(path) == [('[1,{"b":null}]', "{}")]


def test_types_of_a_new_table(path, written):
    types = {"Price": "double", "n": "decimal(5, 2)", "day": "timestamptz"}
    day = datetime(2024, 1, 1, tzinfo=UTC)
    sink = written([{"price": 1, "n": 2, "day": None}], [{"price": 0.5, "n": Decimal("1.25"), "day": day}], types=types)
    sink.finish()
    assert rows(path) == [(1.0, Decimal("2.00"), None), (0.5, Decimal("1.25"), day)]
    with pytest.raises(ValueError, match="can't be a type"):
        Duckdb(path=path, types={"a": "INT); DROP TABLE x; --"})


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (1, 2**63, "out of the range of BIGINT"),
        (1, "1", "not BIGINT"),
        (1.5, 10**400, "too large|out of the range"),
        ("a", 1, "not a text"),
        ("a", "\ud800", "surrogate"),
        (Decimal("1.5"), Decimal("0.00000000001"), "more decimals than"),
        (Decimal("1.5"), Decimal("1e30"), "out of the range of DECIMAL"),
        (datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), "without a zone"),
        (date(2024, 1, 1), datetime(2024, 1, 1), "not a date"),
        (True, 1, "not true or false"),
    ],
)
def test_what_a_column_cannot_hold_is_refused(written, first, then, why):
    sink = written([{"a": first}])
    sink.expect(sink.columns())
    with pytest.raises((ValueError, OverflowError), match=why):
        sink.encode([{"a": then}])


def test_fields_too_many_or_too_few(written):
    sink = written([{"id": 1, "name": "a"}])
    sink.expect(sink.columns())
    with pytest.raises(ValueError, match="there is no column for 'c'"):
        sink.encode([{"id": 1, "name": "b", "c": 2}])
    with pytest.raises(ValueError, match="the record lacks 'name'"):
        sink.encode([{"id": 1}])


def test_what_was_encoded_for_other_columns_is_not_written(path, written):
    sink = written([{"id": 1, "name": "a"}])
    other = Duckdb(path=path)
    assert sink.fits(other.encode([{"NAME": "b", "id": 4}]))
    assert not sink.fits(other.encode([{"id": 1}]))
    assert not sink.fits(other.encode([{"id": "1", "name": "a"}]))


def test_the_old_table_stays_until_the_end(path, written):
    written([{"id": 1}]).finish()
    sink = written([{"other": 2}])
    sink.abort()
    assert rows(path) == [(1,)]
    written([{"other": 2}]).finish()
    assert rows(path) == [(2,)]


def test_append_goes_on_in_the_table_that_is_there(path, written):
    written([{"id": 1}]).finish()
    written([{"ID": 2}], mode="append").finish()
    assert rows(path) == [(1,), (2,)]
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        Duckdb(path=path, table="orders", mode="new").check()


@pytest.mark.parametrize("mode", MODES)
def test_the_runners_row_is_in_the_same_transaction(path, written, mode):
    sink = written([{"id": 1}], [{"id": 2}], mode=mode)
    sink.write(sink.encode([{"id": 3}]))
    sink.abort()
    again = Duckdb(path=path, table="orders", mode=mode)
    assert again.last_row() == {"frame": 2}
    again.abort()
    again = written([{"id": 4}], mode=mode, position=2)
    assert again.position() == 3
    again.finish()
    assert rows(path) == [(1,), (2,), (4,)]


LOCKING = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_it_waits_for_a_locked_database_and_says_so_once(path, written, monkeypatch, capfd):
    monkeypatch.setattr("stagerunner_parts.sinks.database.PATIENCE", 0.2)
    written([{"id": 1}]).finish()
    other = subprocess.Popen([sys.executable, "-c", LOCKING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    sink = Duckdb(path=path, table="orders")
    sink.check()
    with pytest.raises(OSError, match=r"another process has kept .*shop\.duckdb locked for 0\.2 s") as caught:
        sink.open(None)
    other.communicate()
    assert caught.value.errno == errno.EBUSY
    assert f"waiting for {path}, locked by another process\n" in capfd.readouterr().err


def test_a_constraint_is_named(path, written):
    path.parent.mkdir()
    with duckdb.connect(str(path)) as base:
        base.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    with pytest.raises(OSError, match=r"(?i)duplicate key .*7") as caught:
        written([{"id": 7}, {"id": 7}], mode="append")
    assert caught.value.errno is None
