"""What becomes of values in columns: each that the server would refuse is refused in the worker, if it can be known."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from stagerunner_postgres.sink import Postgres

DAY = datetime(2024, 5, 1, 12, 30, 0, 5)
TYPES = {
    "small": "smallint",
    "big": "bigint",
    "n": "numeric(6,2)",
    "free": "numeric",
    "real": "real",
    "double": "double precision",
    "yes": "boolean",
    "txt": "text",
    "short": "varchar(3)",
    "raw": "bytea",
    "u": "uuid",
    "j": "json",
    "jb": "jsonb",
    "day": "date",
    "at": "timestamp",
    "zoned": "timestamptz",
    "clock": "time",
    "span": "interval",
    "ints": "int[]",
    "texts": "text[]",
    "mood": "mood",
    "ip": "inet",
    "positive": "positive",
}

KEPT = [
    ("small", -32768),
    ("big", 2**63 - 1),
    ("n", Decimal("9999.99")),
    ("free", Decimal("1E+500")),
    ("free", Decimal("NaN")),
    ("real", 1.5),
    ("double", float("inf")),
    ("double", 5e-324),
    ("yes", False),
    ("txt", "tab\t line\n \\N \\ \r ü 😀 '\""),
    ("txt", ""),
    ("short", "abc"),
    ("raw", bytes(range(256))),
    ("u", UUID(int=7)),
    ("jb", {"a": [1, None, "x\ty", 2.5], "b": {"c": True}}),
    ("jb", "just a text"),
    ("j", [1, "\\"]),
    ("day", date(1, 1, 1)),
    ("at", DAY),
    ("zoned", DAY.replace(tzinfo=UTC)),
    ("clock", time(23, 59, 59)),
    ("span", timedelta(days=-1, seconds=5, microseconds=7)),
    ("ints", [[1, 2], [3, None]]),
    ("ints", []),
    ("texts", ['a"b', "c,d", "\\", "{}", "NULL", "", None]),
    ("mood", "ok"),
    ("positive", 5),
]

REFUSED = [
    ("small", 32768, "out of the range of smallint"),
    ("big", 2**63, "out of the range of bigint"),
    ("big", 1.0, "not a whole number"),
    ("big", "x", "invalid literal"),
    ("n", Decimal("9999.995"), r"out of the range of numeric\(6,2\)"),
    ("n", "many", "not a number"),
    ("free", Decimal("1E+131072"), "out of the range of numeric"),
    ("real", 1e39, "out of the range of real"),
    ("double", Decimal("1E+400"), "out of the range of double"),
    ("yes", 2, "not true or false"),
    ("txt", "a\0b", "character NUL"),
    ("txt", "\ud800", "surrogate"),
    ("txt", 5, "not a text"),
    ("short", "abcd", "too long"),
    ("raw", "text", "not bytes"),
    ("u", "no uuid", "badly formed"),
    ("jb", {"a": "\0"}, "NUL"),
    ("jb", float("nan"), "JSON"),
    ("day", "2024-02-30", "day"),
    ("day", DAY, "not a date"),
    ("at", DAY.replace(tzinfo=UTC), "not a time without a zone"),
    ("zoned", DAY, "not a time with a zone"),
    ("zoned", "2024-05-01T12:00:00", "not a time with a zone"),
    ("ints", 5, "not a list"),
    ("ints", [[1], [2, 3]], "same length"),
    ("ints", [2**31], "out of the range"),
    ("mood", "sad", "isn't a value of mood: ok, well"),
    ("ip", {"a": 1}, "not a text"),
    ("positive", 2**31, "out of the range"),
]


@pytest.fixture
def sink(database):
    database("CREATE TYPE mood AS ENUM ('ok', 'well'); CREATE DOMAIN positive AS int CHECK (value > 0)")
    database(f"CREATE TABLE v ({', '.join(f'{name} {kind}' for name, kind in TYPES.items())})")
    made = Postgres(dsn=database.dsn, table="v", missing="fill")
    made.open(None)
    made.expect(made.columns())
    yield made
    made.abort()


def test_what_fits_comes_back_as_it_was(sink, database):
    sink.write(sink.encode([{name: value} for name, value in KEPT]))
    sink.commit({})
    for (name, value), row in zip(KEPT, database(f"SELECT {', '.join(TYPES)} FROM v")):
        got = dict(zip(TYPES, row))[name]
        assert got == value or got != got
        assert type(got) is type(value)


def test_what_does_not_fit_is_refused_in_the_worker(sink):
    for name, value, why in REFUSED:
        with pytest.raises(ValueError, match=why) as caught:
            sink.encode([{name: value}])
        assert f"column {name!r}: " in str(caught.value)


def test_texts_that_say_a_value_are_taken(sink, database):
    given = {
        "small": "7",
        "n": "1.5",
        "yes": "true",
        "zoned": "2024-05-01T12:00:00Z",
        "ip": "10.0.0.1",
        "day": "2024-05-01",
    }
    sink.write(sink.encode([given]))
    sink.commit({})
    assert database("SELECT small, n, yes, host(ip), day FROM v") == [
        (7, Decimal("1.50"), True, "10.0.0.1", date(2024, 5, 1))
    ]
