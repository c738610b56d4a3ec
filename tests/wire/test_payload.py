from __future__ import annotations

import pickle
import sys

import pytest

from stagerunner.runtime.blocks import Space
from stagerunner.wire.arena import FROM, PIPE, Lane, Ref, create
from stagerunner.wire.payload import Cargo
from stagerunner.wire.pipe import ROOM

needs_lane = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no lane elsewhere")
LARGE = 2 * FROM


class Block:
    """Bytes that go out of band, as an array's do."""

    def __init__(self, data) -> None:
        self.data = data

    def __reduce_ex__(self, protocol):
        return Block, (pickle.PickleBuffer(self.data),)


@pytest.fixture
def lane():
    lane = Lane(create(3), 3)
    yield lane
    lane.close()


def carried(sender, receiver, records, place=4):
    body = sender(records)
    sender.keep()
    return receiver.records(sender.laden, place, memoryview(body))


def test_small_records_are_a_pickle_and_nothing_else():
    cargo = Cargo(None, 0)

    assert cargo([1, "a"]) == pickle.dumps([1, "a"], 5)
    assert (cargo.laden, cargo.heavy) == (None, 0)


def test_without_a_lane_large_buffers_follow_the_stream_and_come_read_only():
    cargo = Cargo(None, 0)
    one, two = bytes(range(256)) * (LARGE // 256), bytearray(b"x" * FROM)

    blocks = carried(cargo, cargo, [Block(one), Block(two)])

    assert [bytes(block.data) for block in blocks] == [one, bytes(two)]
    assert [memoryview(block.data).readonly for block in blocks] == [True, True]
    assert [ref.owner for ref in cargo.laden] == [PIPE, PIPE, PIPE]
    assert cargo.heavy > LARGE + FROM


def test_a_small_payload_is_copied_before_its_link_is_read_again():
    cargo = Cargo(None, 0)
    body = bytearray(cargo([Block(b"a" * FROM)]))
    assert len(body) < ROOM

    (block,) = cargo.records(cargo.laden, -1, memoryview(body))
    body[:] = bytes(len(body))

    assert bytes(block.data) == b"a" * FROM


@needs_lane
def test_a_frame_with_a_place_carries_only_where_its_buffers_are(lane):
    sender, receiver = Cargo(lane, 1), Cargo(lane, 2)
    sender.berth = Space(4, 10 * LARGE)

    body = sender([Block(b"a" * LARGE)])

    assert len(body) < 200
    assert sender.laden[1] == Ref(1, 0, LARGE)
    (block,) = receiver.records(sender.laden, 4, memoryview(body))
    assert bytes(block.data) == b"a" * LARGE


@needs_lane
def test_what_is_handed_on_stays_where_it_is(lane):
    first, second = Cargo(lane, 1), Cargo(lane, 2)
    first.berth, second.berth = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [Block(b"a" * LARGE)])

    second([Block(memoryview(records[0].data)[100 : FROM + 100])])

    assert second.laden[1] == Ref(1, 100, FROM)
    assert second.berth.used == 0


@needs_lane
def test_a_buffer_of_another_place_is_copied(lane):
    first, second = Cargo(lane, 1), Cargo(lane, 2)
    first.berth, second.berth = Space(4, 10 * LARGE), Space(5, 10 * LARGE)
    records = carried(first, second, [Block(b"a" * LARGE)])

    second(records)

    assert second.laden[1] == Ref(2, 0, LARGE)


@needs_lane
def test_large_bytes_take_their_whole_pickle_into_the_slot(lane):
    sender, receiver = Cargo(lane, 1), Cargo(lane, 2)
    sender.berth = Space(4, 10 * LARGE)

    assert carried(sender, receiver, [b"a" * LARGE, "b"]) == [b"a" * LARGE, "b"]
    assert sender.laden[0].owner == 1


@needs_lane
def test_large_values_that_leave_as_they_came_stay_where_they_are(lane):
    first, second, third = (Cargo(lane, owner) for owner in (1, 2, 0))
    first.berth, second.berth = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [b"a" * LARGE, 7, None])

    body = second([*records])

    assert (body, second.laden, second.size) == (b"", first.laden, first.size)
    assert (second.heavy, second.berth.used) == (0, 0)
    assert third.records(second.laden, 4, memoryview(body)) == [b"a" * LARGE, 7, None]


def shuffled(records):
    records.reverse()
    return records


@needs_lane
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda records: records[:1], id="fewer"),
        pytest.param(lambda records: [*records, 1], id="more"),
        pytest.param(shuffled, id="the list itself in another order"),
        pytest.param(lambda records: [bytes(bytearray(records[0])), records[1]], id="equal, but made anew"),
    ],
)
def test_anything_else_than_what_came_is_copied(lane, changed):
    first, second, third = (Cargo(lane, owner) for owner in (1, 2, 0))
    first.berth, second.berth = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    expected = changed([b"a" * LARGE, b"b" * LARGE])
    sent = changed(carried(first, second, [b"a" * LARGE, b"b" * LARGE]))

    body = second(sent)

    assert second.laden[0].owner == 2
    assert third.records(second.laden, 4, memoryview(body)) == expected


@needs_lane
def test_a_value_that_can_be_changed_is_copied_even_if_it_is_the_same(lane):
    first, second, third = (Cargo(lane, owner) for owner in (1, 2, 0))
    first.berth, second.berth = Space(4, 10 * LARGE), Space(4, 10 * LARGE)
    records = carried(first, second, [{"text": "a" * LARGE}])
    records[0]["seen"] = True

    body = second(records)

    assert third.records(second.laden, 4, memoryview(body)) == [{"text": "a" * LARGE, "seen": True}]


@needs_lane
def test_a_sink_does_not_keep_what_came(lane):
    first, last = Cargo(lane, 1), Cargo(lane, 2)
    first.berth = Space(4, 10 * LARGE)
    records = carried(first, last, [b"a" * LARGE])
    held = sys.getrefcount(records[0])

    last.body(b"written")
    left = sys.getrefcount(records[0])  # not in the assertion, which would hold it too

    assert left == held - 1


@needs_lane
def test_what_came_in_another_place_is_copied(lane):
    first, second = Cargo(lane, 1), Cargo(lane, 2)
    first.berth, second.berth = Space(4, 10 * LARGE), Space(5, 10 * LARGE)
    records = carried(first, second, [b"a" * LARGE])

    second(records)

    assert second.laden == [Ref(2, 0, first.size)]


@needs_lane
def test_pieces_of_a_frame_lie_one_behind_the_other(lane):
    sender, receiver = Cargo(lane, 1), Cargo(lane, 2)
    sender.berth = Space(4, 10 * LARGE)

    first = carried(sender, receiver, [Block(b"a" * LARGE)])
    second = carried(sender, receiver, [Block(b"b" * LARGE)])

    assert bytes(first[0].data) == b"a" * LARGE
    assert bytes(second[0].data) == b"b" * LARGE


@needs_lane
def test_what_does_not_fit_goes_by_the_pipe(lane):
    sender, receiver = Cargo(lane, 1), Cargo(lane, 2)
    sender.berth = Space(4, LARGE + 1000)

    blocks = carried(sender, receiver, [Block(b"a" * LARGE), Block(b"b" * LARGE)])

    assert [bytes(block.data) for block in blocks] == [b"a" * LARGE, b"b" * LARGE]
    assert [ref.owner for ref in sender.laden] == [PIPE, 1, PIPE]
    assert sender.heavy > 2 * LARGE


@needs_lane
def test_bytes_for_a_sink_lie_in_the_slot_as_they_are(lane):
    sender, receiver = Cargo(lane, 2), Cargo(lane, 0)
    sender.berth = Space(4, 10 * LARGE)

    body = sender.body(b"a" * LARGE)

    assert (bytes(body), sender.laden) == (b"", [Ref(2, 0, LARGE)])
    assert bytes(receiver.opened(sender.laden, 4, memoryview(body))[0]) == b"a" * LARGE
    assert (sender.body(b"few"), sender.laden) == (b"few", None)


@needs_lane
def test_a_small_piece_takes_no_room_and_leaves_what_lies_there(lane):
    sender, receiver = Cargo(lane, 2), Cargo(lane, 0)
    sender.berth = Space(4, 10 * LARGE)
    sender.body(b"a" * LARGE)
    sender.keep()

    sender.berth = other = Space(5, 10 * LARGE)
    sender.body(b"few")
    sender.keep()

    assert other.used == 0
    assert bytes(receiver.opened([Ref(2, 0, LARGE)], 4, memoryview(b""))[0]) == b"a" * LARGE


@needs_lane
def test_room_for_a_result_is_found_again_without_a_copy(lane):
    cargo = Cargo(lane, 1)
    cargo.berth = Space(4, 10 * LARGE)

    room = cargo.empty(LARGE)
    room[:] = b"a" * LARGE
    cargo([Block(room)])

    assert cargo.laden[1] == Ref(1, 0, LARGE)
    assert cargo.empty(100 * LARGE) is None


def test_a_frame_that_claims_a_lane_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match="there is none"):
        Cargo(None, 0).records([Ref(1, 0, 10)], 4, memoryview(b""))
