"""The usual frame's way through a worker: what the station does for any frame, here in one go.

Usual is a DATA frame in one piece, about whose records nothing is said but their books, through a single stage that is
given one record at a time, while nobody has said stop. Nearly all frames are; what a frame costs is then mostly the
objects and calls that only the others need (two thirds of a frame of one record). A frame that turns out to be another
on its way goes on from there through the station, so both ways give the same frames (test_express compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from pickle import loads
from time import monotonic_ns as now

from stagerunner.chain.cargo import NoBerth
from stagerunner.chain.encoding import NOTICEABLE, PIECE, Parts
from stagerunner.chain.frames import Frame, Header
from stagerunner.chain.meters import DECODING, ENCODING, STOP
from stagerunner.chain.notes import HEAD, LINE, Notes, line, pack_notes, unpack_payload
from stagerunner.chain.passage import Passage
from stagerunner.chain.station import Station
from stagerunner.evaluate.calling import Evaluator
from stagerunner.records import Batch, Split
from stagerunner.window.kinds import DATA

NOWHERE = -1
"""As the place of a frame: none in the memory lane."""


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
        self._page = station.page.words

    def feed(self, frame: Frame) -> Iterable[Parts] | None:
        """The frames to send for this one, as `Station.feed` gives them; None, and nothing done, if it isn't usual."""
        header, payload = frame
        kind, flags, _, sequence, split, first, last, piece, _, length = header
        if kind != DATA or flags or piece or length < HEAD.size or self._page[STOP] or self._encoder.holding:
            return None
        stop, place, _, _, _, _, books, rest = HEAD.unpack_from(payload)
        if stop >= 0 or place >= 0 or rest or books % LINE.size or HEAD.size + books > length:
            return None
        began = now()
        self._slot.hold(DECODING, sequence, split, first, last, began)
        self._cargo.berth = self._berth
        records = loads(memoryview(payload)[HEAD.size + books :])
        if self._reading is None:
            batch = Batch(records, first, last)
        else:
            batch = self._reading.batch(Split(records, 0), first, last)
        if batch.failures or len(batch.records) * self._encoder.ratio > PIECE:
            return self._in_pieces(frame, batch, began)
        return self._worked(frame, batch, began)

    def _in_pieces(self, frame: Frame, batch: Batch, began: int) -> Iterable[Parts]:
        """The station's way from here on: nothing of the batch has been worked on."""
        passage = self._passage(frame)
        passage.tally, batch.counts = batch.counts, []
        passage.codec = now() - began
        return self._station.worked(passage, batch, more=False)

    def _worked(self, frame: Frame, batch: Batch, began: int) -> Iterable[Parts]:
        """The batch through the stage, and on."""
        slot, evaluator, header = self._slot, self._evaluator, frame.header
        decoded = now()
        slot.begin(header.sequence, header.split, batch, decoded)
        evaluator.watched = self._station.watched(0)
        piece = evaluator.whole(batch)
        worked = now()
        slot.work += worked - decoded
        slot.taken += len(batch.records)
        slot.out += len(piece.records)
        slot.batch = None
        if not (piece.failures or piece.stop):
            slot.state(ENCODING, worked)
            try:
                body = self._cargo(piece.records)
            except BaseException:
                pass  # which record can't be pickled, the station finds out
            else:
                return (self._sent(frame, piece, body, began, worked - decoded),)
        passage = self._passage(frame)
        passage.codec, passage.work = decoded - began, worked - decoded
        passage.harvest(0, evaluator.work.index, piece)
        return self._station.emit(passage, (piece,), more=False)

    def _sent(self, frame: Frame, piece: Batch, body: bytes, began: int, work: int) -> Parts:
        """The frame to send: what came with this one, and our line in the books."""
        cargo, records, payload = self._cargo, len(piece.records), frame.payload
        size = cargo.size
        if records and size > NOTICEABLE:
            self._encoder.ratio = size / records
        _, _, _, slowest, widest, heavy, books, _ = HEAD.unpack_from(payload)
        lines = bytes(payload[HEAD.size : HEAD.size + books])
        extra = None
        for c in piece.counts:
            lines += line(c)
            extra = extra or c.extra
        widest = size if size > widest else widest
        spent = now() - began
        self._slot.codec += spent - work
        slowest = spent if spent > slowest else slowest
        heavy = cargo.heavy if cargo.heavy > heavy else heavy
        if extra or cargo.laden is not None or piece.origins is not None:
            notes = self._noted(piece, lines, slowest, widest, heavy)
        else:
            notes = HEAD.pack(-1, NOWHERE, 0, slowest, widest, heavy, len(lines), 0) + lines
        _, _, epoch, sequence, split, *_ = frame.header
        return Header(DATA, 0, epoch, sequence, split, piece.first, piece.last, 0, records), notes, body

    def _noted(self, piece: Batch, lines: bytes, slowest: int, widest: int, heavy: int) -> bytes:
        """The notes of a frame that has more to say than its books."""
        notes = Notes(piece.origins, slowest=slowest, widest=widest, laden=self._cargo.laden, heavy=heavy)
        notes.lines = lines
        notes.extras = [(c.stage, c.extra) for c in piece.counts if c.extra]
        return pack_notes(notes)

    def _passage(self, frame: Frame) -> Passage:
        """The frame as the station knows it."""
        passage = self._station.passage = Passage(frame.header)
        passage.take(unpack_payload(frame.payload)[0])
        return passage
