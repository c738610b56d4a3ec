from __future__ import annotations

import os
import struct
import tracemalloc
from contextlib import closing
from zlib import crc32

import pytest
from hypothesis import strategies as st

from stagerunner.records import DATA, CodeFrame, Counts, Failure
from stagerunner.wire.frame import (
    CONTROL,
    HEAD,
    HEADER,
    LINE,
    SIZE,
    BadFrame,
    Header,
    Metadata,
    bundle,
    frames_of,
    pack_header,
    pack_metadata,
    unpack_header,
    unpack_payload,
)
from stagerunner.wire.pipe import ROOM, Inbound

LIMIT = 10**6

proof = pytest.mark.reliability("frames")

FIELDS = struct.Struct("<BHIQQIIII")
"""A header without its length: one draw of bytes is far quicker than nine of numbers."""

headers = st.binary(min_size=FIELDS.size, max_size=FIELDS.size).map(lambda data: Header(*FIELDS.unpack(data)))
small = st.binary(max_size=100)
large = st.sampled_from([ROOM - SIZE, ROOM, ROOM + 1, ROOM + 4500]).map(lambda n: b"x" * n)
payloads = small | small | small | small | large
lengths = st.integers(0, 200) | st.integers(LIMIT - 2, LIMIT + 2) | st.integers(0, 2**64 - 1)
frames = st.lists(st.tuples(headers, payloads), max_size=3)


class SourceSpec(Inbound):
    """A pipe that brings these bytes, so many at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(-1, LIMIT)
        self._data, self._sizes = data, [*sizes, len(data) + 1]

    def read_into(self, room: memoryview) -> int:
        size = min(self._sizes[0] if len(self._sizes) == 1 else self._sizes.pop(0), len(room))
        taken, self._data = self._data[:size], self._data[size:]
        room[: len(taken)] = taken
        return len(taken)


def read_all(data: bytes, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> list:
    """Every frame of these bytes until their end."""
    pipe = SourceSpec(data, sizes)
    with monkeypatch.context() as patch:
        patch.setattr(os, "readv", lambda fd, buffers: pipe.read_into(buffers[0]))
        found = []
        while (frame := pipe.read()) is not None:
            found.append(frame)
    pipe.check_empty()
    return found


def bytes_of(sent: list) -> bytes:
    return b"".join(pack_header(header._replace(length=len(payload))) + payload for header, payload in sent)


@pytest.fixture(scope="module")
def patching():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@proof
def test_frames_come_back_however_the_bytes_are_cut(prove, patching):
    def check(sent, sizes):
        got = read_all(bytes_of(sent), sizes, patching)

        assert [(f.header._replace(length=0), bytes(f.payload)) for f in got] == sent

    prove(check, frames, st.lists(st.integers(1, 9000), max_size=20))


@proof
def test_a_truncated_stream_is_a_bad_frame_or_the_end(prove, patching):
    def check(sent, data):
        whole = bytes_of(sent)
        kept = data.draw(st.integers(0, len(whole) - 1))
        edges = [len(bytes_of(sent[:count])) for count in range(len(sent))]
        if kept in edges:
            assert len(read_all(whole[:kept], [], patching)) == edges.index(kept)
            return
        with pytest.raises(BadFrame, match="inside a frame"):
            read_all(whole[:kept], [], patching)

    prove(check, frames.filter(bool), st.data())


@proof
def test_a_flipped_bit_in_a_header_is_a_bad_frame(prove):
    def check(header, bit):
        data = bytearray(pack_header(header))
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadFrame):
            unpack_header(data, LIMIT)

    prove(check, headers, st.integers(0, 8 * SIZE - 1))


@proof
def test_a_flipped_bit_anywhere_is_a_bad_frame_or_another_payload(prove, patching):
    def check(sent, data):
        whole = bytearray(bytes_of(sent))
        bit = data.draw(st.integers(0, 8 * len(whole) - 1))
        whole[bit // 8] ^= 1 << bit % 8
        try:
            got = read_all(bytes(whole), [], patching)
        except BadFrame:
            return
        assert [f.header._replace(length=0) for f in got] == [header for header, _ in sent]
        assert sum(bytes(f.payload) != payload for f, (_, payload) in zip(got, sent, strict=True)) == 1

    prove(check, frames.filter(bool), st.data())


@proof
def test_a_forged_length_is_a_bad_frame(prove, patching):
    def check(header, payload, length):
        data = pack_header(header._replace(length=length)) + payload
        if length == len(payload):
            assert len(read_all(data, [], patching)) == 1
            return
        with pytest.raises(BadFrame):
            read_all(data, [], patching)

    prove(check, headers, payloads, lengths)


@proof
def test_any_bytes_are_a_bad_frame(prove, patching):
    def check(data, sizes):
        with pytest.raises(BadFrame):
            read_all(data, sizes, patching)

    prove(check, st.binary(min_size=1, max_size=400), st.lists(st.integers(1, 100), max_size=5))


@pytest.mark.parametrize("length", [LIMIT + 1, 2**40, 2**64 - 1])
def test_no_memory_is_allocated_for_a_forged_length(length):
    reading, writing = os.pipe()
    with closing(os.fdopen(reading)), closing(os.fdopen(writing, "wb", 0)) as pipe:
        pipe.write(pack_header(Header(2, 0, 1, 0, length=length)) + b"short")
        pipe = Inbound(reading, LIMIT)
        tracemalloc.start()
        try:
            with pytest.raises(BadFrame, match="over the limit"):
                pipe.read()
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("data", [b"XXXX", b"SgRn\x02"])
def test_another_magic_or_version_is_a_bad_frame(data):
    head = data + pack_header(Header(2, 0, 1, 0))[len(data) : HEADER.size]

    with pytest.raises(BadFrame, match="no frame of this version"):
        unpack_header(head + crc32(head).to_bytes(4, "little"), LIMIT)


def test_a_header_has_56_bytes_and_a_control_frame_512():
    assert (SIZE, SIZE + CONTROL) == (56, 512)


def test_flags_are_read_off_a_header():
    assert [Header(2, flag, 1, 0).more for flag in (0, 1)] == [False, True]
    assert [Header(2, flag, 1, 0).stop for flag in (0, 2)] == [False, True]
    assert [Header(2, flag, 1, 0).marked for flag in (0, 4)] == [False, True]


# Bundles


def header(sequence):
    return Header(DATA, 0, 1, sequence)


def test_frames_come_out_as_they_went_in():
    data = bundle([(header(1), b"said", b"body"), (header(2), b"", b"")])

    assert [(frame.header.sequence, bytes(frame.payload)) for frame in frames_of(data)] == [(1, b"saidbody"), (2, b"")]


def test_nothing_is_no_frame():
    assert list(frames_of(b"")) == []


@pytest.mark.parametrize("lost", [1, 4, 20, 60])
def test_a_bundle_that_ends_early_is_bad(lost):
    data = bundle([(header(1), b"said", b"body")])

    with pytest.raises(BadFrame):
        list(frames_of(data[:-lost]))


# Metadata


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
