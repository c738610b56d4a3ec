from __future__ import annotations

import pickle
import sys
import weakref
from datetime import date

import pytest

from stagerunner.runtime.blocks import Space
from stagerunner.wire.arena import FROM, PIPE, Arena, Ref, create
from stagerunner.wire.payload import LARGEST, PayloadCodec, Pickling, Strange
from stagerunner.wire.pipe import ROOM

needs_arena = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")
HEAVY = 2 * FROM


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
    one, two = bytes(range(256)) * (HEAVY // 256), bytearray(b"x" * FROM)

    blocks = carried(codec, codec, [Block(one), Block(two)])

    assert [bytes(block.data) for block in blocks] == [one, bytes(two)]
    assert [memoryview(block.data).readonly for block in blocks] == [True, True]
    assert [ref.owner for ref in codec.buffer_refs] == [PIPE, PIPE, PIPE]
    assert codec.heavy > HEAVY + FROM


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
    sender.segment = Space(4, 10 * HEAVY)

    body = sender([Block(b"a" * HEAVY)])

    assert len(body) < 200
    assert sender.buffer_refs[1] == Ref(1, 0, HEAVY)
    (block,) = receiver.records(sender.buffer_refs, 4, memoryview(body))
    assert bytes(block.data) == b"a" * HEAVY


@needs_arena
def test_forwarded_buffers_stay_where_they_are(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(4, 10 * HEAVY)
    records = carried(first, second, [Block(b"a" * HEAVY)])

    second([Block(memoryview(records[0].data)[100 : FROM + 100])])

    assert second.buffer_refs[1] == Ref(1, 100, FROM)
    assert second.segment.used == 0


@needs_arena
def test_a_buffer_of_another_block_is_copied(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(5, 10 * HEAVY)
    records = carried(first, second, [Block(b"a" * HEAVY)])

    second(records)

    assert second.buffer_refs[1] == Ref(2, 0, HEAVY)


@needs_arena
def test_a_pickle_with_large_bytes_goes_into_the_segment_whole(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, 10 * HEAVY)

    assert carried(sender, receiver, [b"a" * HEAVY, "b"]) == [b"a" * HEAVY, "b"]
    assert sender.buffer_refs[0].owner == 1


@needs_arena
def test_large_values_that_leave_unchanged_stay_where_they_are(arena):
    first, second, third = (PayloadCodec(arena, owner) for owner in (1, 2, 0))
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(4, 10 * HEAVY)
    records = carried(first, second, [b"a" * HEAVY, 7, None])

    body = second([*records])

    assert (body, second.buffer_refs, second.size) == (b"", first.buffer_refs, first.size)
    assert (second.heavy, second.segment.used) == (0, 0)
    assert third.records(second.buffer_refs, 4, memoryview(body)) == [b"a" * HEAVY, 7, None]


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
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(4, 10 * HEAVY)
    expected = changed([b"a" * HEAVY, b"b" * HEAVY])
    sent = changed(carried(first, second, [b"a" * HEAVY, b"b" * HEAVY]))

    body = second(sent)

    assert second.buffer_refs[0].owner == 2
    assert third.records(second.buffer_refs, 4, memoryview(body)) == expected


@needs_arena
def test_a_mutable_value_is_copied_even_if_it_is_the_same_object(arena):
    first, second, third = (PayloadCodec(arena, owner) for owner in (1, 2, 0))
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(4, 10 * HEAVY)
    records = carried(first, second, [{"text": "a" * HEAVY}])
    records[0]["seen"] = True

    body = second(records)

    assert third.records(second.buffer_refs, 4, memoryview(body)) == [{"text": "a" * HEAVY, "seen": True}]


@needs_arena
def test_encoding_for_a_sink_releases_the_records_that_came(arena):
    first, last = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment = Space(4, 10 * HEAVY)
    records = carried(first, last, [b"a" * HEAVY])
    held = sys.getrefcount(records[0])

    last.body(b"written")
    left = sys.getrefcount(records[0])  # not in the assertion, which would hold it too

    assert left == held - 1


@needs_arena
def test_records_that_came_in_another_block_are_copied(arena):
    first, second = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    first.segment, second.segment = Space(4, 10 * HEAVY), Space(5, 10 * HEAVY)
    records = carried(first, second, [b"a" * HEAVY])

    second(records)

    assert second.buffer_refs == [Ref(2, 0, first.size)]


@needs_arena
def test_pieces_of_a_frame_lie_one_after_the_other(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, 10 * HEAVY)

    first = carried(sender, receiver, [Block(b"a" * HEAVY)])
    second = carried(sender, receiver, [Block(b"b" * HEAVY)])

    assert bytes(first[0].data) == b"a" * HEAVY
    assert bytes(second[0].data) == b"b" * HEAVY


@needs_arena
def test_buffers_that_do_not_fit_go_through_the_pipe(arena):
    sender, receiver = PayloadCodec(arena, 1), PayloadCodec(arena, 2)
    sender.segment = Space(4, HEAVY + 1000)

    blocks = carried(sender, receiver, [Block(b"a" * HEAVY), Block(b"b" * HEAVY)])

    assert [bytes(block.data) for block in blocks] == [b"a" * HEAVY, b"b" * HEAVY]
    assert [ref.owner for ref in sender.buffer_refs] == [PIPE, 1, PIPE]
    assert sender.heavy > 2 * HEAVY


@needs_arena
def test_bytes_for_a_sink_lie_in_the_segment_as_they_are(arena):
    sender, receiver = PayloadCodec(arena, 2), PayloadCodec(arena, 0)
    sender.segment = Space(4, 10 * HEAVY)

    body = sender.body(b"a" * HEAVY)

    assert (bytes(body), sender.buffer_refs) == (b"", [Ref(2, 0, HEAVY)])
    assert bytes(receiver.opened(sender.buffer_refs, 4, memoryview(body))[0]) == b"a" * HEAVY
    assert (sender.body(b"few"), sender.buffer_refs) == (b"few", None)


@needs_arena
def test_a_small_piece_takes_no_room_and_overwrites_nothing(arena):
    sender, receiver = PayloadCodec(arena, 2), PayloadCodec(arena, 0)
    sender.segment = Space(4, 10 * HEAVY)
    sender.body(b"a" * HEAVY)
    sender.keep()

    sender.segment = other = Space(5, 10 * HEAVY)
    sender.body(b"few")
    sender.keep()

    assert other.used == 0
    assert bytes(receiver.opened([Ref(2, 0, HEAVY)], 4, memoryview(b""))[0]) == b"a" * HEAVY


@needs_arena
def test_room_for_a_result_is_found_again_without_a_copy(arena):
    codec = PayloadCodec(arena, 1)
    codec.segment = Space(4, 10 * HEAVY)

    room = codec.empty(HEAVY)
    room[:] = b"a" * HEAVY
    codec([Block(room)])

    assert codec.buffer_refs[1] == Ref(1, 0, HEAVY)
    assert codec.empty(100 * HEAVY) is None


def test_a_frame_that_refers_to_a_missing_arena_is_refused():
    with pytest.raises(ValueError, match="there is none"):
        PayloadCodec(None, 0).records([Ref(1, 0, 10)], 4, memoryview(b""))


# Pickling


class Known:
    pass


class Rooted:
    def __reduce__(self):
        raise TypeError("I stay here")


def test_each_value_is_pickled_as_if_it_were_the_first():
    pickled, shared = Pickling(), ["x" * 10]

    first, second = pickled([shared, shared]), pickled([shared, 1])

    assert pickle.loads(first) == [shared, shared]
    assert second == pickle.dumps([shared, 1], 5)


def test_a_value_that_can_not_be_pickled_leaves_no_trace():
    pickled = Pickling()

    with pytest.raises(TypeError, match="I stay here"):
        pickled(["a" * 100_000, Rooted()])

    assert pickle.loads(pickled([1, 2])) == [1, 2]


def test_a_pickled_value_is_not_held():
    pickled, values = Pickling(), [Known()]
    alive = weakref.ref(values[0])

    pickled(values)
    values.clear()

    assert alive() is None


def test_nor_is_a_value_that_could_not_be_pickled():
    pickled, values = Pickling(), [Known(), Rooted()]
    alive = weakref.ref(values[0])

    with pytest.raises(TypeError):
        pickled(values)
    values.clear()

    assert alive() is None


def test_large_values_are_put_together_from_their_parts():
    pickled, large = Pickling(), [b"a" * 2**20, "b" * 2**20]

    assert pickle.loads(pickled(large)) == large
    assert pickle.loads(pickled([1])) == [1]


def test_large_bytes_are_separate_parts_and_not_copied():
    large = b"a" * 2**20

    assert any(part is large for part in Pickling().parts([large]))


def test_buffers_can_go_out_of_band():
    aside = []

    data = Pickling(aside.append)([pickle.PickleBuffer(b"abc")])

    assert pickle.loads(data, buffers=[memoryview(b"abc")]) == [b"abc"]
    assert len(aside) == 1


def test_a_pickler_is_reused_for_frames_of_similar_size():
    pickled = Pickling()
    made = pickled._pickler

    for value in ("a" * 100_000, "a" * 200_000, "a" * 30_000):
        assert pickle.loads(pickled([value])) == [value]

    assert pickled._pickler is made


@pytest.mark.parametrize("sizes", [[LARGEST], [200_000, 20_000], [200_000, 30_000, 20_000]])
def test_the_pickler_of_a_much_larger_frame_is_not_reused(sizes):
    pickled = Pickling()
    made = pickled._pickler

    for size in sizes:
        pickled(["a" * size])

    assert pickled._pickler is not made


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, b"x", ("y",), {1}, frozenset()]}])
def test_plain_values_are_pickled_as_usual(value):
    assert pickle.loads(Pickling(plain=True)(value)) == value


@pytest.mark.parametrize(
    "value", [bytearray(), bytearray(b"x" * 70_000), Known(), Known, len, {1: date(2026, 5, 1)}, "\x96" + "\0" * 9]
)
def test_a_value_that_is_not_plain_is_refused(value):
    pickled = Pickling(plain=True)

    with pytest.raises(Strange):
        pickled([1, value])

    assert pickle.loads(pickled([1, 2])) == [1, 2]
