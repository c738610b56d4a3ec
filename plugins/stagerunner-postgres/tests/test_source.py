"""The source `postgres`: the same rows however they are cut, in one snapshot."""

import json
from decimal import Decimal

import pytest
from support.waiting import wait_until

from stagerunner import Want
from stagerunner_postgres.source import Postgres

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stagerunner'"
ROWS = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 100) n"


def lines(place):
    return [json.loads(line, parse_float=Decimal) for line in (place.folder / "out.jsonl").read_text().splitlines()]


def records(source, after=None, size=7):
    """All records behind a position, and the positions behind each split."""
    want, found, positions = Want(records=size), [], []
    for split in source.splits(after, want):
        given = list(source.read(split))
        assert len(given) == split.most
        found += given
        positions.append(split.position)
    return found, positions


@pytest.fixture
def made(database):
    opened = []

    def make(**options):
        source = Postgres(dsn=database.dsn, **options)
        opened.append(source)
        source.check()
        return source

    yield make
    for source in opened:
        source.close()


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_a_chain_reads_all_rows_in_the_order_of_the_key(place, database, engine):
    database(ROWS)
    place.write(source={"table": "t"}, sink="out.jsonl", run={"engine": engine})
    place.run()
    assert lines(place) == [{"id": n, "v": f"v{n}"} for n in range(1, 101)]


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_cuts_are_not_seen(made, database, size):
    database(ROWS)
    found, _ = records(made(table="t"), size=size)
    assert [record["id"] for record in found] == list(range(1, 101))


def test_it_goes_on_behind_any_position(made, database):
    database(ROWS)
    ((schema,),) = database("SELECT current_schema()")
    source = made(table=f"{schema}.t", columns=["id"])
    whole, positions = records(source)
    for number, position in enumerate(positions, 1):
        rest, _ = records(made(table="t", columns=["id"]), json.loads(json.dumps(position)), size=9)
        assert whole[: 7 * number] + rest == whole


def test_a_resumed_run_ends_where_the_first_would_have(made, database):
    database(ROWS)
    _, positions = records(made(table="t"))
    database("INSERT INTO t VALUES (1000, 'later')")
    rest, _ = records(made(table="t"), positions[0])
    assert rest[-1]["id"] == 100


def test_rows_that_others_write_meanwhile_are_not_seen(made, database):
    database(ROWS)
    source, found = made(table="t"), []
    for split in source.splits(None, Want(records=10)):
        database("UPDATE t SET v = 'new'; DELETE FROM t WHERE id > 50")
        found += source.read(split)
    assert found == [{"id": n, "v": f"v{n}"} for n in range(1, 101)]


def test_a_key_of_several_columns_and_of_any_type(made, database):
    database('CREATE TABLE "Odd t" ("a b" timestamptz, c text COLLATE "C", n int, PRIMARY KEY ("a b", c))')
    database(
        "INSERT INTO \"Odd t\" SELECT timestamptz '2024-01-01' + n / 5 * interval '1 s', n % 5, n"
        " FROM generate_series(0, 49) n"
    )
    found, _ = records(made(table='"Odd t"'), size=3)
    assert [record["n"] for record in found] == list(range(50))


def test_a_query_is_cut_by_its_key(made, database):
    database(ROWS)
    source = made(query="SELECT id % 10 AS ten, count(*) AS n FROM t GROUP BY 1 -- by ten", key="ten")
    assert records(source, size=4)[0] == [{"ten": n, "n": 10} for n in range(10)]


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("SELECT nullif(id, 100) AS k FROM t", "k"),
        ("SELECT nullif(id, 50) AS k FROM t", "k"),
        ("SELECT id / 2 AS k FROM t", "k"),
        ("SELECT 1 AS a, nullif(id, 7) AS k FROM t", ["a", "k"]),
    ],
)
def test_a_key_that_is_null_or_not_unique_loses_no_rows_in_silence(made, database, query, key):
    database(ROWS)
    with pytest.raises(ValueError, match=r"have the same key|is null"):
        records(made(query=query, key=key))


def test_only_what_is_new(made, database, capfd):
    database("CREATE TABLE t (id int PRIMARY KEY, at timestamptz)")
    database("INSERT INTO t SELECT n, timestamptz '2024-01-01' + n * interval '1 day' FROM generate_series(1, 20) n")
    found, _ = records(made(table="t", cursor="at", after="2024-01-11"))
    assert [record["id"] for record in found] == list(range(11, 21))
    assert "at reaches 2024-01-21 00:00:00+00; the next run may go on after it" in capfd.readouterr().err
    assert records(made(table="t", cursor="at", after="2024-01-21 00:00:00+00"))[0] == []


def test_a_resumed_run_reads_no_row_that_was_changed_since(made, database):
    database(ROWS + "; ALTER TABLE t ADD at int; UPDATE t SET at = id")
    _, positions = records(made(table="t", cursor="at"))
    database("UPDATE t SET at = 1000 WHERE id = 50")
    rest, _ = records(made(table="t", cursor="at"), positions[2])
    assert [record["id"] for record in rest] == [n for n in range(22, 101) if n != 50]


def test_types_come_as_values_that_our_sinks_write(place, database):
    database("""CREATE TABLE t (id int PRIMARY KEY, n numeric(30, 10), at timestamptz, day date, j jsonb, many int[],
        u uuid, yes bool, d float8, ip inet, r int4range, span interval, nothing text)""")
    database("""INSERT INTO t VALUES (1, 12345678901234567890.0123456789, '2024-05-01 12:00+02', '2024-05-01',
        '{"a": [1, null]}', '{{1,2},{3,null}}', '00000000-0000-0000-0000-000000000001', true, 0.1, '10.0.0.1/8',
        '[1,5)', '1 day 2 s', null)""")
    place.write(source={"table": "t"}, sink="out.jsonl")
    place.run()
    assert lines(place) == [
        {
            "id": 1,
            "n": Decimal("12345678901234567890.0123456789"),
            "at": "2024-05-01T10:00:00Z",
            "day": "2024-05-01",
            "j": {"a": [1, None]},
            "many": [[1, 2], [3, None]],
            "u": "00000000-0000-0000-0000-000000000001",
            "yes": True,
            "d": Decimal("0.1"),
            "ip": "10.0.0.1/8",
            "r": "[1,5)",
            "span": "P1DT2S",
            "nothing": None,
        }
    ]


def test_a_value_that_python_cannot_hold_costs_its_row(place, database):
    database("CREATE TABLE t (id int PRIMARY KEY, at timestamptz)")
    database("INSERT INTO t VALUES (1, '2024-01-01'), (2, 'infinity'), (3, '2024-01-03')")
    place.write(
        source={"use": "postgres", "on_error": "dead_letter", "with": {"table": "t", "dsn": "${secret:PGURL}"}},
        sink="out.jsonl",
        dead_letter="dead.jsonl",
    )
    place.run(expected=3)
    assert [record["id"] for record in lines(place)] == [1, 3]
    assert json.loads((place.folder / "dead.jsonl").read_text())["record"] == {"id": "2", "at": "infinity"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "give either `table` or `query`"),
        ({"table": "t", "query": "SELECT 1"}, "give either `table` or `query`"),
        ({"table": "u"}, "there is no table u"),
        ({"table": "a.b.c.d.e"}, "improper"),
        ({"table": "t", "after": 3}, "`after` needs `cursor`"),
        ({"table": "t", "key": "ids"}, "has no column 'ids'; did you mean id"),
        ({"table": "t", "key": "v"}, "'v' of table t may be null"),
        ({"table": "t", "columns": ["w"]}, "has no column 'w'"),
        ({"table": "t", "cursor": "id", "after": "x"}, "invalid input syntax"),
        ({"query": "SELECT * FROM nowhere", "key": "x"}, "refuses the query: relation"),
        ({"query": "SELECT 1 AS a, 2 AS a", "key": "a"}, "two columns 'a'"),
        ({"query": "SELECT 1 AS a"}, "a query needs `key`"),
        ({"query": "DELETE FROM t", "key": "id"}, "refuses the query"),
    ],
)
def test_what_cannot_be_read(made, database, options, why):
    database(ROWS)
    with pytest.raises((ValueError, OSError), match=why):
        made(**options)


def test_a_query_changes_nothing(made, database):
    database(ROWS + "; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t RETURNING id'")
    with pytest.raises(OSError, match="read-only transaction"):
        records(made(query="SELECT f() AS id", key="id"))
    assert database("SELECT count(*) FROM t") == [(100,)]


def test_nothing_is_left_of_a_session(made, database):
    database(ROWS)
    source = made(table="t")
    source.identity()
    source.close()
    wait_until(lambda: database(SESSIONS) == [(0,)], 5, "the end of the session")
