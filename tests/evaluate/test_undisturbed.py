from __future__ import annotations

import random
from typing import ClassVar

import pytest

from stagerunner import count, enough
from stagerunner.evaluate import undisturbed
from stagerunner.evaluate.ambient import current
from stagerunner.evaluate.batches import Passage
from stagerunner.records import Batch


def same(record):
    return record


def counting(record):
    count("seen", record)
    return record


def enough_at_two(record):
    if record == 2:
        enough()
    return record


def enough_and_none_at_two(record):
    if record == 2:
        enough()
        return None
    return record


def none_at_two(record):
    return None if record == 2 else record


def raising_at_two(record):
    if record == 2:
        raise ValueError("two")
    return record


def stopping_at_two(record):
    if record == 2:
        raise StopIteration
    return record


def counting_and_raising(record):
    count("called")
    if record in {2, 4}:
        raise ValueError("even")
    return record


TRANSFORMS = [
    same,
    counting,
    enough_at_two,
    enough_and_none_at_two,
    none_at_two,
    raising_at_two,
    stopping_at_two,
    counting_and_raising,
]


def given(records) -> Batch:
    return Batch(list(records), 5, 5 + len(records))


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("on_error", ["fail", "skip", "dead_letter"])
@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_batch_in_one_go_is_the_batch_applied(stage_of, transform, attempts, on_error, watched):
    stage = stage_of(transform, on_error=on_error, attempts=attempts, delay=0.0)
    stage.watched = watched

    for records in ([], [1], [2], [1, 2, 3, 4], [2, 2], [0, 1, 2]):
        found = stage.whole(given(records))
        applied = stage.apply(given(records))
        if isinstance(found, list):
            assert found == applied.records
            assert (applied.failures, applied.stop, applied.origins) == ([], False, None)
            assert [(c.taken, c.out, c.extra) for c in applied.counts] == [(len(records), len(records), {})]
        else:
            assert found == applied


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_at_random_is_the_same_either_way(stage_of, seed):
    dice = random.Random(seed)
    deeds = dice.choices(("give", "none", "raise", "stop", "count", "enough"), (9, 1, 1, 1, 1, 1), k=9)
    told = []

    def scripted(record):
        tried = [*told, record].count(record)
        told.append(record)
        deed = deeds[(record + 4 * tried) % len(deeds)]
        match deed:
            case "raise":
                raise ValueError(record)
            case "stop":
                raise StopIteration
            case "count":
                count("counted", record)
            case "enough":
                enough()
        return None if deed == "none" else (record, tried)

    stage = stage_of(scripted, on_error=dice.choice(("fail", "skip", "dead_letter")), attempts=dice.randint(1, 3))
    records = [dice.randrange(9) for _ in range(dice.randrange(12))]
    found, calls = stage.whole(given(records)), told.copy()
    told.clear()
    applied = stage.apply(given(records))

    assert calls == told
    assert (found if isinstance(found, list) else found.records) == applied.records
    assert isinstance(found, list) or found == applied


def test_a_passage_is_made_once_whoever_asks_for_it(work_of, monkeypatch):
    batch = given([1, 2])
    listener = undisturbed.Undisturbed(work_of(same), batch)

    class Overtaken:
        """The lock of somebody before whom another thread has got it."""

        others: ClassVar[list[Passage]] = []

        def __enter__(self):
            monkeypatch.undo()
            self.others.append(listener.disturbed())

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(undisturbed, "_making", Overtaken())
    passage = listener.disturbed()

    assert [other is passage for other in Overtaken.others] == [True]


def test_what_is_raised_between_two_calls_is_no_failure_of_a_record(stage_of):
    class Rude(list):
        def __iter__(self):
            yield 1
            raise TimeoutError

    batch = given([])
    batch.records = Rude()

    with pytest.raises(TimeoutError):
        stage_of(same, on_error="skip").whole(batch)


def test_where_nothing_is_said_no_batch_is_made(stage_of):
    assert stage_of(same).whole(given([1, 2])) == [1, 2]
    assert current.get() is None
    assert isinstance(stage_of(counting).whole(given([1, 2])), Batch)


def test_a_second_attempt_that_succeeds_counts_as_any_result(stage_of):
    tried = []

    def second(record):
        tried.append(record)
        if len(tried) == 2:
            raise OSError("once")
        return record

    batch = stage_of(second, attempts=2, delay=0.0).whole(given([1, 2, 3]))

    assert (tried, batch.records, batch.failures) == ([1, 2, 2, 3], [1, 2, 3], [])
