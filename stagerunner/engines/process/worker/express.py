"""The usual frame's way through a worker: what the stage runner does for any frame, here in one go.

Usual is a DATA frame in one piece, about whose records nothing is said but their ledger, through a single stage that is
given one record at a time, while nobody has said stop. Nearly all frames are; what a frame costs is then mostly the
objects and calls that only the others need (two thirds of a frame of one record), and more than that while it passes
code that the records of the last one have driven out of the cache. A frame that turns out to be another on its way goes
on from there through the stage runner, so both ways give the same frames (test_express compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pickle import loads
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.process.worker.encode import NOTICEABLE, PIECE, Parts
from stagerunner.engines.process.worker.frame_context import FrameContext
from stagerunner.engines.process.worker.stage_runner import SLOW, StageRunner
from stagerunner.evaluate.calling import Evaluator
from stagerunner.evaluate.own import Original, unshared
from stagerunner.records import DATA, Batch, Counts, Split
from stagerunner.wire.frame import SIZE, Frame, Header, pack_fields
from stagerunner.wire.metadata import HEAD, LINE, line, pack_metadata, unpack_payload
from stagerunner.wire.metrics import BLOCKED, DECODING, ENCODING, READING, STOP, WAITING, WORKING
from stagerunner.wire.payload import NoSegment
from stagerunner.wire.pipe import write_records

NOWHERE = -1
"""As the place of a frame: none in the arena."""

SENT: Iterable[Parts] = iter(())
"""What became of a frame is on its way already. To be compared by identity."""


def express(runner: StageRunner) -> Express | None:
    """The short way through a stage runner that is set up; None where its frames can't take it."""
    single = len(runner.evaluators) == 1 and runner.evaluators[0].single
    return Express(runner) if single and not runner.encoder.sink else None


class Express:
    """The short way through one stage runner."""

    def __init__(self, runner: StageRunner) -> None:
        self._runner = runner
        self._evaluator: Evaluator = runner.evaluators[0]
        self._slot = runner.slots[0]
        self._codec = runner.codec
        self._segment = NoSegment()
        self._reading = runner.decoder.reading
        self._encoder = runner.encoder
        self._holding = runner.encoder.holding
        self._timed = runner.timed[0]
        self._page = runner.page.words

    def feed(self, frame: Frame, fd: int) -> Iterable[Parts] | None:
        """The frames to send for this one, as `Station.feed` gives them; SENT if what became of it was written to `fd`.

        None, and nothing done, if it isn't usual.
        """
        (kind, flags, _, sequence, split, first, last, piece, _, length), payload = frame
        if kind != DATA or flags or piece or length < HEAD.size or self._page[STOP] or self._holding.told:
            return None
        stop, position, _, _, _, _, ledger, rest = HEAD.unpack_from(payload)
        if stop >= 0 or position >= 0 or rest or ledger % LINE.size or HEAD.size + ledger > length:
            return None
        began = now()
        self._slot.hold(DECODING, sequence, split, first, last, began)
        self._codec.segment = self._segment
        stream = memoryview(payload)[HEAD.size + ledger :]
        decode = partial(loads, stream)
        records, reading = decode(), self._reading
        if reading is None:
            batch = Batch(records, first, last)
            batch.original = Original(decode)
        else:
            if reading.given:
                batch = reading.told(unshared(records, stream)[first:last], first)
            else:
                self._slot.state(READING)
                batch = reading.batch(Split(records, 0), first, last)
            batch.original = Original(lambda: reading.again(Split(decode(), 0), first, last))
        if batch.failures or len(batch.records) * self._encoder.ratio > PIECE:
            return self._in_pieces(frame, batch, began)
        return self._worked(frame, batch, began, fd)

    def _in_pieces(self, frame: Frame, batch: Batch, began: int) -> Iterable[Parts]:
        """The stage runner's way from here on: nothing of the batch has been worked on."""
        context = self._context(frame)
        context.tally, batch.counts = batch.counts, []
        context.codec = now() - began
        return self._runner.worked(context, batch, more=False)

    def _worked(self, frame: Frame, batch: Batch, began: int, fd: int) -> Iterable[Parts]:
        """The batch through the stage, and on."""
        slot, header = self._slot, frame.header
        decoded = now()
        if self._reading is None:
            slot.batch = batch
            slot.say(WORKING, decoded)  # the range is what it was
        else:
            slot.begin(header.sequence, header.split, batch, decoded)
        self._evaluator.watched = self._timed or slot.work > SLOW * slot.taken
        found = self._evaluator.whole(batch)
        worked = now()
        slot.work += worked - decoded
        slot.taken += len(batch.records)
        slot.batch = None
        if isinstance(found, Batch):
            found.before = batch
            return self._told(frame, found, began, worked - decoded)
        slot.out += len(found)
        slot.say(ENCODING, worked)
        try:
            body = self._codec(found)
        except BaseException:  # which record can't be pickled, the stage runner finds out
            return self._by_runner(frame, self._piece(batch, found), began, worked - decoded)
        if self._codec.buffer_refs is not None:
            return (self._noted(frame, self._piece(batch, found), body, began, worked - decoded),)
        self._send(frame, batch, body, began, worked - decoded, fd)
        return SENT

    def _send(self, frame: Frame, batch: Batch, body: bytes, began: int, work: int, fd: int) -> None:
        """Write the frame for a batch of which each record gave one result: our line goes behind the ledger it brought.

        work: nanoseconds of the time since `began` that the stage had.
        """
        codec, slot, (header, payload), records = self._codec, self._slot, frame, len(batch.records)
        size, heavy = codec.size, codec.heavy
        if size > NOTICEABLE or self._encoder.ratio == PIECE:
            self._encoder.weigh(records, size)
        own = LINE.pack(self._evaluator.work.index, records, 0, records, 0, 0, 0, 0)
        for c in batch.counts:
            own = line(c) + own  # the source's, in the first worker
        _, _, _, slowest, widest, heaviest, ledger, _ = HEAD.unpack_from(payload)
        done = now()
        spent = done - began
        slot.codec += spent - work
        slot.say(BLOCKED, done)
        said = HEAD.pack(
            -1,
            NOWHERE,
            0,
            spent if spent > slowest else slowest,
            size if size > widest else widest,
            heavy if heavy > heaviest else heaviest,
            ledger + len(own),
            0,
        )
        length = HEAD.size + ledger + len(own) + len(body)
        head = pack_fields(
            DATA, 0, header.epoch, header.sequence, header.split, batch.first, batch.last, 0, records, length
        )
        front = b"".join((head, said, payload[HEAD.size : HEAD.size + ledger], own))
        write_records(fd, [front, body], SIZE + length)
        sent = now()
        slot.block += sent - done
        slot.rest(WAITING, sent)

    def _told(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The frames for a batch of which there is more to tell."""
        self._slot.out += len(piece.records)
        if piece.failures or piece.stop:
            return self._by_runner(frame, piece, began, work)
        self._slot.state(ENCODING)
        try:
            body = self._codec(piece.records)
        except BaseException:
            return self._by_runner(frame, piece, began, work)
        return (self._noted(frame, piece, body, began, work),)

    def _by_runner(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The stage runner's way from here on: the stage is done with the batch."""
        context = self._context(frame)
        context.codec, context.work = now() - began - work, work
        context.harvest(0, self._evaluator.work.index, piece)
        return self._runner.emit(context, (piece,), more=False)

    def _noted(self, frame: Frame, piece: Batch, body: bytes, began: int, work: int) -> Parts:
        """The frame for an encoded piece, with all that there is to say."""
        codec, records = self._codec, len(piece.records)
        self._encoder.weigh(records, codec.size)
        metadata = unpack_payload(frame.payload)[0]
        metadata.origins, metadata.buffer_refs = piece.origins, codec.buffer_refs
        metadata.book(piece.counts)
        spent = now() - began
        self._slot.codec += spent - work
        metadata.slowest = max(metadata.slowest, spent)
        metadata.widest, metadata.heavy = max(metadata.widest, codec.size), max(metadata.heavy, codec.heavy)
        _, _, epoch, sequence, split, *_ = frame.header
        header = Header(DATA, 0, epoch, sequence, split, piece.first, piece.last, 0, records)
        return header, pack_metadata(metadata), body

    def _piece(self, batch: Batch, found: list[Any]) -> Batch:
        """The usual batch as one that can be told of: each record gave one result."""
        index, number = self._evaluator.work.index, len(found)
        counts = [*batch.counts, Counts(index, taken=number, out=number)]
        piece = Batch(found, batch.first, batch.last, batch.origins, counts=counts)
        piece.before = batch
        return piece

    def _context(self, frame: Frame) -> FrameContext:
        """The frame as the stage runner knows it."""
        context = self._runner.context = FrameContext(frame.header)
        context.take(unpack_payload(frame.payload)[0])
        return context
