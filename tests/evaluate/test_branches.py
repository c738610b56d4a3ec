from __future__ import annotations

import pytest

from stagerunner.evaluate.branches import BranchEncoder, parted
from stagerunner.evaluate.encoding import RecordEncoder
from stagerunner.evaluate.outcome.growth import TooLarge
from stagerunner.records import Batch, Entering, divided, total


def texts(records):
    return b"".join(record.encode() for record in records)


def encoder(stage, on_error="fail", **more):
    return RecordEncoder(texts, stage, on_error, counted=True, **more)


def shares(body, sinks):
    return [(share.records, bytes(share.body)) for share in parted(memoryview(body), sinks)]


def test_each_sink_gets_what_it_wants():
    batch = Batch(["a", "bb", "c"], 0, 3)
    several = BranchEncoder([encoder(1), encoder(2, when=lambda text: len(text) > 1)], 1000)

    assert shares(several.body(batch), 2) == [(3, b"abbc"), (1, b"bb")]
    counts = total(batch.counts)
    assert [(counts[n].taken, counts[n].out, counts[n].filtered) for n in (1, 2)] == [(3, 3, 0), (3, 1, 2)]


def test_counts_of_each_sink_divide_by_source_record():
    batch = Batch(["a", "bb", 3, "dd"], 0, 4)
    several = BranchEncoder([encoder(1, "skip"), encoder(2, "skip", when=lambda text: text == "bb")], 1000)
    several.body(batch)
    spreads = [(counts.stage, counts.spread) for counts in batch.counts if counts.spread is not None]

    parts = [divided(-1, 0, first, first + 1, batch.failures, spreads, range(1, 3)) for first in range(4)]
    summed = total(counts for part in parts for counts in part)

    assert {n: summed[n] for n in (1, 2)} == {n: total(batch.counts)[n] for n in (1, 2)}


def test_a_failure_that_ends_the_run_ends_it_for_every_sink_at_the_first_of_them():
    batch = Batch(["a", 2, "c", 4], 0, 4)
    several = BranchEncoder([encoder(1, when=lambda record: record != 2), encoder(2)], 1000)

    assert shares(several.body(batch), 2) == [(1, b"a"), (1, b"a")]
    assert (batch.last, [(failure.stage, failure.origin) for failure in batch.failures]) == (1, [(2, 1)])


def test_a_condition_that_fails_is_a_failure_of_its_sink():
    batch = Batch(["a", "b"], 0, 2)
    several = BranchEncoder([encoder(1), encoder(2, "dead_letter", when=lambda text: 1 / (text != "b"))], 1000)

    assert shares(several.body(batch), 2) == [(2, b"ab"), (1, b"a")]
    assert [(failure.stage, failure.type) for failure in batch.failures] == [(2, "ZeroDivisionError")]


def test_a_sink_that_changes_records_changes_its_own():
    def changing(records):
        return b"".join(str(record.pop()).encode() for record in records)

    several = BranchEncoder([RecordEncoder(changing, n, "fail", counted=True, changes=True) for n in (1, 2)], 1000)
    assert shares(several.body(Batch([[1], [2]], 0, 2)), 2) == [(2, b"12"), (2, b"12")]


def test_a_replayed_record_goes_to_its_sink_only():
    batch = Batch(["a", Entering(2, "b")], 0, 2)
    assert shares(BranchEncoder([encoder(1), encoder(2)], 1000).body(batch), 2) == [(1, b"a"), (2, b"ab")]


def test_bodies_too_large_together_are_halved_but_not_those_of_one_source_record():
    several = BranchEncoder([encoder(1), encoder(2)], 50)
    with pytest.raises(TooLarge):
        several.body(Batch(["x" * 10, "y" * 10], 0, 2))
    assert len(several.body(Batch(["x" * 10, "y" * 10], 0, 1, [0, 0]))) > 50
