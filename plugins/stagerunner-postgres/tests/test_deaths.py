"""Exact rows after the parent, a worker or the server died, and --resume."""

import json
import signal

import pytest
from support.waiting import wait_until

from stagerunner_postgres.connecting import connected

COPY = {"source": {"table": "t"}, "run": {"frame": 7, "checkpoint": "1ms", "window": "4KiB"}}
STAGE = """
@stage
def odd(record):
    return {"id": record["id"], "v": record["v"] * 2} if record["id"] % 5 else None
"""
SLOW = """
import pathlib, time
@stage
def slow(record):
    # Slow, until it is told not to be.
    if not pathlib.Path("fast").exists():
        time.sleep(0.02)
    return record
"""
EXPECTED = [(n, f"v{n}v{n}") for n in range(1, 301) if n % 5]


@pytest.fixture
def tables(database):
    database("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE copy (id int PRIMARY KEY, v text)")
    database("INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 300) n")
    database("INSERT INTO copy VALUES (3, 'old')")
    return database


PLUGIN = "from typing import Any\n" + STAGE.replace("def odd(record):", "def odd(record) -> Any | None:")


@pytest.mark.parametrize(
    ("mode", "point"),
    [
        ("replace", "finishing:1"),
        ("replace", "rename:1"),
        ("upsert", "sink written:3"),
    ],
)
def test_the_parent_is_killed_and_resumed(place, tables, mode, point):
    place.write("./own.py:odd", sink={"table": "copy", "mode": mode}, plugin=PLUGIN, **COPY)
    place.run(expected=-9, STAGERUNNER_KILL_AT=point)
    place.run("--resume")
    assert tables("SELECT id, v FROM copy ORDER BY id") == EXPECTED
    assert tables("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stagerunner'") == [(0,)]


def test_workers_are_killed(place, tables):
    plugin = (
        PLUGIN
        + """
import os, signal, pathlib
@stage
def die(record):
    here = pathlib.Path(f"died{record['id']}")
    if record["id"] in (50, 170) and not here.exists():
        here.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return record
"""
    )
    place.write("./own.py:die", "./own.py:odd", sink={"table": "copy", "mode": "replace"}, plugin=plugin, **COPY)
    place.run()
    assert (place.folder / "died170").exists()
    assert tables("SELECT id, v FROM copy ORDER BY id") == EXPECTED


def started(place, database, **ends):
    """A run that has committed some rows and isn't over."""
    place.write("./own.py:slow", plugin=SLOW, run={"frame": 5, "checkpoint": "1ms", "window": "4KiB"}, **ends)
    return place.start()


def test_the_server_restarts_in_mid_run(place, server, tables):
    tables("DELETE FROM copy")
    process = started(place, tables, source={"table": "t"}, sink={"table": "copy"})
    wait_until(lambda: tables("SELECT count(*) FROM copy")[0][0] > 20, 20, "some rows")
    tables.connection.close()
    server.stop(signal.SIGQUIT)
    said = process.communicate(timeout=30)[1].decode()
    server.start()
    assert process.returncode == 75, said
    assert "Traceback" not in said
    assert "connection" in said
    (place.folder / "fast").touch()
    place.run("--resume")
    again = type(tables)(tables.dsn)
    assert again("SELECT count(*), sum(id) FROM copy") == [(300, 300 * 301 // 2)]
    again.connection.close()


def test_a_server_that_ends_the_source_alone(place, server, tables):
    process = started(place, tables, source={"table": "t"}, sink="out.jsonl")
    out = place.folder / "out.jsonl.partial"
    wait_until(lambda: out.exists() and out.stat().st_size > 200, 20, "some rows")
    tables("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stagerunner'")
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 75, said
    (place.folder / "fast").touch()
    place.run("--resume")
    rows = [json.loads(line)["id"] for line in (place.folder / "out.jsonl").read_text().splitlines()]
    assert rows == list(range(1, 301))


def test_a_unique_violation_ends_the_run_with_its_row(place, tables):
    place.write("./own.py:odd", sink={"table": "copy"}, plugin=PLUGIN, **COPY)
    said = place.run(expected=1)
    assert "refuses a row: duplicate key value" in said
    assert "constraint copy_pkey" in said
    assert "row: id=3, v=v3v3" in said
    tables("DELETE FROM copy WHERE id = 3 AND v = 'old'")
    place.run("--resume")
    assert tables("SELECT id, v FROM copy ORDER BY id") == EXPECTED


def test_records_that_do_not_fit_are_dead_letters(place, tables):
    tables("DELETE FROM copy")
    (place.folder / "in.jsonl").write_text(
        '{"id": 1, "v": "a\\u0000"}\n{"id": 3000000000, "v": "b"}\n{"id": 3, "v": "c"}\n'
    )
    sink = {"use": "postgres", "on_error": "dead_letter", "with": {"dsn": "${secret:PGURL}", "table": "copy"}}
    place.write(source="in.jsonl", sink=sink, dead_letter="dead.jsonl")
    place.run(expected=3)
    assert tables("SELECT * FROM copy") == [(3, "c")]
    messages = [json.loads(line)["message"] for line in (place.folder / "dead.jsonl").read_text().splitlines()]
    assert "character NUL" in messages[0]
    assert "out of the range of integer" in messages[1]


def test_a_missing_table_and_column_are_mistakes_before_the_run(place, tables):
    place.write(source={"table": "t"}, sink={"table": "copy", "columns": ["id", "w"]})
    assert "table copy has no column 'w': it has id, v" in place.run(expected=2)


def test_a_server_that_is_away_is_no_mistake_and_no_secret_is_shown(place, tables):
    place.dsn = "postgresql://amy:hunter2@localhost:1/x"
    place.write(source={"table": "t"}, sink="out.jsonl")
    said = place.run(expected=75)
    assert "no connection to PostgreSQL" in said
    assert "hunter2" not in said


def test_what_the_server_or_the_address_refuses_is_a_mistake(server):
    for dsn, why in (
        (f"host={server.folder} user=postgres dbname=nowhere", "does not exist"),
        ("nonsense=1", "invalid"),
    ):
        with pytest.raises(OSError, match=why) as caught:
            connected(dsn)
        assert caught.value.errno is None


TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.id = 21 THEN RAISE EXCEPTION 'no %', NEW.id; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON copy FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def dead(place):
    lines = map(json.loads, (place.folder / "dead.jsonl").read_text().splitlines())
    return [(letter["stage"], letter["type"], letter["record"]["id"]) for letter in lines]


def test_a_row_that_only_the_server_can_refuse_is_a_dead_letter(place, tables):
    tables(TRIGGER)
    sink = {**place.end({"table": "copy"}), "on_error": "dead_letter"}
    place.write("./own.py:odd", sink=sink, dead_letter="dead.jsonl", plugin=PLUGIN, **COPY)
    place.run(expected=-9, STAGERUNNER_KILL_AT="sink written:3")
    place.run("--resume", expected=3)
    assert tables("SELECT id FROM copy WHERE v <> 'old' ORDER BY id") == [(n,) for n, _ in EXPECTED if n not in (3, 21)]
    assert dead(place) == [("sink", "UniqueViolation", 3), ("sink", "RaiseException", 21)]
    assert "(constraint copy_pkey)" in (place.folder / "dead.jsonl").read_text()


def test_a_file_and_two_tables_agree_after_every_kill_though_each_refuses_rows_of_its_own(place, tables):
    tables("DELETE FROM copy; CREATE TABLE other (id int CHECK (id % 7 <> 3), v text UNIQUE)")
    tables("INSERT INTO copy SELECT n, 'old' FROM generate_series(1, 300, 9) n")
    ends = [
        {**place.end({"table": "copy"}), "name": "copy", "on_error": "dead_letter"},
        {**place.end({"table": "other", "mode": "replace"}), "name": "other", "on_error": "dead_letter"},
        {"use": "jsonl", "name": "file", "when": "id > 100", "with": {"path": "out.jsonl"}},
    ]
    place.write("./own.py:odd", sinks=ends, dead_letter="dead.jsonl", plugin=PLUGIN, **COPY)
    for number, point in enumerate(["one of two:5", "one of two:1", "sink written:4", "one of two:2", "finishing"]):
        place.run(*["--resume"][: bool(number)], expected=-9, STAGERUNNER_KILL_AT=point)
    place.run("--resume", expected=3)
    numbers = [n for n, _ in EXPECTED]
    assert tables("SELECT id FROM copy WHERE v <> 'old' ORDER BY id") == [(n,) for n in numbers if n % 9 != 1]
    assert tables("SELECT id FROM other ORDER BY id") == [(n,) for n in numbers if n % 7 != 3]
    found = [json.loads(line)["id"] for line in (place.folder / "out.jsonl").read_text().splitlines()]
    assert found == [n for n in numbers if n > 100]
    assert sorted(dead(place)) == sorted(
        [("copy", "UniqueViolation", n) for n in numbers if n % 9 == 1]
        + [("other", "CheckViolation", n) for n in numbers if n % 7 == 3]
    )
