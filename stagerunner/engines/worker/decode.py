"""What comes into a worker: the payload of a DATA frame becomes a batch of records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from stagerunner.engines.worker.frame_context import FrameContext, quarantine_of, refuse_whole
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.source_reader import GivenRecords, SourceReader
from stagerunner.evaluate.wording import message_of, type_of
from stagerunner.records import Batch, Original, Split
from stagerunner.wire.frame import Header, Metadata
from stagerunner.wire.metrics import READING, MetricsPage
from stagerunner.wire.payload import PayloadCodec
from stagerunner.wire.pipe import ROOM
from stagerunner.wire.spec import WorkerSpec


class Unreadable(Exception):
    """What came can't be unpickled here. The text says why."""


def reading(spec: WorkerSpec) -> SourceReader | None:
    """The source's reader in the first worker; without a source the split is the list of records."""
    end = spec.source
    if end is None or not spec.first:
        return None
    source = load(end.target)(**end.options) if end.target else GivenRecords()
    source.max_record = end.max_record
    rows = getattr(source, "rows", None) if _takes_rows(spec) else None
    return SourceReader(source, end.on_error, rows)


def _takes_rows(spec: WorkerSpec) -> bool:
    """Whether what takes the source's records would make a batch of them."""
    if spec.works:
        return spec.works[0].form.arrow
    return bool(spec.sinks) and all(getattr(load(end.target), "batches", False) is True for end in spec.sinks)


def unpickled(decode: Callable[[], list[Any]]) -> list[Any]:
    """The records. Raises Unreadable: their types may be missing in the Python of this worker."""
    try:
        return decode()
    except MemoryError:
        raise
    except Exception as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> Unreadable:
    """What to raise for an error of unpickling."""
    return Unreadable(f"{type_of(error)}: {message_of(error)}")


class Decoder:
    """Decodes what comes into one worker. reading: the source's reader, in the first worker only."""

    def __init__(self, spec: WorkerSpec, page: MetricsPage, reading: SourceReader | None, codec: PayloadCodec) -> None:
        self._codec = codec
        self._works = spec.works
        self._overlaps = any(work.form.awaited or work.gathers for work in spec.works)
        self._page = page
        self._slot = page.slot(spec.slots[0])
        self.reading = reading

    def batch(self, header: Header, metadata: Metadata, body: memoryview, context: FrameContext) -> Batch:
        """The records of a frame; none if it lies beyond a stop, or if it begins after the run was halted.

        Raises Unreadable; what unpickling raises, for a split.
        """
        halted = self._begins_halted(header)
        context.halted |= halted
        beyond = halted or self._beyond_stop(header.sequence)
        refusal = quarantine_of(metadata.quarantined, self._works[0], header.first) if self._works else None
        if self.reading is not None:
            batch = self._read(self.reading, header, metadata, body, beyond=beyond)
            context.tally += batch.counts
            batch.counts = []
        elif refusal is None:
            decode = partial(self._codec.records, metadata.buffer_refs, metadata.block, self._lasting(body))
            batch = Batch(unpickled(decode), header.first, header.last, metadata.origins, metadata.failures)
            batch.original = Original(decode)
        else:
            batch = Batch([None] * header.records, header.first, header.last, metadata.origins, metadata.failures)
        if refusal is not None:
            context.tally.append(refuse_whole(batch, self._works[0], *refusal))
        if beyond:
            context.cut = 0
            batch.records, batch.origins, batch.failures = [], [], []
        return batch

    def _read(
        self, reading: SourceReader, header: Header, metadata: Metadata, body: memoryview, *, beyond: bool
    ) -> Batch:
        """The records of a split: read by the source, or given."""
        if beyond:
            return Batch([], header.first, header.first)
        decode = partial(self._codec.records, metadata.buffer_refs, metadata.block, self._lasting(body))
        split = Split(decode(), 0)
        if not reading.given:
            self._slot.state(READING)
        watching = self._slot if header.marked else None
        batch = reading.batch(split, header.first, header.last, watching, metadata.quarantined)
        batch.original = Original(lambda: reading.read_again(Split(decode(), 0), header.first, header.last))
        return batch

    def _lasting(self, body: memoryview) -> memoryview:
        """The body, kept for as long as it may be decoded again: a stage may have several frames open."""
        return memoryview(bytes(body)) if self._overlaps and len(body) <= ROOM else body

    def _begins_halted(self, header: Header) -> bool:
        """Whether the frame is cut at its beginning: the run is halted, and no stage has worked on it, or ours makes
        many calls at once."""
        return self._page.halted and header.piece == 0 and (self.reading is not None or self._overlaps)

    def _beyond_stop(self, sequence: int) -> bool:
        """Whether this frame lies behind the one in which a stage at or after ours said it needs no more."""
        stop = self._page.stop
        if stop < 0 or sequence <= stop:
            return False
        return not self._works or self._works[0].index <= self._page.stop_stage
