"""What leaves a station: a batch becomes a frame, with the books of its passage on the last piece.

What tells how to divide them goes with whichever piece is next: the parent may have to, if the last one never comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.process.worker.frame_context import Passage, halved
from stagerunner.evaluate.ends import Writing
from stagerunner.evaluate.growth import TooLarge
from stagerunner.records import DATA, NOTHING, Batch, Conviction, total
from stagerunner.wire.frame import HELD, MORE, STOP, Header
from stagerunner.wire.metadata import Notes, pack_notes
from stagerunner.wire.metrics import ENCODING, WRITING, Page, Slot
from stagerunner.wire.payload import Cargo
from stagerunner.wire.spec import Hire

PIECE = 2**20
"""Bytes a frame should not outgrow on its way: more is sent in pieces."""

NOTICEABLE = 4096
"""Bytes from which on the size of a frame says what its records take."""

Parts = tuple[Header, bytes, Any]
"""A frame to send: its header (length not yet filled in), its notes, its body."""


class Encoder:
    """The way out of one worker: the sink's encoding in the last one, pickle in all others."""

    def __init__(self, hire: Hire, page: Page, writing: Writing | None, cargo: Cargo) -> None:
        self._page = page
        self._slots = [page.slot(number) for number in hire.slots]
        self._slot = self._slots[-1]
        self._cargo = cargo
        cargo.most = hire.growth
        self.sink = writing is not None
        self._last = hire.last
        self._writing = writing or _pickling(hire, cargo)
        self._place = len(hire.works)
        self._ends = hire.ends
        self.holding = Holding(hire)
        self.ratio = float(PIECE)
        """Bytes that leave for each record; a piece's, while that isn't known: what the first becomes is seen first."""

    def weigh(self, records: int, size: int) -> None:
        """So many records became so many bytes."""
        if records and (size > NOTICEABLE or self.ratio == PIECE):
            self.ratio = size / records

    def frames(self, passage: Passage, pieces: Iterable[Batch], more: bool) -> Iterator[Parts]:
        """Encode the pieces; the newest is held back, since only the last of a frame carries the counts."""
        held: Batch | None = None
        for piece in pieces:
            if held is not None:
                yield from self._sent(passage, held, more=True)
            held = piece
        if held is None:
            if more:
                return
            held = Batch([], passage.reached, passage.reached)
        yield from self._sent(passage, held, more=more)

    def _sent(self, passage: Passage, piece: Batch, *, more: bool) -> Iterator[Parts]:
        """A piece in one frame, or in as many as it takes; in none behind a record that can't be encoded."""
        if passage.cut == self._place:
            passage.tally += self._writing.behind(piece)
            if more:
                return
            piece = Batch([], passage.reached, passage.reached)
        try:
            frame = self._frame(passage, piece, more=more)
        except TooLarge:
            passage.count(piece)  # what cuts the frame comes with the half that it is in
            *others, last = halved(piece)
            for other in others:
                yield from self._sent(passage, other, more=True)
            yield from self._sent(passage, last, more=more)
            return
        yield frame

    def _frame(self, passage: Passage, piece: Batch, *, more: bool) -> Parts:
        started = now()
        before, first, last = passage.header, piece.first, piece.last
        self._slot.hold(WRITING if self.sink else ENCODING, before.sequence, before.split, first, last)
        body = self._encoded(passage, piece)
        last = passage.reached = piece.last  # a failure may have cut it
        notes = self._said(passage, piece)
        if more or not self._last:
            notes.spread, passage.spread = passage.spread, []
        records = len(piece.records)
        piece.records, piece.original, piece.before = [], None, None
        # From here on only the stages themselves can hold what is in the lane.
        passage.codec += now() - started
        flags = before.flags & ~(MORE | STOP | HELD) | (MORE if more else self._close(passage, notes))
        number, passage.pieces = passage.pieces, passage.pieces + 1
        header = Header(DATA, flags, before.epoch, before.sequence, before.split, first, last, number, records)
        return header, pack_notes(notes), body

    def _encoded(self, passage: Passage, piece: Batch) -> Any:
        """The body. What can't be encoded is taken out of the piece, and booked."""
        cargo, taken = self._cargo, len(piece.records)
        cargo.berth = passage
        body = self._writing.body(piece, *self._suspected(passage, piece))
        if self.sink:
            body = cargo.body(body)
        elif cargo.size > passage.widest:
            passage.widest = cargo.size
        cargo.keep()
        passage.harvest(self._place, self._ends, piece)
        passage.heavy = max(passage.heavy, cargo.heavy)
        self.weigh(taken, cargo.size)
        return body

    def _suspected(self, passage: Passage, piece: Batch) -> tuple[Slot | None, Mapping[Conviction, tuple[str, str]]]:
        """For the sink: where to say which record is being encoded, if one is suspected, and those that were found."""
        if not self.sink:
            return None, NOTHING
        self._slot.batch = piece
        return self._slot if passage.header.marked else None, passage.convicted

    def _said(self, passage: Passage, piece: Batch) -> Notes:
        return Notes(
            piece.origins,
            piece.failures,
            passage.convicted,
            passage.stop,
            widest=passage.widest,
            place=passage.place,
            room=passage.room,
            laden=self._cargo.laden,
            heavy=passage.heavy,
        )

    def _close(self, passage: Passage, notes: Notes) -> int:
        """The last piece: the books ride on it, and what stops the run is told. The flags for it."""
        notes.lines, notes.extras = passage.lines, passage.extras
        notes.held = self.holding.news(passage, self._cargo, self._slots)
        notes.book(total(passage.tally).values() if len(passage.tally) > 1 else passage.tally)
        notes.slowest = max(passage.slowest, passage.work + passage.codec)
        self._slot.codec += passage.codec
        self._slot.store()
        held = HELD if notes.held else 0
        if passage.stop < 0:
            return held
        if self._page.stop < 0 and passage.stop_here:
            self._page.stop_stage = passage.stop
            self._page.stop = passage.header.sequence
        return STOP | held


class Holding:
    """What one worker has told of places whose buffers its stages keep beyond a frame."""

    def __init__(self, hire: Hire) -> None:
        self._who = (hire.owner, hire.number)
        self._places: set[int] = set()
        self.told: tuple[int, ...] = ()
        """Places of which a buffer was said to be held here: a frame may bring the news that none is."""

    def news(self, passage: Passage, cargo: Cargo, slots: list[Slot]) -> dict[tuple[int, int], tuple[int, ...]]:
        """What is to be told with a frame whose records have been let go of; mostly what others told before us."""
        if passage.place >= 0:
            self._places.add(passage.place)
        elif not self.told:
            return passage.held
        for slot in slots:
            slot.batch = None
        held = cargo.held(self._places)
        if not held and not self.told:
            return passage.held
        self.told = held
        return {**passage.held, self._who: held}


def _pickling(hire: Hire, cargo: Cargo) -> Writing:
    if not hire.works:
        return Writing(cargo, -1, "fail", books=False)
    work = hire.works[-1]
    return Writing(cargo, work.index, work.on_error, books=False)
