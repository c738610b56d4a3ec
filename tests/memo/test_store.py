"""The file of kept results: what survives, what is refused, and how it is kept small."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stagerunner.memo import store as module
from stagerunner.memo.store import Store, Unusable, existing, file_size, prepare

V1, V2 = b"1" * 8, b"2" * 8


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.memo")


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


@pytest.fixture
def clock(monkeypatch):
    """Sets the time at which results are made."""

    def at(seconds):
        monkeypatch.setattr(module, "time", lambda: seconds)

    return at


def test_what_was_kept_is_found_again(store, path):
    assert store.get(b"key") is None
    store.put(b"key", "ask", V1, b"value")
    assert store.get(b"key") == b"value"
    with closing(Store(path)) as again:
        assert again.get(b"key") == b"value"


def test_a_newer_result_takes_the_place_of_an_older_one(store):
    store.put(b"key", "ask", V1, b"old")
    store.put(b"key", "ask", V1, b"new")
    assert store.get(b"key") == b"new"
    assert sum(entries.results for entries in store.entries()) == 1


def test_a_result_that_is_too_old_is_none(store, clock):
    clock(100)
    store.put(b"key", "ask", V1, b"value")
    assert store.get(b"key", since=100) == b"value"
    assert store.get(b"key", since=101) is None


def _put_and_die(path):
    store = Store(path)
    for number in range(100):
        store.put(b"%d" % number, "ask", V1, b"value")
    os.kill(os.getpid(), signal.SIGKILL)


def test_all_that_was_kept_survives_the_death_of_its_process(path, store):
    process = multiprocessing.get_context("fork").Process(target=_put_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert all(store.get(b"%d" % number) == b"value" for number in range(100))


def test_two_may_write_at_once(path, store):
    other = Store(path)
    for number in range(50):
        (store if number % 2 else other).put(b"%d" % number, "ask", V1, b"value")
    assert store.entries() == other.entries()
    assert store.entries()[0].results == 50
    other.close()


def test_a_value_that_was_damaged_is_none(store, path):
    store.put(b"key", "ask", V1, b"value")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE results SET value = substr(value, 1, 8) || x'00'")
    assert store.get(b"key") is None


def _foreign(path):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE people (name TEXT)")


def _later(path):
    prepare(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: Path(path).write_bytes(b"no database" * 1000), "not a database"),
        (lambda path: Path(path).mkdir(), "unable to open"),
        (_foreign, "something else"),
        (_later, "another version"),
    ],
)
def test_a_file_that_is_no_memo_is_refused_and_left_alone(path, store, spoil, why):
    spoil(path)
    before = Path(path).read_bytes() if Path(path).is_file() else None
    with pytest.raises(Unusable, match=why):
        store.put(b"key", "ask", V1, b"value")
    with pytest.raises(Unusable, match=why):
        prepare(path)
    assert before is None or Path(path).read_bytes() == before


def test_a_folder_is_made_for_it_if_it_can_be(tmp_path):
    prepare(str(tmp_path / "new" / "a.memo"))
    assert (tmp_path / "new" / "a.memo").exists()
    with pytest.raises(Unusable):
        prepare("/proc/nothing/a.memo")


def test_a_file_that_another_process_keeps_locked_is_refused_after_a_while(path, store, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    prepare(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unusable, match="locked"):
        store.put(b"key", "ask", V1, b"value")
    other.close()


def test_the_oldest_make_room_for_the_newest(path):
    store = Store(path, size=200_000)
    for number in range(1000):
        store.put(b"%d" % number, "ask", V1, bytes(1000))
    assert store.get(b"999") is not None
    assert store.get(b"0") is None
    assert 50 < store.entries()[0].results < 200
    store.close()
    assert file_size(path) < 300_000


def test_what_is_in_it_is_told_by_stage_and_version(store, clock):
    for seconds, stage, version in ((10, "ask", V1), (20, "ask", V1), (30, "ask", V2), (15, "read", V1)):
        clock(seconds)
        store.put(b"%d" % seconds, stage, version, b"value")
    found = {(entries.stage, entries.version[:2]): entries for entries in store.entries()}
    assert set(found) == {("ask", "31"), ("ask", "32"), ("read", "31")}
    assert found["ask", "31"][2:] == (2, 18, 10, 20, False)


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({"before": 20}, {b"20", b"30"}),
        ({"stage": "ask"}, {b"15"}),
        ({"before": 30, "stage": "ask"}, {b"15", b"30"}),
        ({}, set()),
    ],
)
def test_what_is_pruned_is_gone(store, clock, what, left):
    for seconds, stage in ((10, "ask"), (15, "read"), (20, "ask"), (30, "ask")):
        clock(seconds)
        store.put(b"%d" % seconds, stage, V1, b"value")
    assert store.prune(**what) == 4 - len(left)
    assert {key for key in (b"10", b"15", b"20", b"30") if store.get(key) is not None} == left


def test_only_a_file_that_is_there_is_looked_at(path):
    with pytest.raises(Unusable, match="no such file"):
        existing(path)
    prepare(path)
    existing(path).close()
