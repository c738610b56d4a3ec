"""The source `singer`, with a tap of the tests' own and with taps from PyPI, as they are."""

from __future__ import annotations

import datetime
import json
import random
import struct

import pytest
from support import needs

from stagerunner_singer.tap import Tap

FAST = {"run": {"checkpoint": "5ms"}}
NUMBERS = list(range(600))


def numbers(place):
    return [record["record"]["n"] for record in place.out()]


def test_records_tell_their_stream_unless_there_is_only_one(place):
    assert Tap(command="tap").record("numbers", {"n": 4}, None) == {"stream": "numbers", "record": {"n": 4}}
    place.chain(place.counting(stop=6, streams=["fives"]))
    assert place.run().returncode == 0
    assert place.out() == [{"n": 0}, {"n": 5}]


@pytest.mark.parametrize("resume", ["state", "skip"])
def test_a_run_that_was_killed_goes_on_from_the_state(place, resume):
    how = {"every": 7} if resume == "state" else {}
    stages = {"use": "deadly", "with": {"at": 200}}, {"use": "fatal", "with": {"at": 400}}
    place.chain(place.counting(resume=resume, **how), *stages, **FAST)
    killed = place.run()
    assert (killed.returncode, killed.stderr.count("counting from")) == (-9, 1)  # a worker's death leaves the tap alone

    again = place.run("--resume")

    assert again.returncode == 0
    assert ("counting from 0" not in again.stderr) == (resume == "state")
    assert numbers(place) == NUMBERS


def test_a_tap_that_dies_ends_the_run_which_can_be_resumed(place):
    place.chain(place.counting(every=7, die=300), **FAST)
    died = place.run()
    assert died.returncode == 1
    assert "ended with signal 9" in died.stderr
    assert "[source] counting from 0" in died.stderr

    assert place.run("--resume").returncode == 0
    assert numbers(place) == NUMBERS


def test_a_tap_without_state_begins_anew(place):
    place.chain(place.counting(die=300), **FAST)
    assert place.run().returncode == 1
    assert "counting from 0" in place.run("--resume").stderr
    assert numbers(place) == NUMBERS


def test_a_tap_that_repeats_records_gives_them_twice(place):
    place.chain(place.counting(every=100, die=300, repeat=2), **FAST)
    assert place.run().returncode == 1
    assert place.run("--resume").returncode == 0
    assert numbers(place) == [*range(300), 298, 299, *range(300, 600)]


def test_a_line_that_is_no_message_is_a_failure_of_its_own(place):
    source = place.counting(stop=10, odd=4) | {"on_error": "dead_letter"}
    place.chain(source, dead_letter="failed.jsonl")
    assert place.run().returncode == 3
    assert numbers(place) == NUMBERS[:10]
    (letter,) = place.out("failed.jsonl")
    assert (letter["type"], letter["origin"]["number"]) == ("NotSinger", 5)


def test_nan_is_no_json_and_its_line_is_named(place):
    said = '{"type": "RECORD", "stream": "numbers", "record": {"n": NaN}}'
    place.chain(place.counting(stop=10, odd=4, said=said) | {"on_error": "dead_letter"}, dead_letter="failed.jsonl")
    assert place.run().returncode == 3
    assert numbers(place) == NUMBERS[:10]
    (letter,) = place.out("failed.jsonl")
    assert (letter["message"], letter["origin"]["number"]) == ("the tap wrote NaN, which JSON doesn't have", 5)


def test_what_can_not_be_run_is_a_mistake_of_the_config(place):
    place.chain({"use": "singer", "with": {"command": "no-such-tap", "streams": []}})
    told = place.run()
    assert told.returncode == 2
    assert "there is no program 'no-such-tap'" in told.stderr


# From PyPI


@pytest.fixture
def orders(place):
    """tap-jsonl, which gives all of a file whatever its state."""
    needs.module("tap_jsonl", "./plugins/stagerunner-singer[test]")
    draw = random.Random(5)
    lines = [{"id": n, "paid": draw.random() < 0.5, "price": draw.randint(1, 99)} for n in range(800)]
    (place.folder / "orders.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {"path": str(place.folder / "orders.jsonl"), "stream_name": "orders"}
    return {
        "use": "singer",
        "with": {"command": "tap-jsonl", "config": config, "streams": ["orders"], "resume": "skip"},
    }


@pytest.fixture
def people(place):
    """tap-dbf, with a table as dBase wrote it."""
    needs.module("tap_dbf", "./plugins/stagerunner-singer[test]")
    (place.folder / "people.dbf").write_bytes(dbf([(n, f"name {n}") for n in range(500)]))
    options = {
        "command": "tap-dbf",
        "config": {"path": str(place.folder / "*.dbf")},
        "streams": ["people"],
        "resume": "skip",
    }
    return {"use": "singer", "with": options}


def dbf(rows):
    """A dBase III table of a number and a name."""
    fields = (("ID", "N", 6), ("NAME", "C", 12))
    head = b"".join(struct.pack("<11sc4xBB14x", name.encode(), kind.encode(), size, 0) for name, kind, size in fields)
    today = datetime.date(2026, 1, 1)
    size = 1 + sum(field[2] for field in fields)
    begin = struct.pack("<BBBBIHH20x", 3, today.year - 1900, 1, 1, len(rows), 33 + len(head), size)
    body = b"".join(b" " + f"{number:6d}{name:12s}".encode() for number, name in rows)
    return begin + head + b"\r" + body + b"\x1a"


@pytest.mark.parametrize(("tap", "field", "count"), [("orders", "id", 800), ("people", "ID", 500)])
def test_a_tap_from_pypi_under_kills_gives_what_one_run_gives(place, request, tap, field, count):
    stages = [{"use": name, "with": {"field": field, "at": at}} for name, at in (("deadly", 100), ("fatal", 300))]
    place.chain(request.getfixturevalue(tap), *stages, **FAST)
    assert place.run().returncode == -9
    assert place.run("--resume").returncode == 0

    assert [record[field] for record in place.out()] == list(range(count))
