"""A worker's stages without its pipes: a frame in, frames out. The inline engine runs the same.

Of a frame that comes or leaves in pieces, the counts ride on the last piece; a frame that was cut (a failure under
`on_error: fail`, or a stage that needs no more) ends where it was cut, whatever still follows on the link.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from time import monotonic_ns as now
from typing import Any

from stagerunner.chain.flushes import clipped
from stagerunner.chain.frames import (
    MORE,
    STOP,
    Frame,
    Header,
    Notes,
    pack_notes,
    unpack_payload,
)
from stagerunner.chain.hire import Hire
from stagerunner.chain.meters import (
    DECODING,
    ENCODING,
    FLUSHING,
    SETTING_UP,
    SNAPSHOT,
    TAKEN,
    WAITING,
    WORK,
    Page,
    Slot,
)
from stagerunner.chain.passage import Passage, condemn, cut, sentence_on
from stagerunner.evaluate.ends import Given, Reading, Writing
from stagerunner.evaluate.evaluator import Evaluator, make
from stagerunner.evaluate.loading import load
from stagerunner.records import Batch, Counts, Split, total
from stagerunner.seams import point
from stagerunner.window.kinds import BARRIER, DATA, FLUSH

PIECE = 2**20
"""Bytes a frame should not outgrow on its way: more is sent in pieces."""

SLOW = 10_000
"""Nanoseconds per record from which on storing each record's index costs less than 1 %."""

NO_FRAME = Header(DATA, 0, 0, 0)

Parts = tuple[Header, bytes, Any]
"""A frame to send: its header (length not yet filled in), its notes, its body."""


class Station:
    """The stages of one worker, set up."""

    def __init__(self, hire: Hire, page: Page) -> None:
        self._hire = hire
        self._page = page
        self._slots: list[Slot] = [page.slot(number) for number in hire.slots]
        self._evaluators: list[Evaluator] = []
        self._reading: Reading | None = None
        self._writing: Writing | None = None
        self._sending: Writing | None = None
        self._flushing: dict[int, Iterator[Batch]] = {}
        self.passage = Passage(NO_FRAME)
        """The frame that is, or was last, on its way through."""
        self._ratio = 0.0

    @property
    def evaluators(self) -> list[Evaluator]:
        return self._evaluators

    @property
    def slots(self) -> list[Slot]:
        return self._slots

    # Beginning and end

    def setup(self) -> None:
        """Import and construct everything; raises whatever the user's code raises."""
        hire = self._hire
        for slot in self._slots:
            slot.state(SETTING_UP)
        if hire.source is not None:
            source = load(hire.source.target)(**hire.source.options) if hire.source.target else Given()
            source.max_record = hire.source.max_record
            self._reading = Reading(source, hire.source.on_error)
        if hire.sink is not None:
            sink = load(hire.sink.target)(**hire.sink.options)
            self._writing = Writing(sink.encode, hire.ends, hire.sink.on_error, books=True)
        for work, slot in zip(hire.works, self._slots, strict=False):
            evaluator = make(work, slot)
            evaluator.setup()
            if work.index in hire.snapshots:
                evaluator.restore(hire.snapshots[work.index])
            self._evaluators.append(evaluator)
        self._sending = self._sender()
        for slot in self._slots:
            slot.state(WAITING)

    def _sender(self) -> Writing:
        """The encoder of what leaves this worker: the sink's, or pickle."""
        if self._writing is not None:
            return self._writing
        if not self._hire.works:
            return Writing(_pickled, -1, "fail", books=False)
        work = self._hire.works[-1]
        return Writing(_pickled, work.index, work.on_error, books=False)

    def close(self) -> None:
        for evaluator in self._evaluators:
            evaluator.close()

    # Frames

    def feed(self, frame: Frame) -> Iterator[Parts]:
        """What becomes of one frame (or piece): the frames to send, in order."""
        kind = frame.header.kind
        if kind == DATA:
            yield from self._data(frame)
        elif kind == FLUSH:
            yield from self._flush(frame)
        elif kind == BARRIER:
            yield self._barrier(frame)

    def _data(self, frame: Frame) -> Iterator[Parts]:
        batch = self.opened(frame)
        passage = self.passage
        yield from self.emit(passage, self._through(passage, self._slices(batch)), frame.header.more)

    def opened(self, frame: Frame) -> Batch:
        """The batch of a DATA frame or piece, its passage begun or gone on with."""
        header = frame.header
        if header.piece == 0:
            self.passage = Passage(header)
        passage = self.passage
        started = now()
        self._slots[0].hold(DECODING, header.sequence, header.split, header.first, header.last)
        notes, body = unpack_payload(frame.payload)
        passage.take(notes)
        batch = self._decode(header, notes, body)
        if self._beyond_stop(header.sequence):
            self._pass_empty(passage, batch)
        passage.codec += now() - started
        return batch

    def _decode(self, header: Header, notes: Notes, body: memoryview) -> Batch:
        sentence = sentence_on(notes, self._hire.works, header.first)
        if self._hire.first:
            batch = self._read(header, body)
            self.passage.tally.extend(batch.counts)
            batch.counts = []
        elif sentence is None:
            batch = Batch(pickle.loads(body), header.first, header.last, notes.origins, notes.failures)
        else:
            batch = Batch([None] * header.records, header.first, header.last, notes.origins, notes.failures)
        if sentence is not None:
            self.passage.tally.append(condemn(batch, self._hire.works[0], *sentence))
        return batch

    def _read(self, header: Header, body: memoryview) -> Batch:
        """Records of a split: read by the source, or as they came."""
        if self._beyond_stop(header.sequence):
            return Batch([], header.first, header.first)
        assert self._reading is not None
        return self._reading.batch(Split(pickle.loads(body), 0), header.first, header.last)

    def _beyond_stop(self, sequence: int) -> bool:
        """Whether this frame lies behind the one in which a stage at or after ours said it needs no more."""
        stop = self._page.stop
        if stop < 0 or sequence <= stop:
            return False
        return not self._hire.works or self._hire.works[0].index <= self._page.stop_stage

    def _pass_empty(self, passage: Passage, batch: Batch) -> None:
        passage.cut = 0
        batch.records, batch.origins, batch.failures = [], [], []

    def _slices(self, batch: Batch) -> Iterable[Batch]:
        """The batch whole, or cut so that what becomes of each slice should stay within a piece."""
        count = len(batch.records)
        if count < 2 or count * self._ratio <= PIECE:
            return (batch,)
        return cut(batch, max(1, int(PIECE / self._ratio)))

    def _through(self, passage: Passage, batches: Iterable[Batch]) -> Iterable[Batch]:
        for place, evaluator in enumerate(self._evaluators):
            batches = self._stage(passage, place, evaluator, batches)
        return batches

    def _stage(self, passage: Passage, place: int, evaluator: Evaluator, batches: Iterable[Batch]) -> Iterator[Batch]:
        """One stage over the pieces of a frame, its clock running only while it works."""
        slot, index = self._slots[place], self._hire.works[place].index
        evaluator.watched = passage.header.marked or self._watched(place)
        for batch in batches:
            if passage.cut is not None and passage.cut >= place:
                passage.tally.append(Counts(index, taken=len(batch.records), filtered=len(batch.records)))
                passage.forgive(batch)
                continue
            slot.begin(passage.header.sequence, passage.header.split, batch)
            taken, began = len(batch.records), now()
            for piece in evaluator.pieces(batch, passage.convicted):
                spent = now() - began
                passage.harvest(place, index, piece)
                slot.add(spent, 0, 0, 0, taken, len(piece.records))
                passage.work += spent
                yield piece
                taken, began = 0, now()

    def _watched(self, place: int) -> bool:
        work = self._hire.works[place]
        if work.form.awaited:
            return False
        return self._hire.watch or work.timeout is not None or self._pace(place) > SLOW

    def _pace(self, place: int) -> float:
        words = self._slots[place].words
        return words[WORK] / (words[TAKEN] or 1)

    # What leaves

    def emit(self, passage: Passage, pieces: Iterable[Batch], more: bool) -> Iterator[Parts]:
        """Encode the pieces; the newest is held back, since only the last of a frame carries the counts."""
        held: Batch | None = None
        for piece in pieces:
            if held is not None:
                yield self._pack(passage, held, more=True)
            held = piece
        if held is None:
            if more:
                return
            held = Batch([], passage.reached, passage.reached)
        yield self._pack(passage, held, more=more)

    def _pack(self, passage: Passage, piece: Batch, *, more: bool) -> Parts:
        assert self._sending is not None
        started = now()
        taken = len(piece.records)
        self._slots[-1].hold(ENCODING, passage.header.sequence, passage.header.split, piece.first, piece.last)
        body = self._sending.body(piece)
        passage.harvest(len(self._evaluators), self._hire.ends, piece)
        passage.reached = piece.last
        size = len(body)
        if taken and size > 4096:
            self._learn(size / taken)
        notes = Notes(piece.origins, piece.failures, convicted=passage.convicted, stop=passage.stop)
        passage.codec += now() - started
        if not more:
            notes.counts = list(total(passage.tally).values())
            notes.slowest = max(passage.slowest, passage.work + passage.codec)
            self._slots[-1].add(0, passage.codec, 0, 0, 0, 0)
        notes.widest = max(passage.widest, 0 if self._writing else size)
        flags = (passage.header.flags & ~(MORE | STOP)) | (MORE if more else 0)
        if passage.stop >= 0 and not more:
            flags |= STOP
            self._tell_stop(passage)
        header = passage.header._replace(
            kind=DATA,
            flags=flags,
            first=piece.first,
            last=piece.last,
            piece=passage.pieces,
            records=len(piece.records),
        )
        passage.pieces += 1
        return header, pack_notes(notes), body

    def _learn(self, ratio: float) -> None:
        """Bytes per record that left: how many make a piece."""
        self._ratio = ratio
        if self._evaluators:
            self._evaluators[-1].piece_records = max(16, int(PIECE / ratio))

    def _tell_stop(self, passage: Passage) -> None:
        if self._page.stop < 0 and passage.stop_here:
            self._page.stop_stage = passage.stop
            self._page.stop = passage.header.sequence

    # Flush and barrier

    def _flush(self, frame: Frame) -> Iterator[Parts]:
        """The flush of one of our stages becomes DATA; anybody else's goes on untouched."""
        header = frame.header
        notes, body = unpack_payload(frame.payload)
        stage: int = pickle.loads(body)
        place = next((p for p, work in enumerate(self._hire.works) if work.index == stage), None)
        if place is None:
            yield header, bytes(frame.payload[: len(frame.payload) - len(body)]), body
            return
        self.passage = passage = Passage(header)
        passage.take(notes)
        point("flush")
        self._slots[place].hold(FLUSHING, header.sequence, header.split, header.first, header.last)
        flushed = self._flushed(passage, header, place)
        batches: Iterable[Batch] = flushed
        for later in range(place + 1, len(self._evaluators)):
            batches = self._stage(passage, later, self._evaluators[later], batches)
        yield from self.emit(passage, batches, more=False)

    def _flushed(self, passage: Passage, header: Header, place: int) -> Iterator[Batch]:
        """Records first ≤ i < last of the flush. A flush is begun once; a second frame of it goes on where it was."""
        passage.reached = header.first
        if header.split not in self._flushing:
            self._flushing = {header.split: self._evaluators[place].flush()}
        for batch in clipped(self._flushing, header.split, header.first, header.last):
            passage.harvest(place, self._hire.works[place].index, batch)
            yield batch

    def _barrier(self, frame: Frame) -> Parts:
        _, body = unpack_payload(frame.payload)
        snapshots: dict[int, Any] = pickle.loads(body)
        for work, evaluator in zip(self._hire.works, self._evaluators, strict=True):
            if work.form.snapshots:
                self._slots[0].state(SNAPSHOT)
                snapshots[work.index] = evaluator.snapshot()
        return frame.header, pack_notes(Notes()), _pickled(snapshots)


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, 5)
