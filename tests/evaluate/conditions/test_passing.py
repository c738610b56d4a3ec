"""`when`: in each form of transform, a record for which it isn't true passes at its place, untouched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stagerunner.evaluate.stage_api import count
from stagerunner.parts.stage import stage as offered

RECORDS = [{"n": number, "big": number > 3} for number in range(8)]
BIG = "big and n != 6"


def one(record):
    return record["n"] * 10


def even(record) -> int | None:
    return None if record["n"] % 2 else record["n"] * 10


def twice(record):
    yield record["n"] * 10
    yield record["n"] * 10 + 1


@offered.batch
def lists(records):
    count("lists")
    return [record["n"] * 10 for record in records]


@offered.batch(many=True)
def lists_of_two(records):
    return [list(twice(record)) for record in records]


async def awaited(record):
    return record["n"] * 10


async def awaited_twice(record) -> Iterator[int]:
    return twice(record)


@offered.batch
async def awaited_lists(records):
    return lists(records)


class Adding:
    def __init__(self):
        self.sum = 0

    def process(self, record):
        self.sum += record["n"]
        return self.sum

    def flush(self):
        yield self.sum


TENS = {4: [40], 5: [50], 7: [70]}
TWO = {4: [40, 41], 5: [50, 51], 7: [70, 71]}
FORMS = [
    (one, TENS),
    (even, {4: [40], 5: [], 7: []}),
    (twice, TWO),
    (lists, TENS),
    (lists_of_two, TWO),
    (awaited, TENS),
    (awaited_twice, TWO),
    (awaited_lists, TENS),
    (Adding, {4: [4], 5: [9], 7: [16]}),
]


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize(("form", "given"), FORMS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_record_passes_at_its_place(stage_of, batch_of, form, given, size):
    batch = stage_of(form, when=BIG, batch=size).apply(batch_of(*RECORDS))

    found = {number: [] for number in range(8)}
    for index, record in enumerate(batch.records):
        found[batch.origin(index)].append(record)
    assert found == {number: given.get(number, [RECORDS[number]]) for number in range(8)}
    assert batch.counts[0].extra["passed"] == 5
    assert batch.counts[0].balanced


def test_a_record_that_passes_is_not_copied(stage_of, batch_of):
    record = {"n": 1, "big": False}

    assert stage_of(Adding, when=BIG).apply(batch_of(record)).records[0] is record


@pytest.mark.parametrize(("form", "given"), FORMS[:-1], ids=lambda one: getattr(one, "__name__", ""))
def test_a_record_that_the_expression_can_not_judge_fails_at_the_stage(stage_of, batch_of, form, given):
    batch = stage_of(form, when=BIG, on_error="skip").apply(batch_of(RECORDS[0], {"m": 1}, RECORDS[4]))

    assert [(failure.origin, failure.type) for failure in batch.failures] == [(1, "Reject")]
    assert batch.records == [RECORDS[0], *given[4]]


def test_a_list_in_which_all_pass_is_no_call(stage_of, batch_of):
    batch = stage_of(lists, when=BIG).apply(batch_of(*RECORDS[:3]))

    assert (batch.records, batch.counts[0].extra) == (RECORDS[:3], {"passed": 3})


def test_who_passes_waits_for_no_rate(stage_of, batch_of):
    """At a call in 100 s only the first call is at once."""
    stage = stage_of(one, when=BIG, rate=0.01)

    assert stage.apply(batch_of(*RECORDS[:5])).records == [*RECORDS[:4], 40]
