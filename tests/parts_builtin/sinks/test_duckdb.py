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
    with pytest.raises(
        OSError, match=r"(?i)table orders of .*shop.duckdb refuses a row: .*duplicate key .*7"
    ) as caught:
        written([{"id": 7}, {"id": 7}], mode="append")
    assert caught.value.errno is None


@pytest.fixture
def strict(path):
    """A sink that appends to a table with constraints of each kind, opened."""
    made = []

    def opened(*extra):
        path.parent.mkdir()
        with duckdb.connect(str(path)) as base:
            base.execute("CREATE TABLE shops (id INT PRIMARY KEY); INSERT INTO shops VALUES (1), (2)")
            base.execute("CREATE SEQUENCE numbers")
            base.execute(
                "CREATE TABLE orders (id INT PRIMARY KEY, name TEXT NOT NULL, n INT CHECK (n <> 5),"
                " shop INT REFERENCES shops, kind ENUM('a', 'b'), number INT DEFAULT nextval('numbers'))"
            )
            base.execute("CREATE UNIQUE INDEX names ON orders (lower(name), n)")
            base.execute("INSERT INTO orders VALUES (7, 'old', 1, 1, 'a', 0)")
            for statement in extra:
                base.execute(statement)
        sink = Duckdb(path=path, table="orders", mode="append", missing="fill")
        made.append(sink)
        sink.open(None)
        sink.expect(sink.columns())
        return sink

    yield opened
    for sink in made:
        sink.abort()


def order(id, name=None, **more):
    return {"id": id, "name": name or f"n{id}", **more}


def test_all_rows_but_those_refused_are_written(path, strict, monkeypatch):
    monkeypatch.setattr(Duckdb, "_insert_halves", lambda *asked: asked[0]._took(*asked[1:]) or {})
    sink = strict()
    assert sink.write_or_refuse(sink.encode([order(1, n=4, shop=2), order(2, n=4)])) == {}
    good = [order(n, f"x{n}", n=0, shop=None) for n in (3, 4)]
    bad = [
        order(1, n=1, shop=1),
        {**order(20, n=1, shop=1), "name": None},
        order(21, n=5, shop=1),
        order(22, n=1, shop=3),
        order(23, "OLD", n=1, shop=1),
        order(24, "N2", n=4, shop=1),
        order(3, n=6, shop=1),
    ]
    refused = sink.write_or_refuse(sink.encode([*good, *bad, order(5, n=1, shop=1), order(22, n=1, shop=1)]))
    sink.commit({})

    assert {at: str(why).removeprefix("the row breaks ") for at, why in refused.items()} == {
        2: "PRIMARY KEY(id)",
        3: "NOT NULL (name)",
        4: "CHECK((n != 5))",
        5: "FOREIGN KEY (shop) REFERENCES shops(id)",
        6: "UNIQUE INDEX names",
        7: "UNIQUE INDEX names",
        8: "PRIMARY KEY(id)",
    }
    assert sink.position() == 6
    sink.abort()
    assert [row[0] for row in rows(path)] == [7, 1, 2, 3, 4, 5, 22]


def test_a_text_that_an_enum_does_not_have_is_refused_by_the_worker(path, strict):
    sink = strict("DROP TABLE orders", "CREATE TABLE orders (kind ENUM('a', 'it''s'))")
    assert sink.write_or_refuse(sink.encode([{"kind": "it's"}, {"kind": None}])) == {}
    with pytest.raises(ValueError, match=r"'its' is none of 'a', \"it's\""):
        sink.encode([{"kind": "its"}])
    sink.commit({})
    sink.abort()
    assert rows(path) == [("it's",), (None,)]


def test_what_the_questions_do_not_find_is_found_by_halving(path, strict):
    sink = strict("CREATE TABLE own (id INT PRIMARY KEY, up INT REFERENCES own)", "INSERT INTO own VALUES (0, NULL)")
    sink.abort()
    sink = Duckdb(path=path, table="own", mode="append")
    sink.open(None)
    sink.expect(sink.columns())
    refused = sink.write_or_refuse(sink.encode([{"id": n, "up": 99 if n == 3 else 0} for n in range(1, 8)]))
    assert (list(refused), "foreign key" in str(refused[2])) == ([2], True)
    sink.commit({})
    refused = sink.write_or_refuse(sink.encode([{"id": 3, "up": 7}, {"id": 4, "up": 0}]))
    assert list(refused) == [1]
    sink.commit({})
    sink.abort()
    assert [id for id, _ in rows(path, "own")] == [0, 1, 2, 4, 5, 6, 7, 3]


def test_what_was_taken_since_the_last_commit_is_not_lost_by_a_refused_row(path, strict, monkeypatch):
    monkeypatch.setattr("stagerunner_parts.sinks.duckdb.KEPT", 100)
    sink = strict()
    for first in (10, 20, 30):
        frame = [order(first + n, n=5 if n == 2 else 1) for n in range(4)]
        assert list(sink.write_or_refuse(sink.encode(frame))) == [2]
        if first == 10:
            sink.commit({})
    sink.abort()
    assert [row[0] for row in rows(path)] == [7, 10, 11, 13]
