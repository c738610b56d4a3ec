from __future__ import annotations

import pickle

from support.specs import spec_for

from stagerunner.engines.worker.encode import Encoder
from stagerunner.engines.worker.frame_context import FrameContext
from stagerunner.evaluate.encoding import RecordEncoder
from stagerunner.records import DATA, Batch, Counts
from stagerunner.wire.frame import Header, unpack_payload
from stagerunner.wire.metrics import CODEC
from stagerunner.wire.payload import PayloadCodec


def same(record):
    return record


def sent(page, pieces, more=False, writing=None, context=None):
    """(header, metadata, body) of each frame. The last piece is known to be the last."""
    for piece in pieces[-1:]:
        piece.final = True
    encoder = Encoder(spec_for(same), page, writing, PayloadCodec(None, 1))
    context = context or FrameContext(Header(DATA, 0, 1, 7, 3, 0))
    return [(head, *unpack_payload(note + body)) for head, note, body in encoder.frames(context, pieces, more)]


def test_a_batch_leaves_pickled_under_the_sequence_it_came_with(page):
    ((header, metadata, body),) = sent(page, [Batch(["a", "b"], 0, 2)])

    assert (header.sequence, header.split, header.first, header.last, header.records) == (7, 3, 0, 2, 2)
    assert pickle.loads(body) == ["a", "b"]
    assert metadata.widest == len(body)


def test_pieces_are_numbered_and_the_ledger_ride_on_the_last(page):
    context = FrameContext(Header(DATA, 0, 1, 7, 3, 0))
    context.tally = [Counts(0, taken=1), Counts(0, taken=2)]

    first, last = sent(page, [Batch(["a"], 0, 1), Batch(["b"], 1, 2)], context=context)

    assert [(head.piece, head.more) for head, *_ in (first, last)] == [(0, True), (1, False)]
    assert (first[1].counts, last[1].counts) == ([], [Counts(0, taken=3)])


def test_a_frame_of_which_nothing_is_left_still_tells_so(page):
    ((header, _, body),) = sent(page, [])

    assert (header.records, header.more, pickle.loads(body)) == (0, False, [])


def test_while_pieces_come_in_no_empty_one_is_sent(page):
    assert sent(page, [], more=True) == []


def test_the_last_worker_encodes_for_the_sink_and_does_not_count_it_as_width(page):
    writing = RecordEncoder(lambda records: "".join(records).encode(), 1, "fail", counted=True)

    ((_, metadata, body),) = sent(page, [Batch(["a", "b"], 0, 2)], writing=writing)

    assert (bytes(body), metadata.widest) == (b"ab", 0)
    assert metadata.counts == [Counts(1, taken=2, out=2)]


def test_a_stop_is_told_in_the_header_and_in_the_page(page):
    context = FrameContext(Header(DATA, 0, 1, 7, 3, 0))
    context.stop, context.stop_here = 0, True

    ((header, metadata, _),) = sent(page, [Batch(["a"], 0, 1)], context=context)

    assert (header.stop, metadata.stop, page.stop, page.stop_stage) == (True, 0, 7, 0)


def test_the_time_it_takes_is_told(page):
    sent(page, [Batch(["a"] * 1000, 0, 1000)])

    assert page.slot(0).words[CODEC] > 0
