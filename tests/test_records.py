from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stagerunner import records
from stagerunner.records import Batch, Counts, Failure, behind_cut, failures_behind_cut, total


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


def test_failures_behind_a_cut_are_not_processed_whatever_their_policy():
    failures = [Failure(0, n, 0, "ValueError", "", policy) for n, policy in enumerate(("skip", "dead_letter", "fail"))]
    lost = Counts(0, taken=3)
    for failure in failures:
        lost.fail(failure.policy)

    (entry,) = total([lost, *failures_behind_cut(failures)]).values()

    assert entry == Counts(0, taken=3, not_processed=3)


def test_records_behind_a_cut_are_not_processed_where_they_are():
    assert behind_cut(1, 4, []) == [Counts(1, taken=4, not_processed=4)]
    (entry,) = total([Counts(1, taken=5, out=5), *behind_cut(1, 4, [], given=True)]).values()
    assert entry == Counts(1, taken=5, out=1, not_processed=4)


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
