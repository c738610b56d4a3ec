from __future__ import annotations

import pytest
from hypothesis import strategies as st

from stagerunner.records import CodeFrame, Counts, Failure
from stagerunner.wire.frame import CONTROL, BadFrame
from stagerunner.wire.metadata import HEAD, LINE, Metadata, pack_metadata, unpack_payload

FAILURE = Failure(1, 5, 0, "ValueError", "no", "skip", (CodeFrame("a.py", 3, "f"),), 2, record={"a": 1})


def test_metadata_and_body_come_back():
    metadata = Metadata([3, 3, 7], [FAILURE], {(0, 5, 0): ("Killed", "x")}, 2, 9, 8)
    metadata.book([Counts(0, 5, 1, 2, extra={"hits": 3})])

    back, body = unpack_payload(pack_metadata(metadata) + b"body")

    assert (back, bytes(body)) == (metadata, b"body")


class Rooted:
    def __reduce__(self):
        raise TypeError("I stay here")

    def __repr__(self):
        return "Rooted()"


class Stubborn(Exception):
    def __init__(self, one, two):
        super().__init__("only one argument is kept")


@pytest.mark.parametrize(("record", "text"), [(Rooted(), "Rooted()"), (Stubborn(1, 2), "Stubborn('only one")])
def test_a_failed_record_that_can_not_be_pickled_is_sent_as_text(record, text):
    failure = Failure(0, 0, 0, "ValueError", "no", "skip", record=record)

    (back,) = unpack_payload(pack_metadata(Metadata(failures=[failure])))[0].failures

    assert back.record is None
    assert back.text.startswith(text)


def test_empty_metadata_is_only_its_head():
    assert len(pack_metadata(Metadata())) == HEAD.size < CONTROL


def test_a_stage_appends_its_line_to_the_ledger():
    first = Metadata()
    first.book([Counts(0, 5, 1, 6)])
    second = unpack_payload(pack_metadata(first))[0]

    second.book([Counts(1, 6, 0, 4, 2), Counts(0, out=-1)])

    assert len(second.lines) == 3 * LINE.size
    assert second.counts == [Counts(0, 5, 1, 6), Counts(1, 6, 0, 4, 2), Counts(0, out=-1)]


def test_a_payload_whose_lengths_do_not_fit_is_a_bad_frame():
    with pytest.raises(BadFrame, match="without metadata"):
        unpack_payload(b"abc")
    with pytest.raises(BadFrame, match="longer than its payload"):
        unpack_payload(HEAD.pack(-1, -1, 0, 0, 0, 0, 0, 9))
    with pytest.raises(BadFrame, match="longer than its payload"):
        unpack_payload(HEAD.pack(-1, -1, 0, 0, 0, 0, 3, 0) + b"abc")


def test_a_rest_of_another_shape_is_a_bad_frame():
    data = b"no metadata"

    with pytest.raises(BadFrame, match="can't be read"):
        unpack_payload(HEAD.pack(-1, -1, 0, 0, 0, 0, 0, len(data)) + data)


@pytest.mark.reliability("frames")
def test_any_bytes_as_a_payload_are_metadata_or_a_bad_frame(prove):
    def check(data):
        try:
            metadata, body = unpack_payload(data)
        except BadFrame:
            return
        assert len(pack_metadata(metadata)) + len(body) <= len(data)

    prove(check, st.binary(max_size=200))
