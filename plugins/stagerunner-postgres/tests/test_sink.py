"""The sink `postgres`: rows and journal row in one transaction; what the server refuses names its row."""

import json

import psycopg
import pytest

from stagerunner_postgres.sink import Postgres

ITEMS = "CREATE TABLE items (id int PRIMARY KEY, name text UNIQUE, n int CHECK (n < 1000))"
MODES = ["append", "replace", "upsert"]


@pytest.fixture
def made(database):
    opened = []

    def make(position=None, table="items", **options):
        sink = Postgres(dsn=database.dsn, table=table, **options)
        opened.append(sink)
        sink.check()
        sink.open(position)
        sink.expect(json.loads(json.dumps(sink.columns())))
        return sink

    yield make
    for sink in opened:
        sink.abort()


def given(first, last):
    return [{"id": n, "name": f"n{n}", "n": n % 1000} for n in range(first, last)]


def put(sink, records, row):
    sink.write(sink.encode(records))
    sink.commit(row)


def ids(database, table="items"):
    return [row[0] for row in database(f"SELECT id FROM {table} ORDER BY id")]


@pytest.mark.parametrize("mode", MODES)
def test_the_runners_row_is_in_the_same_transaction(made, database, mode):
    database(ITEMS)
    sink = made(mode=mode)
    put(sink, given(0, 3), {"frame": 1})
    put(sink, given(3, 5), {"frame": 2})
    sink.write(sink.encode(given(5, 9)))
    sink.abort()
    assert Postgres(dsn=database.dsn, table="items", mode=mode).last_row() == {"frame": 2}
    again = made(5, mode=mode)
    put(again, given(5, 6), {"frame": 3})
    assert again.position() == 6
    again.finish()
    again.finish()
    assert ids(database) == list(range(6))


def test_the_old_rows_stay_until_the_end(made, database):
    database(ITEMS + "; INSERT INTO items VALUES (77, 'old', 1)")
    sink = made(mode="replace")
    put(sink, given(0, 3), {})
    assert ids(database) == [77]
    sink.finish()
    assert ids(database) == [0, 1, 2]
    assert database("SELECT to_regclass('items_partial')") == [(None,)]


def test_replaced_rows_count_on(made, database):
    database(
        "CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, at int DEFAULT 7, "
        "twice int GENERATED ALWAYS AS (at * 2) STORED)"
    )
    for _ in range(2):
        sink = made(mode="replace")
        put(sink, [{"name": "a"}, {"name": "b"}], {})
        sink.finish()
    assert database("SELECT * FROM items ORDER BY id") == [(1, "a", 7, 14), (2, "b", 7, 14)]
    database("INSERT INTO items (name) VALUES ('c')")
    assert ids(database) == [1, 2, 3]


def test_upsert_takes_the_last_of_equal_keys_and_leaves_other_columns(made, database):
    database(ITEMS + "; INSERT INTO items VALUES (1, 'one', 10), (2, 'two', 20)")
    sink = made(mode="upsert", columns=["id", "n"])
    put(sink, [{"id": 1, "n": 11}, {"id": 3, "n": 30}, {"id": 1, "n": 12}], {})
    assert database("SELECT * FROM items ORDER BY id") == [(1, "one", 12), (2, "two", 20), (3, None, 30)]


def test_fields_and_columns(made, database):
    database("CREATE TABLE items (id serial, name text NOT NULL, more int, at date DEFAULT '2024-01-01')")
    sink = made(extras="ignore")
    put(sink, [{"name": "a", "more": 1, "other": 2}], {})
    assert database("SELECT id, name, more, at::text FROM items") == [(1, "a", 1, "2024-01-01")]
    with pytest.raises(ValueError, match="the record lacks 'more'; `missing: fill`"):
        sink.encode([{"name": "a"}])
    with pytest.raises(ValueError, match="column 'name' can't be null"):
        sink.encode([{"name": None, "more": 1}])
    sink.abort()
    with pytest.raises(ValueError, match="no column for 'nam'; did you mean name"):
        made(missing="fill").encode([{"nam": "a"}])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"table": "item"}, "there is no table item; did you mean items"),
        ({"columns": ["id", "nam"]}, "table items has no column 'nam': it has id, name, n"),
        ({"mode": "upsert", "key": "n"}, r"has no unique index on \(n\)"),
        ({"table": "loose", "mode": "upsert"}, "has no primary key"),
        ({"table": "seen"}, "isn't a table that rows can be written to"),
        ({"dsn": "host=/nowhere"}, "no connection to PostgreSQL"),
    ],
)
def test_what_cannot_be_written(database, options, why):
    database(ITEMS + "; CREATE TABLE loose (a int); CREATE VIEW seen AS SELECT * FROM items")
    with pytest.raises((ValueError, OSError), match=why):
        Postgres(**{"dsn": database.dsn, "table": "items", **options}).check()


BROKEN = [
    (
        {"id": 137, "name": "twice", "n": 1},
        r"\(id\)=\(137\) already exists.*constraint items_(partial_)?pkey.*row: id=137, name=twice",
    ),
    (
        {"id": 1000, "name": "n9", "n": 1},
        r"\(name\)=\(n9\) already exists.*constraint items_(partial_)?name_key.*row: id=1000",
    ),
    ({"id": 1000, "name": "x", "n": 1000}, r"violates check constraint.*row: id=1000, name=x, n=1000"),
]


@pytest.mark.parametrize(("record", "why"), BROKEN)
@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_row_that_breaks_a_constraint_is_named(made, database, record, why, mode):
    database(ITEMS)
    sink = made(mode=mode)
    put(sink, given(0, 100), {"frame": 1})
    sink.write(sink.encode([*given(100, 300), record, *given(301, 500)]))
    with pytest.raises(OSError, match=f"(?s)table items of PostgreSQL .*refuses a row: .*{why}") as caught:
        sink.commit({"frame": 2})
    assert caught.value.errno is None
    sink.abort()
    assert Postgres(dsn=database.dsn, table="items", mode=mode).last_row() == {"frame": 1}


@pytest.mark.parametrize("mode", MODES)
def test_all_rows_but_those_refused_are_written_at_once(made, database, mode):
    database(ITEMS)
    sink = made(mode=mode)
    put(sink, given(0, 100), {"frame": 1})
    many = [
        *given(100, 150),
        {"id": 1000, "name": "n9", "n": 1},
        *given(150, 200),
        {"id": 1001, "name": "x", "n": 1000},
    ]
    refused = sink.write_or_refuse(sink.encode(many))
    sink.commit({"frame": 2})
    sink.finish()
    assert {at: type(why).__name__ for at, why in refused.items()} == {50: "UniqueViolation", 101: "CheckViolation"}
    assert "already exists" in str(refused[50])
    assert "\n" not in str(refused[50])
    assert (sink.position(), ids(database)) == (200, list(range(200)))


def test_a_missing_foreign_row_and_a_value_that_only_the_server_knows_are_refused(made, database):
    database(ITEMS + "; INSERT INTO items VALUES (1, 'a', 1)")
    database("CREATE TABLE refs (id int, item int REFERENCES items, ip inet)")
    sink = made(table="refs")
    rows = [{"id": n, "item": 2 if n == 4 else 1, "ip": "10.0.0.300" if n == 7 else "10.0.0.1"} for n in range(9)]
    refused = sink.write_or_refuse(sink.encode(rows))
    sink.commit({})
    assert {at: type(why).__name__ for at, why in refused.items()} == {
        4: "ForeignKeyViolation",
        7: "InvalidTextRepresentation",
    }
    assert ids(database, "refs") == [n for n in range(9) if n not in (4, 7)]


def test_a_missing_foreign_row_is_named(made, database):
    database(ITEMS + "; INSERT INTO items VALUES (1, 'a', 1); CREATE TABLE refs (id int, item int REFERENCES items)")
    sink = made(table="refs")
    sink.write(sink.encode([{"id": n, "item": 2 if n == 40 else 1} for n in range(100)]))
    with pytest.raises(OSError, match=r"\(item\)=\(2\) is not present.*refs_item_fkey\)\n  row: id=40, item=2"):
        sink.commit({})


DEFERRED = """; INSERT INTO items VALUES (1, 'a', 1);
    CREATE TABLE refs (id int, item int CONSTRAINT known REFERENCES items DEFERRABLE INITIALLY DEFERRED)"""


def test_a_deferred_constraint_refuses_its_rows_before_the_commit(made, database):
    database(ITEMS + DEFERRED)
    sink = made(table="refs")
    refused = sink.write_or_refuse(sink.encode([{"id": n, "item": 2 if n == 4 else 1} for n in range(9)]))
    assert [(at, "(constraint known)" in str(why)) for at, why in refused.items()] == [(4, True)]
    sink.commit({})
    assert ids(database, "refs") == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_deferred_constraint_with_fail_writes_nothing_and_says_what_to_do(made, database):
    database(ITEMS + DEFERRED)
    sink = made(table="refs")
    put(sink, [{"id": 0, "item": 1}], {"frame": 1})
    sink.write(sink.encode([{"id": 1, "item": 1}, {"id": 2, "item": 2}]))
    said = r"(?s)table refs of PostgreSQL \(.*\) refuses .*constraint known.*on_error: dead_letter.*deferred"
    with pytest.raises(OSError, match=said) as caught:
        sink.commit({"frame": 2})
    assert caught.value.errno is None
    sink.abort()
    assert (sink.last_row(), ids(database, "refs")) == ({"frame": 1}, [0])
    sink.abort()


def test_a_value_that_only_the_server_knows_is_laid_to_its_row(made, database):
    database("CREATE TABLE items (id int, ip inet)")
    sink = made()
    sink.write(sink.encode([{"id": n, "ip": "10.0.0.300" if n == 7 else "10.0.0.1"} for n in range(20)]))
    with pytest.raises(OSError, match=r"invalid input syntax for type inet.*\n  row: id=7, ip=10.0.0.300"):
        sink.commit({})


def test_a_lock_is_said_and_bounded(made, database, capfd, monkeypatch):
    monkeypatch.setattr("stagerunner_postgres.sink.PATIENCE", 1)
    database(ITEMS)
    sink = made()
    put(sink, given(0, 1), {})
    database("BEGIN; LOCK TABLE items")
    sink.write(sink.encode(given(1, 2)))
    with pytest.raises(OSError, match=r"kept table items of PostgreSQL \(.*\) locked for 1 s") as caught:
        sink.commit({})
    assert caught.value.errno is not None
    assert capfd.readouterr().err == f"waiting for {sink.describe()}, locked by another session\n"
    database("COMMIT")
    sink.commit({})
    assert ids(database) == [0, 1]


def test_notices_are_forwarded(made, database, capfd):
    database(
        ITEMS
        + """; CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE NOTICE 'item %', new.id; RETURN new; END $$;
        CREATE TRIGGER told BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION tell()"""
    )
    put(made(), given(5, 6), {})
    assert "postgres: NOTICE: item 5\n" in capfd.readouterr().err


def test_a_second_run_into_the_table_is_refused(made, database, monkeypatch):
    monkeypatch.setattr("stagerunner_postgres.sink.OWNER", 1)
    database(ITEMS)
    made()
    with pytest.raises(BlockingIOError):
        made()


def test_the_journal_has_a_name_without_secrets():
    sink = Postgres(dsn="postgresql://amy:hunter2@db:5433/shop", table="a.b")
    assert str(sink.beside()) == "postgres-db-5433-shop-a.b"
    assert str(Postgres(dsn="no dsn", table='"Odd t"').beside()) == "postgres-_Odd_t_"


def test_a_table_without_rights(database):
    ((schema,),) = database("SELECT current_schema()")
    database(f"{ITEMS}; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA {schema} TO reader")
    database("GRANT SELECT ON items TO reader")
    dsn = psycopg.conninfo.make_conninfo(database.dsn, user="reader")
    with pytest.raises(ValueError, match="the right to INSERT is missing"):
        Postgres(dsn=dsn, table="items").check()
