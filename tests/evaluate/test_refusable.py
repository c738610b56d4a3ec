from __future__ import annotations

import pytest

from stagerunner.evaluate.refusable import TracedEncoder, failures_of, parted
from stagerunner.records import Batch


def encoder(*, changes=False):
    def encode(records):
        if "bad" in records:
            raise ValueError("no")
        body = "".join(map(str, records)).encode()
        for record in records:
            record.clear() if isinstance(record, list) else None
        return body

    return TracedEncoder(encode, 2, "skip", counted=True, changes=changes)


def test_in_front_of_the_encoding_stands_which_records_it_has():
    batch = Batch(["a", "bad", "c", "d"], 4, 7, [4, 4, 5, 5])

    told, body = parted(memoryview(encoder().body(batch)))
    first, second = failures_of(told, {2: ("Late", "late"), 0: ("Odd", "odd")}, 2, "skip")

    assert bytes(body) == b"acd"
    assert [(f.record, f.origin, f.ordinal, f.type, f.message) for f in (first, second)] == [
        ("a", 4, 0, "Odd", "odd"),
        ("d", 5, 1, "Late", "late"),
    ]
    assert [(f.stage, f.policy) for f in (first, second)] == [(2, "skip")] * 2


def test_a_record_that_the_encoding_changes_is_told_as_it_came():
    told, _ = parted(memoryview(encoder(changes=True).body(Batch([[1], [2]], 0, 2))))

    assert failures_of(told, {1: ("Odd", "")}, 2, "skip")[0].record == [2]


class Unreadable:
    def __reduce__(self):
        return int, ("x",)


@pytest.mark.parametrize(("record", "text"), [(lambda: 1, "<function"), (Unreadable(), "a record that can't be read")])
def test_a_record_that_cannot_be_sent_is_told_as_a_text(record, text):
    told, _ = parted(memoryview(encoder().body(Batch([record], 0, 1))))
    (failure,) = failures_of(told, {0: ("Odd", "")}, 2, "skip")

    assert (failure.record, failure.text[: len(text)]) == (None, text)
