from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stagerunner import records
from stagerunner.records import SOURCE, Batch, Counts, Failure, Spread, divided, spread_counters, total


def test_without_origins_each_record_stands_for_one_source_record():
    batch = Batch(["a", "b"], first=5, last=7)

    assert [batch.origin(0), batch.origin(1)] == [5, 6]
    assert [batch.ordinal(0), batch.ordinal(1)] == [0, 0]


def test_an_ordinal_counts_the_records_of_one_origin():
    batch = Batch(list("abcdef"), 0, 9, origins=[2, 2, 2, 5, 8, 8])

    assert [batch.ordinal(index) for index in range(6)] == [0, 1, 2, 0, 0, 1]


def test_the_ledger_balances_if_each_record_has_a_fate():
    assert Counts(0, taken=6, created=2, out=3, filtered=1, skipped=1, dead=2, not_processed=1).balanced
    assert not Counts(0, taken=5, out=4).balanced


counts = st.builds(
    Counts,
    st.integers(-1, 3),
    *[st.integers(0, 9)] * 7,
    extra=st.dictionaries(st.sampled_from("ab"), st.integers(0, 9)),
)


@given(st.lists(counts))
def test_totals_add_up_per_stage(entries):
    sums = total(entries)

    assert set(sums) == {entry.stage for entry in entries}
    assert sum(entry.taken for entry in entries) == sum(entry.taken for entry in sums.values())
    for name in "ab":
        assert sum(e.extra.get(name, 0) for e in entries) == sum(e.extra.get(name, 0) for e in sums.values())


def test_totals_do_not_change_the_entries():
    entry = Counts(0, taken=1, extra={"a": 1})

    total([entry, entry])

    assert (entry.taken, entry.extra) == (1, {"a": 1})


# Counts by source record

FILTERS = (0, Spread([(range(6), bytes([1, 0, 1, 1, 0, 1]))], [], spread_counters([(0, "seen", 2), (4, "seen", 3)])))
MAKES = (1, Spread([([0, 5], [3, 2])], [5]))
FAILURES = [Failure(0, 3, 0, "ValueError", "bad", "dead_letter"), Failure(2, 2, 0, "TypeError", "not that", "skip")]


def test_counts_follow_from_failures_and_spreads():
    assert divided(SOURCE, 2, 0, 6, FAILURES, [FILTERS, MAKES]) == [
        Counts(SOURCE, taken=6, out=6),
        Counts(0, taken=6, out=3, filtered=2, dead=1, extra={"seen": 5}),
        Counts(1, taken=3, created=3, out=5, not_processed=1),
        Counts(2, taken=5, out=4, skipped=1),
    ]


def test_only_the_records_of_the_range_are_counted():
    assert divided(SOURCE, 2, 2, 6, FAILURES, [FILTERS, MAKES]) == [
        Counts(SOURCE, taken=4, out=4),
        Counts(0, taken=4, out=2, filtered=1, dead=1, extra={"seen": 3}),
        Counts(1, taken=2, created=1, out=2, not_processed=1),
        Counts(2, taken=2, out=1, skipped=1),
    ]


@given(st.lists(st.integers(0, 6), max_size=4))
def test_parts_add_up_to_the_whole(cuts):
    edges = [0, *sorted(cuts), 6]
    parts = [divided(SOURCE, 2, *part, FAILURES, [FILTERS, MAKES]) for part in pairwise(edges)]

    assert list(total(entry for part in parts for entry in part).values()) == divided(
        SOURCE, 2, 0, 6, FAILURES, [FILTERS, MAKES]
    )


def test_a_flush_makes_its_records_where_its_stage_is():
    failures = [Failure(1, 2, 0, "ValueError", "bad", "skip")]

    assert divided(1, 2, 0, 3, failures, []) == [Counts(1, created=3, out=2, skipped=1), Counts(2, taken=2, out=2)]


def test_a_spread_is_needed_as_long_as_it_says_something_about_a_later_record():
    assert [MAKES[1].reaches(origin) for origin in (5, 6)] == [True, False]
    assert [Spread([], (), spread_counters([(3, "seen", 1)])).reaches(origin) for origin in (3, 4)] == [True, False]


# Kinds of frames


def test_every_kind_has_a_name_and_a_number_of_its_own() -> None:
    assert sorted(records.KINDS) == [
        records.READY,
        records.DATA,
        records.FLUSH,
        records.BARRIER,
        records.END,
        records.SKIP,
    ]
    assert records.KINDS[records.BARRIER] == "BARRIER"


def test_a_kind_fits_its_byte_in_the_header() -> None:
    assert all(0 < kind < 256 for kind in records.KINDS)
