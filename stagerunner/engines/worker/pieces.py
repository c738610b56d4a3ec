"""Any frame's way through the stages of a worker: in pieces, marked, cut, through neighbours that share the worker.

A frame that was cut (a failure under `on_error: fail`, or a stage that needs no more) ends where it was cut, even if
more of it follows on the pipe.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from time import monotonic_ns as now
from typing import Any

from stagerunner.engines.worker.decode import Decoder, reading
from stagerunner.engines.worker.encode import PIECE, Encoder, Parts, writing
from stagerunner.engines.worker.frame_context import FrameContext, cut, quarantine_of, refuse_whole
from stagerunner.evaluate.async_evaluator import make_evaluator
from stagerunner.evaluate.copying import original_of, rows_as_dicts
from stagerunner.evaluate.evaluator import PIECE_RECORDS, Evaluator, Shared
from stagerunner.failpoints import point
from stagerunner.records import BARRIER, DATA, FLUSH, Batch, Counts, Failure, Rows, Spread, counters_within
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import CUT, Frame, Header, Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import DECODING, FLUSHING, SETTING_UP, SNAPSHOT, WAITING, MetricsPage, Slot
from stagerunner.wire.payload import PayloadCodec
from stagerunner.wire.spec import WorkerSpec

SLOW = 10_000
"""Nanoseconds per record from which on storing each record's index and looking at the clock costs little."""

MOST_BARREN = 4096
"""Records of a slice while nothing has left yet."""

QUICK = 20_000_000
"""Nanoseconds: while a batch of a flush takes less, the next one may be twice as long."""

BRIEF = 200_000
"""Nanoseconds of work that say nothing about what a record costs: calling a stage at all may take as long."""

DEAR = 1_000_000
"""Nanoseconds per record from which on none is begun once the run is halted, whatever stages before did for it."""

MOST = 2**32
"""Records of a slice when they leave no bytes."""

NO_FRAME = Header(DATA, 0, 0, 0)


class PieceRunner:
    """The stages of one worker, set up and fed with any frame or piece."""

    def __init__(self, spec: WorkerSpec, page: MetricsPage, arena: Arena | None = None) -> None:
        self._spec = spec
        self.codec = PayloadCodec(arena, spec.owner)
        self.page = page
        self.slots: list[Slot] = [page.slot(number) for number in spec.slots]
        self.evaluators: list[Evaluator] = []
        self.timed = [work.timeout is not None for work in spec.works]
        """Whether calls of a stage have a deadline."""
        self.cost = [0.0 for _ in spec.works]
        """Nanoseconds that each of the latest records of a stage took."""
        self._flushing: dict[int, Iterator[Batch]] = {}
        self._consumes = any(work.form.flushes for work in spec.works)
        self._columnar = all(work.form.arrow for work in spec.works)
        """Whether records that lie in columns stay there."""
        self.decoder: Decoder
        self.encoder: Encoder
        self.context = FrameContext(NO_FRAME)
        """The current frame, or the last one."""

    # Beginning and end

    def setup(self) -> None:
        """Import and construct everything. Raises whatever the user's code raises."""
        for slot in self.slots:
            slot.state(SETTING_UP)
        self.decoder = Decoder(self._spec, self.page, reading(self._spec), self.codec)
        self.encoder = Encoder(self._spec, self.page, writing(self._spec), self.codec)
        for work, slot, at in zip(self._spec.works, self.slots, self._spec.slots, strict=False):
            first = at - self._spec.number
            reserve, pause = partial(self.page.reserve_call, first), self.page.pause(first)
            words = None if work.budget is None else self.page.spent(first, self._spec.width, self._spec.number)
            evaluator = make_evaluator(work, slot, Shared(reserve, pause, words))
            evaluator.setup()
            if work.index in self._spec.snapshots:
                evaluator.restore(self._spec.snapshots[work.index])
            evaluator.halted = self._halted
            self.evaluators.append(evaluator)
        for slot in self.slots:
            slot.state(WAITING)

    def _halted(self) -> bool:
        return self.page.halted

    def close(self) -> None:
        for evaluator in self.evaluators:
            evaluator.close()

    # Frames

    def feed(self, frame: Frame) -> Iterable[Parts]:
        """Work on one frame or piece. Returns the frames to send, in order."""
        kind = frame.header.kind
        if kind == DATA:
            batch = self.opened(frame)
            return self.worked(self.context, batch, more=frame.header.more)
        if kind == FLUSH:
            return self._flush(frame)
        if kind == BARRIER:
            return (self._barrier(frame),)
        return ((frame.header, bytes(frame.payload), b""),)  # a skip frame passes through unchanged

    def opened(self, frame: Frame) -> Batch:
        """Decode a DATA frame or piece, and begin its context or go on with it."""
        header = frame.header
        if header.piece == 0:
            self.context = FrameContext(header)
        context = self.context
        context.halted |= bool(header.flags & CUT)
        started = now()
        self.slots[0].hold(DECODING, header.sequence, header.split, header.first, header.last)
        metadata, body = unpack_payload(frame.payload)
        context.take(metadata)
        self.codec.segment = context
        batch = self.decoder.batch(header, metadata, body, context)
        batch.final = not header.more
        context.codec += now() - started
        return batch

    def worked(self, context: FrameContext, batch: Batch, *, more: bool) -> Iterator[Parts]:
        """The frames for a batch. Stages work as they are asked for. more: as for `emit`."""
        return self.emit(context, self._through(context, self._slices(batch)), more)

    def emit(self, context: FrameContext, pieces: Iterable[Batch], more: bool) -> Iterator[Parts]:
        """The frames for the pieces of a batch. more: further pieces of the same frame will come in."""
        return self.encoder.frames(context, pieces, more)

    def _slices(self, batch: Batch) -> Iterable[Batch]:
        """The batch, or slices of it whose results should each fit into a piece."""
        count, ratio = len(batch.records), self.encoder.ratio
        if isinstance(batch.records, Rows) and self._columnar:
            return (batch,)
        if ratio and self.evaluators:
            self.evaluators[-1].piece_records = max(16, int(PIECE / ratio))
        return (batch,) if count < 2 or count * ratio <= PIECE else cut(batch, self._slice)

    def _slice(self) -> int:
        """Records of the next slice, judged by the results so far."""
        ratio = self.encoder.ratio
        if ratio == PIECE and self._consumes:  # a sum gives nothing before its flush
            return min(MOST_BARREN, 1 + self.encoder.barren)
        return max(1, int(PIECE / ratio)) if ratio else MOST

    def _through(self, context: FrameContext, batches: Iterable[Batch]) -> Iterable[Batch]:
        for position, evaluator in enumerate(self.evaluators):
            batches = self._stage(context, position, evaluator, batches)
        return batches

    def _stage(
        self, context: FrameContext, position: int, evaluator: Evaluator, batches: Iterable[Batch]
    ) -> Iterator[Batch]:
        """Run one stage over the pieces of a frame. Its clock runs only while it works."""
        slot, index, header, form = self.slots[position], evaluator.work.index, context.header, evaluator.work.form
        refusal = quarantine_of(context.quarantined, evaluator.work, header.first) if position else None
        safe = not position or (evaluator.work.on_error == "fail" and evaluator.work.attempts == 1 and not form.batch)
        for batch in batches:
            if not form.arrow and isinstance(batch.records, Rows):
                rows_as_dicts(batch)
            elif not safe:  # between neighbours that share a worker records are not pickled
                batch.original = original_of(batch.records)
            if context.cut is not None and context.cut >= position:
                continue
            if refusal is not None:  # in a worker of its own, this stage would not decode them either
                context.tally.append(refuse_whole(batch, evaluator.work, *refusal))
            evaluator.watched, evaluator.singly = header.marked or self.watched(position), header.marked
            evaluator.dear = self.cost[position] > DEAR
            slot.begin(header.sequence, header.split, batch)
            taken, began = len(batch.records), now()
            for piece in evaluator.pieces(batch, context.quarantined):
                spent = now() - began
                piece.before = batch
                done = piece.counts[-1].taken - piece.counts[-1].not_processed
                if done and spent > BRIEF:
                    self.cost[position] = spent / done
                context.harvest(position, index, piece)
                piece.final |= context.cut is not None
                slot.add(spent, taken, len(piece.records))
                context.work += spent
                yield piece
                slot.begin(header.sequence, header.split, batch)  # the slot has said "encoding" and "writing" since
                taken, began = 0, now()

    def watched(self, position: int) -> bool:
        """Whether to store each record's index before its call, and to look at the clock: it has a deadline, or takes
        so long that it costs little."""
        return (self.timed[position] or self.cost[position] > SLOW) and not self._spec.works[position].form.awaited

    # Flush and barrier

    def _flush(self, frame: Frame) -> Iterator[Parts]:
        """A flush of one of our stages becomes DATA; any other passes through unchanged."""
        header = frame.header
        metadata, body = unpack_payload(frame.payload)
        stage: int = pickle.loads(body)
        position = next((p for p, work in enumerate(self._spec.works) if work.index == stage), None)
        if position is None:
            yield header, bytes(frame.payload[: len(frame.payload) - len(body)]), body
            return
        self.context = context = FrameContext(header)
        context.take(metadata)
        point("flush")
        self.slots[position].hold(FLUSHING, header.sequence, header.split, header.first, header.last)
        flushed = self._flushed(context, header, position)
        batches: Iterable[Batch] = flushed
        for later in range(position + 1, len(self.evaluators)):
            batches = self._stage(context, later, self.evaluators[later], batches)
        yield from self.emit(context, batches, more=False)

    def _flushed(self, context: FrameContext, header: Header, position: int) -> Iterator[Batch]:
        """Records first ≤ i < last of the flush. A second frame of the same flush goes on where the first ended."""
        context.reached = header.first
        self.evaluators[position].flush_until = header.last
        if header.split not in self._flushing:
            self.evaluators[position].watched = header.marked or self.timed[position]
            self._flushing = {header.split: self.evaluators[position].flush(context.quarantined)}
        began = now()
        for batch in clipped(self._flushing, header.split, header.first, header.last):
            context.harvest(position, self._spec.works[position].index, batch)
            quick = now() - began < QUICK
            yield batch
            self._lengthen(self.evaluators[position], quick)
            began = now()
            self.slots[position].hold(FLUSHING, header.sequence, header.split, header.first, header.last)

    def _lengthen(self, evaluator: Evaluator, quick: bool) -> None:
        """Let the next batch of a flush be longer, if this one was quick and small."""
        ratio, length = self.encoder.ratio, evaluator.piece_records
        if quick and ratio and length * ratio < PIECE / 2:
            evaluator.piece_records = min(2 * length, PIECE_RECORDS)

    def _barrier(self, frame: Frame) -> Parts:
        _, body = unpack_payload(frame.payload)
        snapshots: dict[int, Any] = pickle.loads(body)
        for work, evaluator in zip(self._spec.works, self.evaluators, strict=True):
            if work.form.snapshots:
                self.slots[0].state(SNAPSHOT)
                snapshots[work.index] = evaluator.snapshot()
        return frame.header, pack_metadata(Metadata()), pickle.dumps(snapshots, 5)


# What a flush gives


def clipped(flushing: dict[int, Iterator[Batch]], split: int, first: int, last: int) -> Iterator[Batch]:
    """The batches of a flush within first ≤ i < last. What lies behind is kept for its next frame."""
    for batch in flushing[split]:
        rest = None
        if batch.last > last:
            batch, rest = parted(batch, last)
            flushing[split] = _chained(rest, flushing[split])
        # Where a flush fails it has no record, so that failure stands behind the last number.
        if batch.last > first or any(failure.origin >= first for failure in batch.failures):
            ours = batch if batch.first >= first else parted(batch, first)[1]
            ours.final = batch.final or batch.last >= last
            yield ours
        if batch.last >= last:
            return


def parted(batch: Batch, at: int) -> tuple[Batch, Batch]:
    """A flush batch (one record or failure per number) in two, before number `at` and from it on, with its counts."""
    origins = [batch.origin(index) for index in range(len(batch.records))]
    here = bisect_left(origins, at)
    stage, spread = batch.counts[0].stage, batch.counts[0].spread
    return (
        _flush_part(
            stage,
            spread,
            batch.records[:here],
            origins[:here],
            [f for f in batch.failures if f.origin < at],
            batch.first,
            at,
        ),
        _flush_part(
            stage,
            spread,
            batch.records[here:],
            origins[here:],
            [f for f in batch.failures if f.origin >= at],
            at,
            batch.last,
        ),
    )


def _flush_part(
    stage: int,
    spread: Spread | None,
    records: list[Any],
    origins: list[int],
    failures: list[Failure],
    first: int,
    last: int,
) -> Batch:
    told = [failure for failure in failures if failure.policy != "fail"]
    counts = Counts(stage, created=len(records) + len(told), out=len(records))
    for failure in told:
        counts.fail(failure.policy)
    if spread is not None:
        counts.spread, counts.extra = spread, counters_within(spread, first, last)
    return Batch(records, first, last, origins, failures, [counts])


def _chained(head: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield head
    yield from rest
