"""The source `sql`: the rows of one moment, the same however they are cut."""

import errno
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from support import needs

from stagerunner import Malformed, Want
from stagerunner_parts.databases import reading
from stagerunner_parts.sources.sql import Sql

NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100) "


def fill(execute):
    execute("CREATE TABLE t (id INTEGER, v TEXT)")
    execute(f"INSERT INTO t {NUMBERS} SELECT n, 'v' || n FROM numbers")
    execute("DELETE FROM t WHERE id BETWEEN 30 AND 60")


LEFT = [{"id": n, "v": f"v{n}"} for n in range(1, 101) if not 30 <= n <= 60]


@pytest.fixture(params=["sqlite", "wal", "duckdb"])
def path(request, tmp_path):
    """A database with the table t, of each kind."""
    found = tmp_path / "shop.db"
    if request.param == "duckdb":
        duckdb = needs.module("duckdb", "stagerunner[duckdb]")
        with duckdb.connect(str(found)) as base:
            fill(base.execute)
        return found
    with closing(sqlite3.connect(found)) as base:
        base.execute(f"PRAGMA journal_mode = {'WAL' if request.param == 'wal' else 'DELETE'}")
        fill(base.execute)
        base.commit()
    return found


@pytest.fixture
def shop(tmp_path):
    """A connection to an SQLite database."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as base:
        yield base


@pytest.fixture
def made():
    opened = []

    def make(path, **options):
        source = Sql(path=path, **options)
        opened.append(source)
        source.check()
        return source

    yield make
    for source in opened:
        source.close()


def records(parent, worker, after=None, size=7):
    """All records behind a position, and the positions behind each split."""
    found, positions = [], []
    for split in parent.splits(after, Want(records=size)):
        given = list(worker.read(split))
        assert len(given) == split.most
        found += given
        positions.append(split.position)
    return found, positions


QUERIES = [{}, {"table": "T"}, {"query": "SELECT * FROM t ORDER BY id;"}]


@pytest.mark.parametrize("options", QUERIES)
def test_cuts_are_not_seen_and_it_goes_on_behind_any_position(path, made, options):
    whole, positions = records(made(path, **options), made(path, **options))
    assert whole == LEFT
    for position in positions:
        rest, _ = records(made(path, **options), made(path, **options), json.loads(json.dumps(position)), size=9)
        assert rest == whole[len(whole) - len(rest) :]
    assert sum(len(records(made(path, **options), made(path, **options), p)[0]) for p in positions[-1:]) == 0


@pytest.mark.parametrize("options", QUERIES)
def test_several_workers_share_the_splits(path, made, options):
    parent, workers = made(path, **options), [made(path, **options) for _ in range(3)]
    found = []
    for number, split in enumerate(parent.splits(None, Want(records=5))):
        found += workers[number % 3].read(split)
    assert found == LEFT


def test_a_split_is_read_again(path, made):
    parent, worker = made(path, query="SELECT * FROM t"), made(path, query="SELECT * FROM t")
    splits = list(parent.splits(None, Want(records=20)))
    assert [list(worker.read(splits[n])) for n in (2, 0, 2)] == [LEFT[40:60], LEFT[:20], LEFT[40:60]]


def test_a_table_that_changes_while_it_is_read(shop, tmp_path, made):
    shop.execute("PRAGMA journal_mode = WAL")
    fill(shop.execute)
    parent, worker = made(tmp_path / "shop.db"), made(tmp_path / "shop.db")
    splits = parent.splits(None, Want(records=10))
    first = next(splits)
    shop.execute("UPDATE t SET v = 'new'")
    with pytest.raises(OSError, match=r"shop.db was changed while it was read: read a copy"):
        worker.read(first)


def test_a_worker_that_has_begun_sees_no_change(shop, tmp_path, made):
    shop.execute("PRAGMA journal_mode = WAL")
    fill(shop.execute)
    parent, worker = made(tmp_path / "shop.db"), made(tmp_path / "shop.db")
    found = []
    for split in parent.splits(None, Want(records=10)):
        found += worker.read(split)
        shop.execute("UPDATE t SET v = 'new'; ")
    assert found == LEFT


def test_without_wal_others_wait_to_write(shop, tmp_path, made):
    fill(shop.execute)
    parent = made(tmp_path / "shop.db")
    parent.identity()
    shop.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        shop.execute("UPDATE t SET v = 'new'")


def test_a_locked_database_is_waited_for(shop, tmp_path, made, monkeypatch):
    monkeypatch.setattr(reading, "PATIENCE", 0.1)
    fill(shop.execute)
    shop.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match=r"another process has kept .*shop\.db locked for 0.1 s") as caught:
        made(tmp_path / "shop.db")
    assert caught.value.errno == errno.EBUSY


def test_identity_is_that_of_the_content(shop, tmp_path, made):
    fill(shop.execute)
    identities = []
    for change in ("SELECT 1", "SELECT 2", "UPDATE t SET v = 'a longer text than before'"):
        shop.execute(change)
        source = made(tmp_path / "shop.db")
        identities.append(source.identity())
        source.close()
    assert identities[0] == identities[1] != identities[2]


def test_types_of_sqlite(shop, tmp_path, made):
    shop.execute("CREATE TABLE t (a)")
    values = [None, 2**63 - 1, 0.1, "ü\n", b"\0\xff", ""]
    shop.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    found, _ = records(made(tmp_path / "shop.db"), made(tmp_path / "shop.db"))
    assert [record["a"] for record in found] == values


@pytest.mark.parametrize("options", [{}, {"query": "SELECT * FROM t"}])
def test_a_text_that_is_no_utf8_costs_its_row(shop, tmp_path, made, options):
    shop.execute("CREATE TABLE t (id, a)")
    shop.execute("INSERT INTO t VALUES (1, 'a'), (2, CAST(x'61ff' AS TEXT)), (3, 'c')")
    path = tmp_path / "shop.db"
    first, bad, last = records(made(path, **options), made(path, **options))[0]
    assert (first["a"], last["a"]) == ("a", "c")
    assert bad == Malformed("UnicodeDecodeError", "column 'a' isn't UTF-8", {"id": 2, "a": b"a\xff"})


def test_rows_without_numbers_and_odd_names(shop, tmp_path, made):
    shop.execute('CREATE TABLE "odd ""t" ("a b" TEXT PRIMARY KEY, "rowid" INT) WITHOUT ROWID')
    shop.execute("CREATE TABLE shadow (rowid, oid, x)")
    shop.execute("INSERT INTO \"odd \"\"t\" VALUES ('b', 7), ('a', 8)")
    shop.execute("INSERT INTO shadow VALUES (9, 9, 1), (9, 9, 2)")
    path = tmp_path / "shop.db"
    assert records(made(path, table='odd "t'), made(path, table='odd "t'))[0] == [
        {"a b": "a", "rowid": 8},
        {"a b": "b", "rowid": 7},
    ]
    assert [record["x"] for record in records(made(path, table="shadow"), made(path, table="shadow"), size=1)[0]] == [
        1,
        2,
    ]


def test_types_of_duckdb(tmp_path, made):
    duckdb = needs.module("duckdb", "stagerunner[duckdb]")
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as base:
        base.execute(
            "CREATE TABLE t AS SELECT 1.50::DECIMAL(5,2) AS d, timestamptz '2024-05-01 12:00:00+02' AS at, "
            "[1, NULL] AS l, {'a': 1} AS s, 'x'::BLOB AS b, 2::HUGEINT ** 100 AS h, NULL AS n"
        )
    ((found,), _) = records(made(path), made(path))
    assert found == {
        "d": Decimal("1.50"),
        "at": datetime(2024, 5, 1, 10, tzinfo=UTC),
        "l": [1, None],
        "s": {"a": 1},
        "b": b"x",
        "h": 2**100,
        "n": None,
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, r"shop.db has 2 tables: t, u; name what to read with `table` or `query`"),
        ({"table": "tt"}, r"shop.db has no table 'tt'; did you mean 't'"),
        ({"table": "t", "query": "SELECT 1"}, "give either"),
        ({"query": "SELECT x FROM t"}, "SQLite refuses the query: no such column: x"),
        ({"query": "DELETE FROM t"}, "SQLite refuses the query"),
        ({"query": "SELECT 1; SELECT 2"}, "SQLite refuses the query"),
    ],
)
def test_what_cannot_be_read(shop, tmp_path, made, options, why):
    fill(shop.execute)
    shop.execute("CREATE VIEW u AS SELECT * FROM t")
    with pytest.raises(ValueError, match=why):
        made(tmp_path / "shop.db", **options)


def test_a_file_that_is_no_database(write, made):
    with pytest.raises(ValueError, match=r"a\.db isn't a database of SQLite or DuckDB"):
        made(write("a.db", b"no database at all, " * 20))
    with pytest.raises(ValueError, match=r"b\.db has no table; name"):
        made(write("b.db", b""))
