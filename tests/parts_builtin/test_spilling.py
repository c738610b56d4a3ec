import os

import pytest
from support.leaks import needs_proc

from stagerunner_parts import spilling
from stagerunner_parts.spilling import Row, Spill, rows_in

KEYS = ["a", "\ud800", (1,), ("1",), (2**70,), ("a", (1,)), (("a",), 1), ()]


@pytest.fixture
def spill():
    made = Spill()
    yield made
    made.close()


def test_rows_are_taken_by_key_once_and_come_in_the_order_of_their_numbers(spill):
    rows = {key: Row(number, [key], [number * 1.5, [None]]) for number, key in enumerate(KEYS)}
    spill.put((key, rows[key]) for key in reversed(KEYS))
    assert list(spill.rows()) == list(rows.values())
    assert spill.take("b") is None
    assert [spill.take(key) for key in KEYS[2:]] == [rows[key] for key in KEYS[2:]]
    assert spill.take((1,)) is None
    assert [row for piece in spill.pieces() for row in rows_in(piece)] == [rows["a"], rows["\ud800"]]


def test_a_row_gives_way_to_a_later_one(spill):
    spill.put([("a", Row(0, ["a"], [1]))])
    spill.put([("a", Row(0, ["a"], [2]))])
    assert list(spill.rows()) == [Row(0, ["a"], [2])]


@needs_proc
def test_its_file_has_no_name(monkeypatch):
    monkeypatch.setattr(spilling, "CACHE", 65536)
    spill = Spill()
    spill.put((str(number), Row(number, ["x" * 500], [])) for number in range(2000))
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    open_here = [os.readlink(link) for link in links if os.path.lexists(link)]
    (file,) = [name for name in open_here if "/etilqs_" in name]
    assert file.endswith(" (deleted)")
    spill.close()


def test_a_full_disk_is_an_error_from_then_on(spill):
    spill._db.execute("PRAGMA max_page_count = 20")
    rows = [(str(number), Row(number, ["x" * 500], [])) for number in range(2000)]
    for _ in range(2):
        with pytest.raises(OSError, match="can't be kept in the folder for temporary files: database or disk is full"):
            spill.put(rows)
    with pytest.raises(OSError, match="full"):
        spill.take("1")
    with pytest.raises(OSError, match="full"):
        list(spill.rows())
