"""The usual frame's way through a worker: what the station does for any frame, here in one go.

Usual is a DATA frame in one piece, about whose records nothing is said but their books, through a single stage that is
given one record at a time, while nobody has said stop. Nearly all frames are; what a frame costs is then mostly the
objects and calls that only the others need (two thirds of a frame of one record), and more than that while it passes
code that the records of the last one have driven out of the cache. A frame that turns out to be another on its way goes
on from there through the station, so both ways give the same frames (test_express compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pickle import loads
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.process.worker.encode import NOTICEABLE, PIECE, Parts
from stagerunner.engines.process.worker.frame_context import Passage
from stagerunner.engines.process.worker.stage_runner import SLOW, Station
from stagerunner.evaluate.calling import Evaluator
from stagerunner.evaluate.own import Original, unshared
from stagerunner.records import DATA, Batch, Counts, Split
from stagerunner.wire.frame import SIZE, Frame, Header, pack_fields
from stagerunner.wire.metadata import HEAD, LINE, line, pack_notes, unpack_payload
from stagerunner.wire.metrics import BLOCKED, DECODING, ENCODING, READING, STOP, WAITING, WORKING
from stagerunner.wire.payload import NoBerth
from stagerunner.wire.pipe import write_records

NOWHERE = -1
"""As the place of a frame: none in the memory lane."""

SENT: Iterable[Parts] = iter(())
"""What became of a frame is on its way already. To be compared by identity."""


def express(station: Station) -> Express | None:
    """The short way through a station that is set up; None where its frames can't take it."""
    single = len(station.evaluators) == 1 and station.evaluators[0].single
    return Express(station) if single and not station.encoder.sink else None


class Express:
    """The short way through one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._evaluator: Evaluator = station.evaluators[0]
        self._slot = station.slots[0]
        self._cargo = station.cargo
        self._berth = NoBerth()
        self._reading = station.decoder.reading
        self._encoder = station.encoder
        self._holding = station.encoder.holding
        self._timed = station.timed[0]
        self._page = station.page.words

    def feed(self, frame: Frame, fd: int) -> Iterable[Parts] | None:
        """The frames to send for this one, as `Station.feed` gives them; SENT if what became of it was written to `fd`.

        None, and nothing done, if it isn't usual.
        """
        (kind, flags, _, sequence, split, first, last, piece, _, length), payload = frame
        if kind != DATA or flags or piece or length < HEAD.size or self._page[STOP] or self._holding.told:
            return None
        stop, place, _, _, _, _, books, rest = HEAD.unpack_from(payload)
        if stop >= 0 or place >= 0 or rest or books % LINE.size or HEAD.size + books > length:
            return None
        began = now()
        self._slot.hold(DECODING, sequence, split, first, last, began)
        self._cargo.berth = self._berth
        stream = memoryview(payload)[HEAD.size + books :]
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
        """The station's way from here on: nothing of the batch has been worked on."""
        passage = self._passage(frame)
        passage.tally, batch.counts = batch.counts, []
        passage.codec = now() - began
        return self._station.worked(passage, batch, more=False)

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
            body = self._cargo(found)
        except BaseException:  # which record can't be pickled, the station finds out
            return self._by_station(frame, self._piece(batch, found), began, worked - decoded)
        if self._cargo.laden is not None:
            return (self._noted(frame, self._piece(batch, found), body, began, worked - decoded),)
        self._send(frame, batch, body, began, worked - decoded, fd)
        return SENT

    def _send(self, frame: Frame, batch: Batch, body: bytes, began: int, work: int, fd: int) -> None:
        """Write the frame for a batch of which each record gave one result: our line goes behind the books it brought.

        work: nanoseconds of the time since `began` that the stage had.
        """
        cargo, slot, (header, payload), records = self._cargo, self._slot, frame, len(batch.records)
        size, heavy = cargo.size, cargo.heavy
        if size > NOTICEABLE or self._encoder.ratio == PIECE:
            self._encoder.weigh(records, size)
        own = LINE.pack(self._evaluator.work.index, records, 0, records, 0, 0, 0, 0)
        for c in batch.counts:
            own = line(c) + own  # the source's, in the first worker
        _, _, _, slowest, widest, heaviest, books, _ = HEAD.unpack_from(payload)
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
            books + len(own),
            0,
        )
        length = HEAD.size + books + len(own) + len(body)
        head = pack_fields(
            DATA, 0, header.epoch, header.sequence, header.split, batch.first, batch.last, 0, records, length
        )
        front = b"".join((head, said, payload[HEAD.size : HEAD.size + books], own))
        write_records(fd, [front, body], SIZE + length)
        sent = now()
        slot.block += sent - done
        slot.rest(WAITING, sent)

    def _told(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The frames for a batch of which there is more to tell."""
        self._slot.out += len(piece.records)
        if piece.failures or piece.stop:
            return self._by_station(frame, piece, began, work)
        self._slot.state(ENCODING)
        try:
            body = self._cargo(piece.records)
        except BaseException:
            return self._by_station(frame, piece, began, work)
        return (self._noted(frame, piece, body, began, work),)

    def _by_station(self, frame: Frame, piece: Batch, began: int, work: int) -> Iterable[Parts]:
        """The station's way from here on: the stage is done with the batch."""
        passage = self._passage(frame)
        passage.codec, passage.work = now() - began - work, work
        passage.harvest(0, self._evaluator.work.index, piece)
        return self._station.emit(passage, (piece,), more=False)

    def _noted(self, frame: Frame, piece: Batch, body: bytes, began: int, work: int) -> Parts:
        """The frame for an encoded piece, with all that there is to say."""
        cargo, records = self._cargo, len(piece.records)
        self._encoder.weigh(records, cargo.size)
        notes = unpack_payload(frame.payload)[0]
        notes.origins, notes.laden = piece.origins, cargo.laden
        notes.book(piece.counts)
        spent = now() - began
        self._slot.codec += spent - work
        notes.slowest = max(notes.slowest, spent)
        notes.widest, notes.heavy = max(notes.widest, cargo.size), max(notes.heavy, cargo.heavy)
        _, _, epoch, sequence, split, *_ = frame.header
        header = Header(DATA, 0, epoch, sequence, split, piece.first, piece.last, 0, records)
        return header, pack_notes(notes), body

    def _piece(self, batch: Batch, found: list[Any]) -> Batch:
        """The usual batch as one that can be told of: each record gave one result."""
        index, number = self._evaluator.work.index, len(found)
        counts = [*batch.counts, Counts(index, taken=number, out=number)]
        piece = Batch(found, batch.first, batch.last, batch.origins, counts=counts)
        piece.before = batch
        return piece

    def _passage(self, frame: Frame) -> Passage:
        """The frame as the station knows it."""
        passage = self._station.passage = Passage(frame.header)
        passage.take(unpack_payload(frame.payload)[0])
        return passage
