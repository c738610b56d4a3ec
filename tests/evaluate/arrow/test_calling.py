import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.compute as pc

from stagerunner import ArrowRows, Drop, Reject, count, enough, stage
from stagerunner.records import Batch, Entering, Failure


def numbers(*values, first=0, **more):
    rows = ArrowRows(pa.RecordBatch.from_pydict({"n": pa.array(values, pa.int64())}))
    return Batch(rows, first, more.pop("last", first + len(values)), **more)


def values(batch):
    return [record["n"] for record in batch.records]


@stage.arrow
def doubled(batch):
    return pa.RecordBatch.from_pydict({"n": pc.multiply(batch.column("n"), 2)})


@stage.arrow
def odd(batch):
    mask = pc.equal(pc.bit_wise_and(batch.column("n"), 1), 1)
    return batch.filter(mask), pc.indices_nonzero(mask)


@stage.arrow
def repeated(batch):
    indexes = [at for at, n in enumerate(batch.column("n").to_pylist()) for _ in range(n)]
    return batch.take(pa.array(indexes, pa.int64())), indexes


@stage.arrow
def picky(batch):
    count("seen", batch.num_rows)
    if 7 in batch.column("n").to_pylist():
        raise ValueError("a seven")
    return batch


def fates(batch):
    counts = batch.counts[-1]
    assert counts.balanced
    return counts.taken, counts.created, counts.out, counts.filtered, counts.skipped, counts.dead, counts.not_processed


def test_a_row_for_each_row(stage_of):
    found = stage_of(doubled).apply(numbers(1, 2, 3, first=4, origins=[4, 4, 6], last=7))
    assert values(found) == [2, 4, 6]
    assert isinstance(found.records, ArrowRows)
    assert found.origins == [4, 4, 6]
    assert fates(found) == (3, 0, 3, 0, 0, 0, 0)


def test_rows_with_the_indexes_that_they_come_from(stage_of):
    found = stage_of(odd).apply(numbers(1, 2, 3, 4, first=10))
    assert values(found) == [1, 3]
    assert list(found.origins) == [10, 12]
    assert fates(found) == (4, 0, 2, 2, 0, 0, 0)
    assert [tuple(map(list, given)) for given in found.counts[-1].spread.given] == [([10, 11, 12, 13], [1, 0, 1, 0])]
    later = stage_of(repeated).apply(Batch(found.records, 10, 14, found.origins))
    assert values(later) == [1, 3, 3, 3]
    assert list(later.origins) == [10, 12, 12, 12]
    assert fates(later) == (2, 2, 4, 0, 0, 0, 0)


def test_dicts_become_a_batch(stage_of):
    found = stage_of(doubled).apply(Batch([{"n": 1}, {"n": 2}], 0, 2))
    assert values(found) == [2, 4]


def test_failing_rows_are_found_alone(stage_of):
    batch = numbers(1, 7, 3, 4, 7, 6, 5, 8, first=20)
    found = stage_of(picky, on_error="skip").apply(batch)
    assert values(found) == [1, 3, 4, 6, 5, 8]
    assert list(found.origins) == [20, 22, 23, 25, 26, 27]
    assert [(f.origin, f.type, f.message, f.record) for f in found.failures] == [
        (21, "ValueError", "a seven", {"n": 7}),
        (24, "ValueError", "a seven", {"n": 7}),
    ]
    assert fates(found) == (8, 0, 6, 0, 2, 0, 0)
    assert found.counts[-1].extra == {"seen": 8}


def test_halves_know_where_their_rows_come_from(stage_of):
    @stage.arrow
    def odd_but_seven(batch):
        return odd(picky(batch))

    found = stage_of(odd_but_seven, on_error="skip").apply(numbers(1, 2, 3, 4, 5, 6, 7, 8, 9, first=30))
    assert values(found) == [1, 3, 5, 9]
    assert list(found.origins) == [30, 32, 34, 38]
    assert fates(found) == (9, 0, 4, 4, 1, 0, 0)


def test_a_failure_that_ends_the_run_cuts_the_batch(stage_of):
    found = stage_of(picky).apply(numbers(1, 2, 3, 7, 5))
    assert values(found) == [1, 2, 3]
    assert found.last == 3
    assert fates(found) == (5, 0, 3, 0, 0, 0, 2)


def test_each_failing_row_is_tried_again(stage_of):
    calls = []

    @stage.arrow
    def unsure(batch):
        calls.append(batch.num_rows)
        if len(calls) < 4:
            raise OSError("not yet")
        return batch

    found = stage_of(unsure, attempts=3).apply(numbers(1, 2))
    assert values(found) == [1, 2]
    assert calls == [2, 1, 1, 1, 1]


def test_state_keeps_a_batch_whole(stage_of):
    @stage.arrow(state=True)
    def broken(batch):
        raise OSError("no")

    found = stage_of(broken, on_error="dead_letter").apply(numbers(1, 2, 3))
    assert [f.message for f in found.failures] == ["no"] * 3
    assert fates(found) == (3, 0, 0, 0, 0, 3, 0)


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        (
            lambda b: b.slice(1),
            "WrongLength",
            "returned 2 rows for 3 rows; it gives a record batch with one row for each",
        ),
        (lambda b: None, "NotABatch", "returned NoneType"),
        (lambda b: b.to_pylist(), "NotABatch", "returned list"),
        (lambda b: (b, [0, 1]), "WrongIndexes", "returned 3 rows with 2 indexes"),
        (lambda b: (b, [0, 2, 1]), "WrongIndexes", "indexes that go back"),
        (lambda b: (b, [0, 1, 3]), "WrongIndexes", "indexes beyond those of 3 rows"),
        (lambda b: (b, [-1, 1, 2]), "WrongIndexes", "indexes beyond those of 3 rows"),
        (lambda b: (b, [0, None, 2]), "WrongIndexes", "an index that is null"),
        (lambda b: (b, ["0", "x", "2"]), "WrongIndexes", "indexes that aren't whole numbers"),
    ],
)
def test_anything_else_is_a_failure_that_says_so(given, kind, why, stage_of):
    calls = []

    @stage.arrow
    def wrong(batch):
        calls.append(batch)
        return given(batch)

    found = stage_of(wrong, on_error="skip").apply(numbers(1, 2, 3))
    assert [failure.type for failure in found.failures] == [kind] * 3
    assert why in found.failures[0].message
    assert len(calls) == 1


def test_rows_pass_in_their_places(stage_of):
    found = stage_of(doubled, when="n != 2").apply(numbers(1, 2, 3, 2))
    assert isinstance(found.records, ArrowRows)
    assert values(found) == [2, 2, 6, 2]
    assert found.counts[-1].extra == {"passed": 2}
    found = stage_of(repeated, when="n > 2").apply(numbers(3, 1, 0, 3, first=5))
    assert values(found) == [3, 3, 3, 1, 0, 3, 3, 3]
    assert list(found.origins) == [5, 5, 5, 6, 7, 8, 8, 8]
    assert values(stage_of(doubled, when="n > 9").apply(numbers(1, 2))) == [1, 2]
    assert values(stage_of(odd, when="n == 2").apply(numbers(2, 2))) == []


def test_other_columns_beside_rows_that_pass_make_dicts_of_all(stage_of):
    @stage.arrow
    def named(batch):
        return batch.append_column("name", batch.column("n").cast(pa.string()))

    found = stage_of(named, when="n > 1").apply(numbers(2, 1, 3))
    assert found.records == [{"n": 2, "name": "2"}, {"n": 1}, {"n": 3, "name": "3"}]


def test_records_of_a_replay_enter_where_they_failed(stage_of):
    records = [Entering(2, {"n": 1}), {"n": 2}, Entering(0, {"n": 3}), Entering(1, {"n": 4})]
    found = stage_of(doubled, index=1, stages=3).apply(Batch(records, 0, 4))
    assert found.records == [Entering(2, {"n": 1}), {"n": 4}, {"n": 6}, {"n": 8}]
    found = stage_of(odd, index=1, stages=2).apply(Batch(records[:3], 0, 3))
    assert (found.records, list(found.origins)) == ([{"n": 1}, {"n": 3}], [0, 2])


def test_rows_that_say_drop_or_reject(stage_of):
    @stage.arrow
    def choosy(batch):
        if 1 in batch.column("n").to_pylist():
            raise Drop("a one")
        if 2 in batch.column("n").to_pylist():
            raise Reject("a two")
        return batch

    found = stage_of(choosy, on_error="skip", drop_reason="gave none").apply(numbers(1, 2, 3))
    assert values(found) == [3]
    assert [(failure.policy, failure.message) for failure in found.failures] == [("drop", "a one"), ("skip", "a two")]
    assert fates(found) == (3, 0, 1, 1, 1, 0, 0)


def test_filtered_rows_are_told_where_dropped_records_are_written(stage_of):
    found = stage_of(odd, drop_reason="gave no record").apply(numbers(1, 2, 4))
    assert found.failures == [
        Failure(0, 1, 0, "Drop", "gave no record", "drop", record={"n": 2}),
        Failure(0, 2, 0, "Drop", "gave no record", "drop", record={"n": 4}),
    ]
    assert fates(found) == (3, 0, 1, 2, 0, 0, 0)


def test_a_class_with_state(stage_of):
    @stage.arrow
    class Sum:
        def __init__(self, *, start: int = 0):
            self.sum = start

        def process_batch(self, batch):
            self.sum += pc.sum(batch.column("n")).as_py() or 0
            return batch.slice(0, 0), []

        def flush(self):
            yield pa.RecordBatch.from_pydict({"n": [self.sum, -self.sum]})
            yield {"n": 0}

    found = stage_of(Sum)
    assert len(found.apply(numbers(1, 2, 3)).records) == 0
    assert [record for batch in found.flush() for record in batch.records] == [{"n": 6}, {"n": -6}, {"n": 0}]


def test_enough_ends_with_the_batch(stage_of):
    @stage.arrow
    def once(batch):
        enough()
        return batch

    found = stage_of(once).apply(numbers(1, 2))
    assert found.stop
    assert values(found) == [1, 2]


def test_suspected_rows_come_alone(stage_of, noted):
    evaluator = stage_of(doubled, slot=noted, on_error="skip")
    evaluator.watched = evaluator.singly = True
    (found,) = evaluator.pieces(numbers(1, 2, 3), {(0, 1, 0): ("Killed", "by the second")})
    assert noted.calls == [0, "left", 2, "left"]
    assert found.failures[0].message == "by the second"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("async def wrong(batch): ...", "can't be `async def`"),
        ("def wrong(batch): yield batch", "can't be a generator"),
        ("class Wrong:\n    def process(self, batch): ...", "needs the method process_batch"),
    ],
)
def test_what_can_take_no_batches(found, why, work_of):
    names = {}
    exec(found, names)
    (made,) = [value for name, value in names.items() if name.lower() == "wrong"]
    with pytest.raises(TypeError, match=why):
        work_of(stage.arrow(made))
