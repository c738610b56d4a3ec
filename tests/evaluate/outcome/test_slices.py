"""Pieces that end by time, and batches that end at a halt."""

from __future__ import annotations

from stagerunner.evaluate.outcome import slices


def test_a_watched_stage_ends_a_piece_with_the_source_record_in_which_its_time_was_over(
    stage_of, batch_of, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE", 0)
    stage = stage_of(lambda record: record)
    stage.watched = True
    batch = batch_of(*"abcde", origins=[0, 1, 1, 1, 2])
    batch.final = True

    pieces = list(stage.pieces(batch))

    assert [piece.records for piece in pieces] == [["a"], ["b", "c", "d"], ["e"]]
    assert [(piece.first, piece.last) for piece in pieces] == [(0, 1), (1, 2), (2, 3)]
    assert [piece.final for piece in pieces] == [False, False, True]
    assert stage.apply(batch).records == list("abcde")


def test_a_stage_that_is_not_watched_never_looks_at_the_clock(stage_of, batch_of, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 0)

    assert len(list(stage_of(lambda record: record).pieces(batch_of(*"abcde")))) == 1


# A halt


def test_a_halted_run_ends_the_batch_before_the_next_source_record(stage_of, batch_of):
    seen = []
    stage = stage_of(lambda record: seen.append(record) or record, on_error="skip")
    stage.watched = stage.dear = True
    stage.halted = lambda: "c" in seen

    (piece,) = stage.pieces(batch_of(*"abcde", origins=[0, 1, 1, 1, 2]))

    assert seen == list("abc")
    assert (piece.records, piece.last, piece.halted, piece.stop) == (["a"], 1, True, False)
    assert piece.failures == []


def test_what_begins_after_the_halt_is_not_called(stage_of, batch_of):
    seen = []
    stage = stage_of(lambda record: seen.append(record) or record)
    stage.watched = stage.dear = True
    stage.halted = lambda: True

    (piece,) = stage.pieces(batch_of(*"ab", first=5))

    assert seen == []
    assert (piece.records, piece.first, piece.last, piece.halted) == ([], 5, 5, True)


def test_records_that_are_not_dear_are_let_through(stage_of, batch_of):
    stage = stage_of(lambda record: record)
    stage.watched = True
    stage.halted = lambda: True

    (piece,) = stage.pieces(batch_of(*"ab"))

    assert (piece.records, piece.halted) == (["a", "b"], False)
