from __future__ import annotations

import pickle
import sys

import pytest

from stagerunner.runtime.blocks import Space
from stagerunner.wire.arena import FROM, PIPE, Arena, Ref, create
from stagerunner.wire.payload import PayloadCodec
from stagerunner.wire.pipe import ROOM

needs_arena = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")
LARGE = 2 * FROM


class Block:
    """Bytes that go out of band, as an array's do."""

    def __init__(self, data) -> None:
        self.data = data

    def __reduce_ex__(self, protocol):
        return Block, (pickle.PickleBuffer(self.data),)


@pytest.fixture
def arena():
    arena = Arena(create(3), 3)
    yield arena
    arena.close()


def carried(sender, receiver, records, block=4):
    body = sender(records)
    sender.keep()
    return receiver.records(sender.buffer_refs, block, memoryview(body))


def test_small_records_are_just_a_pickle():
    codec = PayloadCodec(None, 0)

    assert codec([1, "a"]) == pickle.dumps([1, "a"], 5)
    assert (codec.buffer_refs, codec.heavy) == (None, 0)


def test_without_an_arena_large_buffers_follow_the_stream_and_arrive_read_only():
    codec = PayloadCodec(None, 0)
    one, two = bytes(range(256)) * (LARGE // 256), bytearray(b"x" * FROM)

    blocks = carried(codec, codec, [Block(one), Block(two)])

    assert [bytes(block.data) for block in blocks] == [one, bytes(two)]
    assert [memoryview(block.data).readonly for block in blocks] == [True, True]
    assert [ref.owner for ref in codec.buffer_refs] == [PIPE, PIPE, PIPE]
    assert codec.heavy > LARGE + FROM


def test_a_small_payload_is_copied_before_its_pipe_is_read_again():
    codec = PayloadCodec(None, 0)
    body = bytearray(codec([Block(b"a" * FROM)]))
    assert len(body) < ROOM

    (block,) = codec.records(codec.buffer_refs, -1, memoryview(body))
    body[:] = bytes(len(body))

    assert bytes(block.data) == b"a" * FROM


@needs_arena
def test_a_frame_with_a_block_carries_only_where_its_buffers_are(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, 10 * LARGE)

    body = sender([Block(b"a" * LARGE)])

    assert len(body) < 200
    assert sender.buffer_refs[1] == Ref(1, 0, LARGE)
    (block,) = receiver.records(sender.buffer_refs, 4, memoryview(body))
    assert bytes(block.data) == b"a" * LARGE


@needs_arena
def test_forwarded_buffers_stay_where_they_are(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [Block(b"a" * LARGE)])

    second([Block(memoryview(records[0].data)[100 : FROM + 100])])

    assert second.buffer_refs[1] == Ref(1, 100, FROM)
    assert second.segment.used == 0


@needs_arena
def test_a_buffer_of_another_block_is_copied(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * LARGE), Space(5, 10 * LARGE)
    records = carried(first, second, [Block(b"a" * LARGE)])

    second(records)

    assert second.buffer_refs[1] == Ref(2, 0, LARGE)


@needs_arena
def test_a_pickle_with_large_bytes_goes_into_the_segment_whole(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, 10 * LARGE)

    assert carried(sender, receiver, [b"a" * LARGE, "b"]) == [b"a" * LARGE, "b"]
    assert sender.buffer_refs[0].owner == 1


@needs_arena
def test_large_values_that_leave_unchanged_stay_where_they_are(arena):
    first, second, third = (PayloadCodec(arena, owner) for owner in (1, 2, 0))
    first.segment, second.segment = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [b"a" * LARGE, 7, None])

    body = second([*records])

    assert (body, second.buffer_refs, second.size) == (b"", first.buffer_refs, first.size)
    assert (second.heavy, second.segment.used) == (0, 0)
    assert third.records(second.buffer_refs, 4, memoryview(body)) == [b"a" * LARGE, 7, None]


def shuffled(records):
    records.reverse()
    return records


@needs_arena
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda records: records[:1], id="fewer"),
        pytest.param(lambda records: [*records, 1], id="more"),
        pytest.param(shuffled, id="the list itself in another order"),
        pytest.param(lambda records: [bytes(bytearray(records[0])), records[1]], id="equal, but made anew"),
    ],
)
def test_anything_but_the_records_that_came_is_copied(arena, changed):
    first, second, third = (PayloadCodec(arena, owner) for owner in (1, 2, 0))
    first.segment, second.segment = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    expected = changed([b"a" * LARGE, b"b" * LARGE])
    sent = changed(carried(first, second, [b"a" * LARGE, b"b" * LARGE]))

    body = second(sent)

    assert second.buffer_refs[0].owner == 2
    assert third.records(second.buffer_refs, 4, memoryview(body)) == expected


@needs_arena
def test_a_mutable_value_is_copied_even_if_it_is_the_same_object(arena):
    first, second, third = (PayloadCodec(arena, owner) for owner in (1, 2, 0))
    first.segment, second.segment = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [{"text": "a" * LARGE}])
    records[0]["seen"] = True

    body = second(records)

    assert third.records(second.buffer_refs, 4, memoryview(body)) == [{"text": "a" * LARGE, "seen": True}]


@needs_arena
def test_encoding_for_a_sink_releases_the_records_that_came(arena):
    first, last = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment = Space(4, 10 * LARGE)
    records = carried(first, last, [b"a" * LARGE])
    held = sys.getrefcount(records[0])

    last.body(b"written")
    left = sys.getrefcount(records[0])  # not in the assertion, which would hold it too

    assert left == held - 1


@needs_arena
def test_records_that_came_in_another_block_are_copied(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * LARGE), Space(5, 10 * LARGE)
    records = carried(first, second, [b"a" * LARGE])

    second(records)

    assert second.buffer_refs == [Ref(2, 0, first.size)]


@needs_arena
def test_pieces_of_a_frame_lie_one_after_the_other(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, 10 * LARGE)

    first = carried(sender, receiver, [Block(b"a" * LARGE)])
    second = carried(sender, receiver, [Block(b"b" * LARGE)])

    assert bytes(first[0].data) == b"a" * LARGE
    assert bytes(second[0].data) == b"b" * LARGE


@needs_arena
def test_buffers_that_do_not_fit_go_through_the_pipe(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, LARGE + 1000)

    blocks = carried(sender, receiver, [Block(b"a" * LARGE), Block(b"b" * LARGE)])

    assert [bytes(block.data) for block in blocks] == [b"a" * LARGE, b"b" * LARGE]
    assert [ref.owner for ref in sender.buffer_refs] == [PIPE, 1, PIPE]
    assert sender.heavy > 2 * LARGE


@needs_arena
def test_bytes_for_a_sink_lie_in_the_segment_as_they_are(arena):
    sender, receiver = PayloadCodec(arena, 2), PayloadCodec(arena, 0)
    sender.segment = Space(4, 10 * LARGE)

    body = sender.body(b"a" * LARGE)

    assert (bytes(body), sender.buffer_refs) == (b"", [Ref(2, 0, LARGE)])
    assert bytes(receiver.opened(sender.buffer_refs, 4, memoryview(body))[0]) == b"a" * LARGE
    assert (sender.body(b"few"), sender.buffer_refs) == (b"few", None)


@needs_arena
def test_a_small_piece_takes_no_room_and_overwrites_nothing(arena):
    sender, receiver = PayloadCodec(arena, 2), PayloadCodec(arena, 0)
    sender.segment = Space(4, 10 * LARGE)
    sender.body(b"a" * LARGE)
    sender.keep()

    sender.segment = other = Space(5, 10 * LARGE)
    sender.body(b"few")
    sender.keep()

    assert other.used == 0
    assert bytes(receiver.opened([Ref(2, 0, LARGE)], 4, memoryview(b""))[0]) == b"a" * LARGE


@needs_arena
def test_room_for_a_result_is_found_again_without_a_copy(arena):
    codec = PayloadCodec(arena, 1)
    codec.segment = Space(4, 10 * LARGE)

    room = codec.empty(LARGE)
    room[:] = b"a" * LARGE
    codec([Block(room)])

    assert codec.buffer_refs[1] == Ref(1, 0, LARGE)
    assert codec.empty(100 * LARGE) is None


def test_a_frame_that_refers_to_a_missing_arena_is_refused():
    with pytest.raises(ValueError, match="there is none"):
        PayloadCodec(None, 0).records([Ref(1, 0, 10)], 4, memoryview(b""))
