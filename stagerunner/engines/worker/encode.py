"""What leaves a stage runner: a batch becomes a frame, or pieces of one.

What tells how the counts divide by source record goes with whichever piece is next. The counts themselves go with the
last piece; the parent takes them if the frame is whole, and divides them if it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.worker.frame_context import FrameContext, halved
from stagerunner.evaluate.encoding import BodyEncoder, RecordEncoder
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.outcome.growth import TooLarge
from stagerunner.evaluate.work import EndSpec
from stagerunner.records import DATA, NOTHING, Batch, QuarantineKey, total
from stagerunner.wire.frame import CUT, HELD, MORE, STOP, Header, Metadata, pack_metadata
from stagerunner.wire.metrics import ENCODING, WRITING, MetricsPage, Slot
from stagerunner.wire.payload import PayloadCodec
from stagerunner.wire.spec import WorkerSpec

PIECE = 2**20
"""Bytes of a piece: a frame that grows beyond leaves in several."""

NOTICEABLE = 4096
"""Bytes of a frame from which on its size tells the size of a record."""

Parts = tuple[Header, bytes, Any]
"""A frame to send: header (without its length), metadata, body."""


class Encoder:
    """The way out of one worker: the sink's encoding in the last one, pickle in all others."""

    def __init__(self, spec: WorkerSpec, page: MetricsPage, writing: BodyEncoder | None, codec: PayloadCodec) -> None:
        self._page = page
        self._slots = [page.slot(number) for number in spec.slots]
        self._slot = self._slots[-1]
        self._codec = codec
        codec.most = spec.growth
        self.writing = writing
        """What encodes for the sink, in the last worker."""
        self.sink = writing is not None
        self.last = spec.last
        self._writing = writing or _pickling(spec, codec)
        self._position = len(spec.works)
        self.ends = spec.ends
        self.holding = Holding(spec)
        self.ratio = float(PIECE)
        """Bytes that leave for each record. Until it is known, a whole piece's: so the first record goes alone."""
        self.barren = 0
        """Source records since the last one of which anything has left."""

    @property
    def changes(self) -> bool:
        """Whether encoding may change the records, or has to know more of them than what they are."""
        return self._writing.changes or self._writing.traced

    def weigh(self, records: int, size: int, of: int = 0) -> None:
        """So many records became so many bytes. of: the source records that they come from."""
        self.barren = 0 if records else self.barren + of
        if records and (size > NOTICEABLE or self.ratio == PIECE):
            self.ratio = size / records

    def frames(self, context: FrameContext, pieces: Iterable[Batch], more: bool) -> Iterator[Parts]:
        """Encode each piece as soon as it is made. If none of them said that it is the last, an empty one follows."""
        for piece in pieces:
            last = piece.final and not more
            yield from self._sent(context, piece, more=not last)
            if last:
                return
        if not more:
            yield from self._sent(context, Batch([], context.reached, context.reached), more=False)

    def _sent(self, context: FrameContext, piece: Batch, *, more: bool) -> Iterator[Parts]:
        """The frames for a piece: one, or as many as it takes; none behind a record that can't be encoded."""
        if context.cut == self._position:
            if more:
                return
            piece = Batch([], context.reached, context.reached)
        try:
            frame = self._frame(context, piece, more=more)
        except TooLarge:
            context.count(piece)  # what cuts the frame comes with the half that it is in
            *others, last = halved(piece)
            for other in others:
                yield from self._sent(context, other, more=True)
            yield from self._sent(context, last, more=more)
            return
        yield frame

    def _frame(self, context: FrameContext, piece: Batch, *, more: bool) -> Parts:
        started = now()
        before, first, last = context.header, piece.first, piece.last
        self._slot.hold(WRITING if self.sink else ENCODING, before.sequence, before.split, first, last)
        body = self._encoded(context, piece)
        last = context.reached = piece.last  # a failure may have cut it
        metadata = self._said(context, piece)
        if more or not (self.last and context.whole):  # else the parent takes the counts as they are
            metadata.spread, context.spread = context.spread, []
        records = len(piece.records)
        piece.records, piece.original, piece.before = [], None, None
        # From here on only the stages can still hold buffers of the arena.
        context.codec += now() - started
        flags = before.flags & ~(MORE | STOP | HELD) | (MORE if more else self._close(context, metadata))
        if context.halted:
            flags |= CUT
        number, context.pieces = context.pieces, context.pieces + 1
        header = Header(DATA, flags, before.epoch, before.sequence, before.split, first, last, number, records)
        return header, pack_metadata(metadata), body

    def _encoded(self, context: FrameContext, piece: Batch) -> Any:
        """The body. Records that can't be encoded become failures of the piece."""
        codec, taken = self._codec, len(piece.records)
        codec.segment = context
        body = self._writing.body(piece, *self._suspected(context, piece))
        if self.sink:
            body = codec.body(body)
        elif codec.size > context.widest:
            context.widest = codec.size
        codec.keep()
        context.harvest(self._position, self.ends, piece)
        context.heavy = max(context.heavy, codec.heavy)
        self.weigh(taken, codec.size, piece.last - piece.first)
        return body

    def _suspected(
        self, context: FrameContext, piece: Batch
    ) -> tuple[Slot | None, Mapping[QuarantineKey, tuple[str, str]]]:
        """For the sink: the slot that names the record being encoded, if one is suspected; and the quarantined ones."""
        if not self.sink:
            return None, NOTHING
        self._slot.batch = piece
        return self._slot if context.header.marked else None, context.quarantined

    def _said(self, context: FrameContext, piece: Batch) -> Metadata:
        return Metadata(
            piece.origins,
            piece.failures,
            context.quarantined,
            context.stop,
            widest=context.widest,
            block=context.block,
            room=context.room,
            buffer_refs=self._codec.buffer_refs,
            heavy=context.heavy,
        )

    def _close(self, context: FrameContext, metadata: Metadata) -> int:
        """Complete the metadata of the last piece: the counts, and whether the stage needs no more. Returns its
        flags."""
        metadata.lines, metadata.extras = context.lines, context.extras
        metadata.held = self.holding.news(context, self._codec, self._slots)
        metadata.book(total(context.tally).values() if len(context.tally) > 1 else context.tally)
        metadata.slowest = max(context.slowest, context.work + context.codec)
        self._slot.codec += context.codec
        self._slot.store()
        held = HELD if metadata.held else 0
        if context.stop < 0:
            return held
        if self._page.stop < 0 and context.stop_here:
            self._page.stop_stage = context.stop
            self._page.stop = context.header.sequence
        return STOP | held


class Holding:
    """Which blocks this worker has reported as held: a stage keeps a buffer of them beyond its frame."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._who = (spec.owner, spec.number)
        self._blocks: set[int] = set()
        self.told: tuple[int, ...] = ()
        """Blocks reported as held; a later frame reports that they are free."""

    def news(
        self, context: FrameContext, codec: PayloadCodec, slots: list[Slot]
    ) -> dict[tuple[int, int], tuple[int, ...]]:
        """What to report with a frame whose records have been released; usually what earlier workers reported."""
        if context.block >= 0:
            self._blocks.add(context.block)
        elif not self.told:
            return context.held
        for slot in slots:
            slot.batch = None
        held = codec.held(self._blocks)
        if not held and not self.told:
            return context.held
        self.told = held
        return {**context.held, self._who: held}


def writing(spec: WorkerSpec) -> BodyEncoder | None:
    """The encoding for the sinks, in the last worker."""
    encoders = [_for_sink(spec, end, spec.ends + number) for number, end in enumerate(spec.sinks)]
    if spec.branches:
        from stagerunner.evaluate.branches import BranchEncoder  # late: few chains branch

        return BranchEncoder(encoders, spec.growth)
    return encoders[0] if encoders else None


def _for_sink(spec: WorkerSpec, end: EndSpec, index: int) -> RecordEncoder:
    """The encoding for one sink. index: under which it is counted."""
    sink = load(end.target)(**end.options)
    pure = getattr(sink, "pure", False) is True
    begun = None
    if hasattr(sink, "expect"):
        if index in spec.snapshots:
            sink.expect(spec.snapshots[index])
        else:
            begun = _by_the_first(sink)
    return _encoder_of(end)(
        sink.encode,
        index,
        end.on_error,
        counted=True,
        changes=not pure,
        begun=begun,
        when=_condition(end.when),
        most=spec.growth,
        dicts=not getattr(sink, "batches", False),
    )


def _encoder_of(end: EndSpec) -> type[RecordEncoder]:
    if not end.refuses:
        return RecordEncoder
    from stagerunner.evaluate.refusable import TracedEncoder  # late: few sinks can refuse

    return TracedEncoder


def _condition(when: str) -> Callable[[Any], Any] | None:
    if not when:
        return None
    from stagerunner.evaluate.conditions.expression import Expression  # late: it loads Python's parser

    return Expression(when)


def _by_the_first(sink: Any) -> Callable[[Any], None]:
    """A new output takes its columns from its first record; a sink of batches from its first row."""
    if getattr(sink, "batches", False):
        return lambda records: sink.expect(sink.columns_of(records[:1]))
    return lambda records: sink.expect(sink.columns_of(records[0]))


def _pickling(spec: WorkerSpec, codec: PayloadCodec) -> RecordEncoder:
    if not spec.works:
        return RecordEncoder(codec, -1, "fail", counted=False)
    work = spec.works[-1]
    return RecordEncoder(codec, work.index, work.on_error, counted=False)
