from __future__ import annotations

import pytest

from stagerunner.evaluate.outcome.cursor import Cursor, Grouping, grouping, refusals_in
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form

WHY = ("Killed", "SIGKILL")


def groups(batch, most, refusals=()):
    grouping = Grouping(most, batch, dict.fromkeys(refusals, WHY))
    cut, start = [], 0
    while start < len(batch.records):
        end = grouping.end(start)
        cut.append(batch.records[start:end])
        start = end
    return cut


def test_a_cursor_knows_its_index():
    cursor = Cursor(list("abc"))
    assert (cursor.index, cursor.over) == (-1, False)
    assert [(record, cursor.index) for record in cursor.rest] == [("a", 0), ("b", 1), ("c", 2)]
    assert (cursor.index, cursor.over) == (2, True)


def test_ending_a_cursor_ends_the_loop_that_runs_over_it():
    cursor, seen = Cursor(list("abcd")), []
    for record in cursor.rest:
        seen.append(record)
        if record == "b":
            cursor.end()
    assert (seen, cursor.index, cursor.over) == (["a", "b"], 1, True)


def test_a_cursor_can_go_back():
    cursor = Cursor(list("abcd"))
    assert cursor.take(3) == list("abc")
    cursor.end()
    cursor.back(1)
    assert (cursor.index, cursor.take(9), cursor.index) == (0, list("bcd"), 3)


def test_a_list_is_as_long_as_allowed(batch_of):
    assert groups(batch_of(*"abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert groups(batch_of(*"abcde"), None) == [list("abcde")]


def test_a_list_may_end_within_the_records_of_a_source_record(batch_of):
    assert groups(batch_of(*"abcde", origins=[0, 1, 1, 1, 2]), 2) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_quarantined_record_is_a_list_of_its_own(batch_of):
    assert groups(batch_of(*"abcde"), None, refusals=[2]) == [["a", "b"], ["c"], ["d", "e"]]
    assert groups(batch_of(*"abcd", origins=[0, 1, 1, 1]), None, refusals=[2]) == [["a", "b"], ["c"], ["d"]]


def test_lists_have_one_record_up_to_an_index(batch_of):
    lists = Grouping(3, batch_of(*"abcdefg"), {})
    lists.one_by_one(2)
    assert [lists.end(0), lists.end(1), lists.end(2), lists.end(5)] == [1, 2, 5, 7]


def test_only_a_batch_transform_gets_lists(batch_of):
    assert grouping(Work(0, "f", "m:f", Form(), batch=5), batch_of(*"abc"), {}).end(0) == 1
    assert grouping(Work(0, "f", "m:f", Form(batch=True)), batch_of(*"abc"), {}).end(0) == 3


@pytest.mark.parametrize(
    ("origins", "quarantined", "index"),
    [
        (None, (0, 11, 0), 1),
        ([10, 10, 11, 11], (0, 11, 1), 3),
        ([10, 12, 12, 12], (0, 12, 2), 3),
    ],
)
def test_a_quarantine_finds_its_record(batch_of, origins, quarantined, index):
    batch = batch_of(*"abcd", first=10, origins=origins)
    assert refusals_in(batch, 0, {quarantined: WHY}) == {index: WHY}


@pytest.mark.parametrize(
    "quarantined", [(1, 11, 0), (0, 9, 0), (0, 9, 1), (0, 11, 2), (0, 14, 0), (0, 13, 0), (0, 10, 2)]
)
@pytest.mark.parametrize("origins", [None, [10, 10, 11, 11]])
def test_a_quarantine_of_another_record_finds_none(batch_of, origins, quarantined):
    batch = batch_of(*"abcd", first=10, origins=origins, last=20)
    expected = {3: WHY} if quarantined == (0, 13, 0) and origins is None else {}
    assert refusals_in(batch, 0, {quarantined: WHY}) == expected
