from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stagerunner.engines.worker.frame_context import FrameContext, cut
from stagerunner.records import DATA, Batch, Counts, Failure
from stagerunner.wire.frame import Header, Metadata


def failure(policy: str = "skip", origin: int = 0, stage: int = 0) -> Failure:
    return Failure(stage, origin, 0, "ValueError", "no", policy)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=10), st.integers(1, 6))
def test_a_batch_is_sliced_where_a_source_records_results_end(sizes, size):
    origins = [origin for origin, count in enumerate(sizes) for _ in range(count)]
    failures = [failure(origin=origin) for origin, count in enumerate(sizes) if not count]
    batch = Batch(list(range(len(origins))), 0, len(sizes), origins, failures)

    slices = list(cut(batch, lambda: size)) or [batch]

    assert [record for part in slices for record in part.records] == batch.records
    assert [origin for part in slices for origin in part.origins] == origins
    assert [f for part in slices for f in part.failures] == failures
    assert (slices[0].first, slices[-1].last) == (0, len(sizes))
    assert all(before.last == after.first for before, after in pairwise(slices))
    assert all(part.first <= origin < part.last for part in slices for origin in part.origins)


def test_a_passage_gathers_what_the_pieces_say():
    context = FrameContext(Header(DATA, 0, 1, 0, first=5))
    one, two = Metadata(slowest=7, widest=3), Metadata(slowest=5, widest=4, stop=2)
    one.book([Counts(0, taken=1)])
    two.book([Counts(0, taken=2)])

    context.take(one)
    context.take(two)

    assert context.lines == one.lines + two.lines
    assert (context.slowest, context.widest, context.stop, context.reached) == (7, 4, 2, 5)


def test_a_stop_cuts_the_frame_where_it_was_said():
    context = FrameContext(Header(DATA, 0, 1, 0))
    context.harvest(1, 6, Batch([1], 0, 1, stop=True))

    assert (context.cut, context.stop, context.stop_here) == (1, 6, True)


def test_a_failure_under_fail_cuts_and_one_that_is_skipped_does_not():
    context = FrameContext(Header(DATA, 0, 1, 0))
    context.harvest(0, 0, Batch([], 0, 1, failures=[failure("skip")]))
    assert context.cut is None

    context.harvest(1, 1, Batch([], 0, 1, failures=[failure("fail", stage=1)]))
    assert context.cut == 1


def test_a_failure_at_a_later_place_cuts_there_though_the_next_piece_was_cut_before():
    """The next piece is asked for before this one is encoded."""
    context = FrameContext(Header(DATA, 0, 1, 0))
    context.harvest(0, 0, Batch([], 5, 5, failures=[failure("fail", origin=5)]))
    assert context.cut == 0

    context.harvest(1, 1, Batch([], 0, 1, failures=[failure("fail", origin=0, stage=1)]))
    assert context.cut == 1


def test_a_failure_cuts_only_where_it_happened_and_not_where_it_passes():
    context = FrameContext(Header(DATA, 0, 1, 0))
    for position in range(3):
        context.harvest(position, position, Batch([], 5, 5, failures=[failure("fail", origin=5)]))

    assert context.cut == 0
