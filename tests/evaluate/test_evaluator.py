from __future__ import annotations

import random
from typing import ClassVar

import pytest

from stagerunner.evaluate import evaluator
from stagerunner.evaluate.limits.pacing import Pause
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.stage_api import count, current, enough
from stagerunner.records import Batch


def same(record):
    return record


def test_setup_and_close_of_a_class_are_called(stage_of, batch_of):
    told = []

    class Opened:
        def __init__(self, *, name="x"):
            told.append(name)

        def setup(self):
            told.append("setup")

        def process(self, record):
            return record

        def close(self):
            told.append("close")

    stage = stage_of(Opened, options={"name": "built"})
    assert stage.apply(batch_of(1)).records == [1]
    stage.close()
    assert told == ["built", "setup", "close"]


def test_setup_raises_what_the_stage_raises(stage_of):
    class Broken:
        def setup(self):
            raise SystemExit("no licence")

        def process(self, record):
            return record

    with pytest.raises(SystemExit, match="no licence"):
        stage_of(Broken)


def test_an_async_setup_of_a_plain_class_is_refused(stage_of):
    class Mixed:
        async def setup(self):
            pass

        def process(self, record):
            return record

    with pytest.raises(TypeError, match="async def"):
        stage_of(Mixed)


def test_a_snapshot_restores_the_state(stage_of, batch_of):
    class Numbered:
        def __init__(self):
            self.number = 0

        def process(self, record):
            self.number += 1
            return (self.number, record)

        def snapshot(self):
            return self.number

        def restore(self, data):
            self.number = data

    first, second = stage_of(Numbered), stage_of(Numbered)
    first.apply(batch_of(*"ab"))
    second.restore(first.snapshot())
    assert second.apply(batch_of("c")).records == [(3, "c")]


def test_a_stage_without_state_has_no_snapshot(stage_of):
    stage = stage_of(same)
    assert stage.snapshot() is None
    stage.restore(None)


def test_counters_travel_with_their_batch(stage_of, batch_of):
    def counted(record):
        count("seen")
        count("length", len(record))
        return record

    stage = stage_of(counted)
    assert stage.apply(batch_of("ab", "c")).counts[0].extra == {"seen": 2, "length": 3}
    assert stage.apply(batch_of("d")).counts[0].extra == {"seen": 1, "length": 1}
    assert current.get() is None


def test_two_stages_in_one_process_have_separate_counters(stage_of, batch_of):
    def inner(record):
        count("inner")
        return record

    def outer(record):
        count("outer")
        yield from deep.apply(batch_of(record)).records
        count("outer")

    deep = stage_of(inner)
    assert stage_of(outer).apply(batch_of(1)).counts[0].extra == {"outer": 2}


def test_pieces_end_where_a_source_record_ends(stage_of, batch_of):
    def twice(record):
        count("calls")
        yield record
        yield record

    stage = stage_of(twice)
    stage.piece_records = 3
    pieces = list(stage.pieces(batch_of(*"abcde", origins=[0, 0, 1, 1, 4], last=9)))
    assert [(piece.first, piece.last, piece.origins) for piece in pieces] == [
        (0, 1, [0, 0, 0, 0]),
        (1, 2, [1, 1, 1, 1]),
        (2, 9, [4, 4]),
    ]
    assert [piece.counts[0].extra for piece in pieces] == [{"calls": 2}, {"calls": 2}, {"calls": 1}]
    assert all(entry.balanced for piece in pieces for entry in piece.counts)


def test_pieces_are_made_lazily(stage_of, batch_of):
    begun = []

    def noted(record):
        begun.append(record)
        yield record

    stage = stage_of(noted)
    stage.piece_records = 1
    pieces = stage.pieces(batch_of(*"abc"))
    next(pieces)
    assert begun == ["a"]


def test_a_plain_stage_gives_one_piece(stage_of, batch_of):
    stage = stage_of(same)
    stage.piece_records = 1
    assert [piece.records for piece in stage.pieces(batch_of(1, 2))] == [[1, 2]]


def test_an_empty_batch_is_one_empty_piece(stage_of, batch_of):
    def none_of_it(record):
        yield record

    assert [piece.records for piece in stage_of(none_of_it).pieces(batch_of())] == [[]]


def test_only_a_watched_batch_is_noted_in_the_slot(stage_of, batch_of, noted):
    stage = stage_of(same, slot=noted)
    stage.apply(batch_of(*"ab"))
    assert noted.calls == []
    stage.watched = True
    stage.apply(batch_of(*"ab"))
    assert noted.calls == [0, "left", 1, "left"]


def test_each_attempt_is_noted(stage_of, batch_of, noted):
    def bad(record):
        raise ValueError

    stage = stage_of(bad, slot=noted, attempts=2, on_error="skip")
    stage.watched = True
    stage.apply(batch_of(*"ab"))
    assert noted.calls == [0, "left", 0, "left", 1, "left", 1, "left"]


def test_the_slot_names_the_record_while_its_generator_runs(stage_of, batch_of, noted):
    def drawn(record):
        noted.calls.append(record)
        yield record

    stage = stage_of(drawn, slot=noted)
    stage.watched = True
    stage.apply(batch_of(*"ab"))
    assert noted.calls == [0, "a", "left", 1, "b", "left"]


def test_the_slot_names_the_first_of_a_list(stage_of, batch_of, noted):
    class Lists:
        def process_batch(self, records):
            return records

    stage = stage_of(Lists, slot=noted, batch=2)
    stage.watched = True
    stage.apply(batch_of(*"abc"))
    assert noted.calls == [0, "left", 2, "left"]


def test_quarantined_records_are_not_called(stage_of, batch_of, noted):
    stage = stage_of(same, slot=noted, index=4, on_error="dead_letter")
    stage.watched = True
    quarantined = {(4, 6, 1): ("Killed", "SIGKILL"), (3, 5, 0): ("Timeout", "elsewhere")}
    batch = stage.apply(batch_of(*"abc", origins=[5, 6, 6], first=5), quarantined)
    (failure,) = batch.failures
    assert (batch.records, noted.calls) == (["a", "b"], [0, "left", 1, "left"])
    assert (failure.type, failure.message, failure.record) == ("Killed", "SIGKILL", "c")
    assert (failure.origin, failure.ordinal, failure.attempts, failure.frames) == (6, 1, 1, ())


def test_a_quarantined_record_is_not_retried(stage_of, batch_of):
    stage = stage_of(same, attempts=3, on_error="skip", delay=1000.0)
    assert stage.apply(batch_of("a"), {(0, 0, 0): ("Killed", "SIGKILL")}).failures[0].attempts == 1


@pytest.mark.parametrize("state", [False, True])
def test_a_quarantined_record_is_left_out_of_its_list(stage_of, batch_of, state):
    lists = []

    class Lists:
        def process_batch(self, records):
            lists.append(records)
            return records

        if state:

            def flush(self):
                pass

    stage = stage_of(Lists, on_error="skip")
    batch = stage.apply(batch_of(*"abcd"), {(0, 1, 0): ("Killed", "SIGKILL")})
    assert (lists, batch.records) == ([["a"], ["c", "d"]], ["a", "c", "d"])


def test_a_batch_with_stop_keeps_it(stage_of, batch_of):
    assert stage_of(same).apply(batch_of(1, stop=True)).stop


def test_enough_in_pieces_is_the_last_piece(stage_of, batch_of):
    def two(record):
        yield record
        if record == "b":
            enough()
        yield record

    stage = stage_of(two)
    stage.piece_records = 1
    pieces = list(stage.pieces(batch_of(*"abc")))
    assert [(piece.records, piece.last, piece.stop) for piece in pieces] == [
        (["a", "a"], 1, False),
        (["b", "b"], 2, True),
    ]


# The usual call


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
def test_apply_simple_gives_what_apply_gives(stage_of, transform, attempts, on_error, watched):
    stage = stage_of(transform, on_error=on_error, attempts=attempts, delay=0.0)
    stage.watched = watched

    for records in ([], [1], [2], [1, 2, 3, 4], [2, 2], [0, 1, 2]):
        found = stage.apply_simple(given(records))
        applied = stage.apply(given(records))
        if isinstance(found, list):
            assert found == applied.records
            assert (applied.failures, applied.stop, applied.origins) == ([], False, None)
            assert [(c.taken, c.out, c.extra) for c in applied.counts] == [(len(records), len(records), {})]
        else:
            assert found == applied


@pytest.mark.parametrize("seed", range(200))
def test_apply_simple_gives_what_apply_gives_at_random(stage_of, seed):
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
    found, calls = stage.apply_simple(given(records)), told.copy()
    told.clear()
    applied = stage.apply(given(records))

    assert calls == told
    assert (found if isinstance(found, list) else found.records) == applied.records
    assert isinstance(found, list) or found == applied


def test_an_outcome_is_made_once_by_whichever_thread(work_of, monkeypatch):
    batch = given([1, 2])
    listener = evaluator.LazyOutcome(work_of(same), batch, Pause())

    class Overtaken:
        """A lock that another thread gets first, and makes the outcome."""

        others: ClassVar[list[BatchOutcome]] = []

        def __enter__(self):
            monkeypatch.undo()
            self.others.append(listener.outcome())

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(evaluator, "_outcome_lock", Overtaken())
    outcome = listener.outcome()

    assert [other is outcome for other in Overtaken.others] == [True]


def test_an_error_between_two_calls_is_not_a_failure_of_a_record(stage_of):
    class Rude(list):
        def __iter__(self):
            yield 1
            raise TimeoutError

    batch = given([])
    batch.records = Rude()

    with pytest.raises(TimeoutError):
        stage_of(same, on_error="skip").apply_simple(batch)


def test_without_anything_else_to_record_no_batch_is_made(stage_of):
    assert stage_of(same).apply_simple(given([1, 2])) == [1, 2]
    assert current.get() is None
    assert isinstance(stage_of(counting).apply_simple(given([1, 2])), Batch)


def test_the_result_of_a_retry_is_an_ordinary_result(stage_of):
    tried = []

    def second(record):
        tried.append(record)
        if len(tried) == 2:
            raise OSError("once")
        return record

    batch = stage_of(second, attempts=2, delay=0.0).apply_simple(given([1, 2, 3]))

    assert (tried, batch.records, batch.failures) == ([1, 2, 2, 3], [1, 2, 3], [])
