"""What comes into a station: the payload of a DATA frame becomes a batch of records."""

from __future__ import annotations

from functools import partial

from stagerunner.engines.process.worker.frame_context import Passage, condemn, sentence_on
from stagerunner.evaluate.ends import Reading
from stagerunner.evaluate.own import Original
from stagerunner.records import Batch, Split
from stagerunner.wire.frame import Header
from stagerunner.wire.metadata import Notes
from stagerunner.wire.metrics import READING, Page
from stagerunner.wire.payload import Cargo
from stagerunner.wire.pipe import ROOM
from stagerunner.wire.spec import Hire


class Decoder:
    """The way into one worker. reading: what reads splits, in the first worker only."""

    def __init__(self, hire: Hire, page: Page, reading: Reading | None, cargo: Cargo) -> None:
        self._cargo = cargo
        self._works = hire.works
        self._overlaps = any(work.form.awaited for work in hire.works)
        self._page = page
        self._slot = page.slot(hire.slots[0])
        self.reading = reading

    def batch(self, header: Header, notes: Notes, body: memoryview, passage: Passage) -> Batch:
        """The records of a frame, or none if nothing of it is wanted. Raises what unpickling raises."""
        beyond = self._beyond_stop(header.sequence)
        sentence = sentence_on(notes.convicted, self._works[0], header.first) if self._works else None
        if self.reading is not None:
            batch = self._read(self.reading, header, notes, body, beyond=beyond)
            passage.tally += batch.counts
            batch.counts = []
        elif sentence is None:
            decode = partial(self._cargo.records, notes.laden, notes.place, self._lasting(body))
            batch = Batch(decode(), header.first, header.last, notes.origins, notes.failures)
            batch.original = Original(decode)
        else:
            batch = Batch([None] * header.records, header.first, header.last, notes.origins, notes.failures)
        if sentence is not None:
            passage.tally.append(condemn(batch, self._works[0], *sentence))
        if beyond:
            passage.cut = 0
            batch.records, batch.origins, batch.failures = [], [], []
        return batch

    def _read(self, reading: Reading, header: Header, notes: Notes, body: memoryview, *, beyond: bool) -> Batch:
        """Records of a split: read by the source, or as they came."""
        if beyond:
            return Batch([], header.first, header.first)
        decode = partial(self._cargo.records, notes.laden, notes.place, self._lasting(body))
        split = Split(decode(), 0)
        if not reading.given:
            self._slot.state(READING)
        watching = self._slot if header.marked else None
        batch = reading.batch(split, header.first, header.last, watching, notes.convicted)
        batch.original = Original(lambda: reading.again(Split(decode(), 0), header.first, header.last))
        return batch

    def _lasting(self, body: memoryview) -> memoryview:
        """The body for as long as it may be decoded again: several frames may be under way in an async stage."""
        return memoryview(bytes(body)) if self._overlaps and len(body) <= ROOM else body

    def _beyond_stop(self, sequence: int) -> bool:
        """Whether this frame lies behind the one in which a stage at or after ours said it needs no more."""
        stop = self._page.stop
        if stop < 0 or sequence <= stop:
            return False
        return not self._works or self._works[0].index <= self._page.stop_stage
