from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from stagerunner.engines.process.worker.flushes import clipped
from stagerunner.records import Batch, Counts, Failure

cuts = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def batches(sizes: list[int]) -> Iterator[Batch]:
    """A flush of the numbers from 0, in batches of these sizes."""
    first = 0
    for size in sizes:
        last = first + size
        yield Batch(list(range(first, last)), first, last, counts=[Counts(3, created=size, out=size)])
        first = last


@given(cuts, cuts)
def test_a_flush_can_be_cut_anywhere_and_goes_on_where_it_was(sizes, asked):
    whole, flushing, got, first = sum(sizes), {7: batches(sizes)}, [], 0
    for size in asked:
        for batch in clipped(flushing, 7, first, first + size):
            assert batch.first >= first
            assert batch.last <= first + size
            assert batch.counts[0].balanced
            got += batch.records
        first += size

    assert got == list(range(min(first, whole)))


@given(cuts, st.integers(0, 30), st.integers(1, 10))
def test_a_fresh_flush_gives_just_what_is_asked_for(sizes, first, size):
    found = [record for batch in clipped({0: batches(sizes)}, 0, first, first + size) for record in batch.records]

    assert found == list(range(sum(sizes)))[first : first + size]


def test_a_failure_stays_with_its_number():
    failure = Failure(3, 1, 0, "ValueError", "no", "skip")
    counts = [Counts(3, created=3, out=2, skipped=1)]
    flushing = {0: iter([Batch(["a", "c"], 0, 3, origins=[0, 2], failures=[failure], counts=counts)])}

    (first,), (second,) = [list(clipped(flushing, 0, *edges)) for edges in ((0, 2), (2, 3))]

    assert (first.records, first.failures, second.records, second.failures) == (["a"], [failure], ["c"], [])
    assert (first.counts[0].skipped, second.counts[0].skipped) == (1, 0)
