"""A worker's stages without its pipes: a frame in, frames out. The inline engine runs the same.

    frame ── header, metadata ──▶ decode ──▶ evaluate ──▶ encode ──▶ frame

The ordinary frame goes through here in one go: DATA, whole, with nothing said about its records but their counts,
through one stage that is given one record at a time, before anything has said stop. Nearly all frames are ordinary;
what a frame costs is then mostly the objects and calls that only the others need. Every other frame branches off to
`pieces`, and a frame that turns out to be another on its way goes on from there. Both ways give the same frames: a test
compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pickle import loads
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.worker.decode import unreadable
from stagerunner.engines.worker.encode import NOTICEABLE, PIECE, Parts
from stagerunner.engines.worker.frame_context import FrameContext
from stagerunner.engines.worker.pieces import BRIEF, SLOW, PieceRunner
from stagerunner.evaluate.copying import copy_if_shared, rows_as_dicts
from stagerunner.evaluate.encoding import RecordEncoder
from stagerunner.evaluate.evaluator import Evaluator
from stagerunner.evaluate.outcome.growth import TooLarge
from stagerunner.records import DATA, Batch, Counts, Original, Split
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import HEAD, LINE, Frame, Header, line, pack_metadata, unpack_payload
from stagerunner.wire.metrics import DECODING, ENCODING, HALT, READING, STOP, WORKING, WRITING, MetricsPage, Slot
from stagerunner.wire.payload import NoSegment, PayloadCodec
from stagerunner.wire.spec import WorkerSpec

NOWHERE = -1
"""As the block of a frame: none in the arena."""


class StageRunner:
    """The stages of one worker. Between `setup` and `close` it can be fed.

    pieces: the way of every frame that isn't ordinary.
    """

    def __init__(self, spec: WorkerSpec, page: MetricsPage, arena: Arena | None = None) -> None:
        self.pieces = PieceRunner(spec, page, arena)
        self._codec = self.pieces.codec
        self._slot = self.slots[0]
        self._page = page.words
        self._segment = NoSegment()
        self._simple = False
        """Whether there is one stage, and it and the sink take records as they come."""

    @property
    def codec(self) -> PayloadCodec:
        return self._codec

    @property
    def evaluators(self) -> list[Evaluator]:
        return self.pieces.evaluators

    @property
    def slots(self) -> list[Slot]:
        return self.pieces.slots

    def setup(self) -> None:
        """Import and construct everything. Raises whatever the user's code raises."""
        self.pieces.setup()
        self._reading, self._encoder = self.pieces.decoder.reading, self.pieces.encoder
        self._simple = len(self.evaluators) == 1 and self.evaluators[0].simple and not self._encoder.changes
        self._sink = self._encoder.writing if isinstance(self._encoder.writing, RecordEncoder) else None
        if self._simple:
            self._evaluator, self._timed = self.evaluators[0], self.pieces.timed[0]

    def close(self) -> None:
        self.pieces.close()

    def feed(self, frame: Frame) -> Iterable[Parts]:
        """What becomes of one frame or piece: the frames to send, in order."""
        (kind, flags, _, sequence, split, first, last, piece, _, length), payload = frame
        if not self._simple or kind != DATA or flags or piece or length < HEAD.size:
            return self.pieces.feed(frame)
        stop, block, _, _, _, _, ledger, rest = HEAD.unpack_from(payload)
        if stop >= 0 or block >= 0 or rest or ledger % LINE.size or HEAD.size + ledger > length:
            return self.pieces.feed(frame)
        if self._page[STOP] or self._page[HALT] or self._encoder.holding.told:
            return self.pieces.feed(frame)
        began = now()
        self._slot.hold(DECODING, sequence, split, first, last, began)
        batch = self._decoded(memoryview(payload)[HEAD.size + ledger :], first, last)
        slow = self._timed or self.pieces.cost[0] > SLOW
        if slow or batch.failures or len(batch.records) * self._encoder.ratio > PIECE:
            return self._in_pieces(frame, batch, began)
        return self._worked(frame, batch, began)

    def _decoded(self, body: memoryview, first: int, last: int) -> Batch:
        """The records of a frame whose body is their pickle."""
        self._codec.segment = self._segment
        decode = partial(loads, body)
        reading = self._reading
        if reading is None:
            try:
                batch = Batch(decode(), first, last)
            except MemoryError:
                raise
            except Exception as error:
                raise unreadable(error) from error
            batch.original = Original(decode)
            if type(batch.records) is not list:
                rows_as_dicts(batch)
            return batch
        records = decode()
        if reading.given:
            batch = reading.batch_of(copy_if_shared(records, body)[first:last], first)
        else:
            self._slot.state(READING)
            batch = reading.batch(Split(records, 0), first, last)
        batch.original = Original(lambda: reading.read_again(Split(decode(), 0), first, last))
        if type(batch.records) is not list:
            rows_as_dicts(batch)
        return batch

    def _worked(self, frame: Frame, batch: Batch, began: int) -> Iterable[Parts]:
        """The batch through the stage, and on."""
        slot, header = self._slot, frame.header
        decoded = now()
        if self._reading is None:
            slot.batch = batch
            slot.say(WORKING, decoded)  # the range is what it was
        else:
            slot.begin(header.sequence, header.split, batch, decoded)
        self._evaluator.watched = False
        found = self._evaluator.apply_simple(batch)
        worked = now()
        work = worked - decoded
        if work > BRIEF and batch.records:
            self.pieces.cost[0] = work / len(batch.records)
        slot.work += work
        slot.taken += len(batch.records)
        slot.batch = None
        if isinstance(found, Batch):
            found.before = batch
            slot.out += len(found.records)
            if found.failures or found.stop or found.halted:
                return self._by_piece(frame, found, began, work)
            return self._told(frame, found, began, work)
        slot.out += len(found)
        return self._plain(frame, batch, found, began, work, worked)

    def _plain(
        self, frame: Frame, batch: Batch, found: list[Any], began: int, work: int, worked: int
    ) -> Iterable[Parts]:
        """The frame for a batch of which each record gave one result: our lines go behind those that it brought.

        work: nanoseconds of the time since `began` that the stage had; worked: when it was done.
        """
        codec, slot, (header, payload) = self._codec, self._slot, frame
        slot.say(ENCODING if self._sink is None else WRITING, worked)
        try:
            body = codec(found) if self._sink is None else self._for_sink(self._sink, found)
        except BaseException:  # `pieces` finds out which record can't be encoded
            return self._by_piece(frame, self._piece(batch, found), began, work)
        if codec.buffer_refs is not None:
            return (self._noted(frame, self._piece(batch, found), body, began, work),)
        records = len(found)
        own = LINE.pack(self._evaluator.work.index, records, 0, records, 0, 0, 0, 0)
        for counts in batch.counts:
            own = line(counts) + own  # the source's, in the first worker
        if self._sink is not None:
            own += LINE.pack(self._encoder.ends, records, 0, records, 0, 0, 0, 0)
        size, encoder = codec.size, self._encoder
        if records and (size > NOTICEABLE or encoder.ratio == PIECE):
            encoder.ratio, encoder.barren = size / records, 0
        _, _, _, slowest, widest, heaviest, ledger, _ = HEAD.unpack_from(payload)
        spent = now() - began
        slot.codec += spent - work
        said = HEAD.pack(
            -1,
            NOWHERE,
            0,
            spent if spent > slowest else slowest,
            size if size > widest and self._sink is None else widest,
            heaviest if heaviest > codec.heavy else codec.heavy,
            ledger + len(own),
            0,
        )
        sent = Header(DATA, 0, header.epoch, header.sequence, header.split, batch.first, batch.last, 0, records)
        return ((sent, b"".join((said, payload[HEAD.size : HEAD.size + ledger], own)), body),)

    def _for_sink(self, sink: RecordEncoder, records: list[Any]) -> Any:
        """The body of these records. Raises whatever encoding them raises, and TooLarge."""
        if sink.whole is None:
            return self._codec.body(sink.plain(records))
        body = sink.whole(records)
        if len(body) > sink.most:
            raise TooLarge(len(body), sink.most)
        return self._codec.body(body)

    def _told(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The frame for a batch of which there is more to say."""
        sink = self._sink
        self._slot.state(ENCODING if sink is None else WRITING)
        try:
            body = self._codec(piece.records) if sink is None else self._for_sink(sink, piece.records)
        except BaseException:
            return self._by_piece(frame, piece, began, work)
        return (self._noted(frame, piece, body, began, work),)

    def _noted(self, frame: Frame, piece: Batch, body: bytes, began: int, work: int) -> Parts:
        """The frame for an encoded piece, with all that there is to say."""
        codec, records = self._codec, len(piece.records)
        self._encoder.weigh(records, codec.size)
        metadata = unpack_payload(frame.payload)[0]
        metadata.origins, metadata.buffer_refs = piece.origins, codec.buffer_refs
        if self._encoder.last:  # the parent takes the counts as they are
            metadata.spread = []
            for counts in piece.counts:
                counts.spread = None
        metadata.book(piece.counts)
        if self._sink is not None:
            metadata.book([Counts(self._encoder.ends, taken=records, out=records)])
        spent = now() - began
        self._slot.codec += spent - work
        metadata.slowest = max(metadata.slowest, spent)
        metadata.widest = max(metadata.widest, codec.size) if self._sink is None else metadata.widest
        metadata.heavy = max(metadata.heavy, codec.heavy)
        _, _, epoch, sequence, split, *_ = frame.header
        header = Header(DATA, 0, epoch, sequence, split, piece.first, piece.last, 0, records)
        return header, pack_metadata(metadata), body

    def _piece(self, batch: Batch, found: list[Any]) -> Batch:
        """The ordinary batch with its counts: each record gave one result."""
        index, number = self._evaluator.work.index, len(found)
        counts = [*batch.counts, Counts(index, taken=number, out=number)]
        piece = Batch(found, batch.first, batch.last, batch.origins, counts=counts)
        piece.before = batch
        return piece

    # What turns out not to be ordinary goes on in `pieces`.

    def _in_pieces(self, frame: Frame, batch: Batch, began: int) -> Iterable[Parts]:
        """Nothing of the batch has been worked on."""
        context = self._context(frame)
        context.count(batch)
        context.codec = now() - began
        batch.final = True
        return self.pieces.worked(context, batch, more=False)

    def _by_piece(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The stage is done with the batch."""
        context = self._context(frame)
        context.codec, context.work = now() - began - work, work
        context.harvest(0, self._evaluator.work.index, piece)
        piece.final = True
        return self.pieces.emit(context, (piece,), more=False)

    def _context(self, frame: Frame) -> FrameContext:
        """The frame as `pieces` knows it."""
        context = self.pieces.context = FrameContext(frame.header)
        context.take(unpack_payload(frame.payload)[0])
        return context
