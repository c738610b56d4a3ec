from __future__ import annotations

import asyncio

import pytest

from stagerunner.evaluate.dead_letters.returning import Letters, entry_of, with_entering
from stagerunner.evaluate.work import Work
from stagerunner.parts.source import Want
from stagerunner.parts.stage import Form
from stagerunner.records import Entering, Malformed, Origin

RECORDS = [1, Entering(1, 2), Entering(2, 3), Entering(1, 4), 5]
"""Of a chain with two stages: two enter at the second, one at the sink."""


def work(index, **form):
    return Work(index, "s", "m:f", Form(**form), stages=2)


def test_records_that_enter_later_pass():
    first = with_entering(lambda record: record * 10, work(0))
    second = with_entering(lambda record: record + 1, work(1))

    assert [second(first(record)) for record in RECORDS] == [11, 3, 3, 5, 51]


def test_they_pass_a_stage_with_many_results():
    first = with_entering(lambda record: [record, record], work(0, many=True))

    assert [list(first(record)) for record in RECORDS[:2]] == [[1, 1], [Entering(1, 2)]]


def test_they_pass_a_batch_stage_in_their_places():
    seen = []
    batch = with_entering(
        lambda records: seen.append(records) or [record * 10 for record in records], work(1, batch=True)
    )

    assert batch(RECORDS) == [10, 20, 3, 40, 50]
    assert seen == [[1, 2, 4, 5]]


@pytest.mark.parametrize("batch", [False, True])
def test_they_pass_an_async_stage(batch):
    async def one(record):
        return record * 10

    async def several(records):
        return [record * 10 for record in records]

    async def through():
        if batch:
            return await with_entering(several, work(1, batch=True, awaited=True))(RECORDS)
        return [await with_entering(one, work(1, awaited=True))(record) for record in RECORDS]

    assert asyncio.run(through()) == [10, 20, 3, 40, 50]


@pytest.mark.parametrize(
    ("letter", "start", "entry"),
    [
        ({"stage": "a", "record": 1}, None, 0),
        ({"stage": "b", "record": 1}, None, 1),
        ({"stage": "sink", "record": 1}, None, 2),
        ({"stage": "b", "record": 1}, "a", 0),
        ({"stage": "source", "record": "x"}, "b", 1),
        ({"stage": "source", "record": "x"}, None, "could not read it"),
        ({"stage": "c", "record": 1}, None, "no stage 'c'"),
        ({"stage": "a", "record": [1], "altered": "record is of type tuple"}, "a", "tuple"),
        ({"stage": "a", "text": "x"}, "a", "no record"),
        ({"stage": "a", "record": None}, None, "no record"),
        (None, None, "isn't a dead letter"),
    ],
)
def test_where_a_letter_enters(letter, start, entry):
    found = entry_of(letter, ["a", "b"], start)

    assert entry in found if isinstance(entry, str) else found == entry


def test_the_source_gives_each_letter_once_whatever_the_splits(tmp_path):
    path = tmp_path / "failed.jsonl"
    lines = [
        f'{{"version":1,"stage":"b","record":{n},"attempts":2,"origin":{{"name":"in","line":{n}}}}}' for n in range(9)
    ]
    path.write_text("\n".join([*lines, "", "torn"]))
    for size in (1, 100, 10_000):
        source = Letters(path=str(path), stages=["a", "b"])
        splits = list(source.splits(None, Want(size)))
        found = [record for split in splits for record in source.read(split)]
        places = [source.locate(split, n) for split in splits for n, _ in enumerate(source.read(split))]

        assert found[:-1] == [Entering(1, n) for n in range(9)]
        assert isinstance(found[-1], Malformed)
        assert places[:-1] == [Origin("in", line=n, tried=2) for n in range(9)]
        assert splits[-1].position == source.size()
        assert list(source.splits(splits[0].position, Want(size))) == splits[1:]
