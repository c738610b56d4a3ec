from __future__ import annotations

import pytest

from stagerunner.evaluate.source_reader import SourceReader
from stagerunner.records import SOURCE, Counts, Malformed, Split


class Counted:
    """A source whose splits are lists of what it gives. An exception among them is raised."""

    pure = True

    def read(self, split):
        for item in split.data:
            if isinstance(item, Exception):
                raise item
            yield item


def read(data, first=0, last=99, on_error="skip"):
    return SourceReader(Counted(), on_error).batch(Split(data, 0), first, last)


def test_a_range_of_a_split_is_a_batch_of_its_records():
    batch = read(list("abcde"), 1, 3)

    assert (batch.records, batch.first, batch.last) == (["b", "c"], 1, 3)
    assert batch.counts == [Counts(SOURCE, taken=2, out=2)]


def test_a_split_that_ends_before_the_range_says_where():
    batch = read(["a", "b"], first=5)

    assert (batch.records, batch.first, batch.last) == ([], 5, 2)


@pytest.mark.parametrize("item", [None, Malformed("Odd", "it is odd", "!")])
def test_what_is_no_record_is_a_failure_of_the_source(item):
    batch = read(["a", item, "c"])

    assert (batch.records, batch.origins, batch.last) == (["a", "c"], [0, 2], 3)
    assert [(failure.stage, failure.origin) for failure in batch.failures] == [(SOURCE, 1)]
    assert batch.counts == [Counts(SOURCE, taken=3, out=2, skipped=1)]


def test_a_source_that_raises_ends_the_run_behind_what_it_gave():
    batch = read(["a", ValueError("no more"), "c"])

    assert (batch.records, batch.last) == (["a"], 1)
    assert [(failure.type, failure.policy) for failure in batch.failures] == [("ValueError", "fail")]


def test_the_records_of_a_batch_can_be_read_again():
    reader, split = SourceReader(Counted(), "skip"), Split(["a", None, "c"], 0)

    assert reader.read_again(split, 0, 3) == reader.batch(split, 0, 3).records
