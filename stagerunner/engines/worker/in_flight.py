"""Several frames open in one worker: begun in sequence, worked on in any order or together, sent on in sequence.

    frame ──▶ begin ──▶ its records wait for a call, or for others to share one ──▶ done: encoded ──▶ its turn ──▶ sent

What is done is encoded at once, also behind a frame that isn't, so that its bytes are known: they are what bounds how
much may wait for a slow head.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic_ns as now

from stagerunner.engines.worker.encode import Parts
from stagerunner.engines.worker.frame_context import FrameContext
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.async_evaluator import AsyncEvaluator
from stagerunner.evaluate.copying import rows_as_dicts
from stagerunner.evaluate.gathering_evaluator import GatheringEvaluator
from stagerunner.evaluate.outcome import slices
from stagerunner.evaluate.outcome.pending_batch import PendingBatch
from stagerunner.records import BARRIER, FLUSH, SKIP, Batch
from stagerunner.wire.frame import Frame
from stagerunner.wire.metrics import WAITING, MetricsPage
from stagerunner.wire.payload import NoSegment
from stagerunner.wire.spec import WorkerSpec

GLANCE = 0.005
"""Seconds between two looks whether more will come, while records wait for others."""

NO_SEGMENT = NoSegment()


class OpenFrame:
    """A frame that has begun and wasn't sent on.

    pieces: those not encoded, with whether more follow. parts: what is encoded, of `size` bytes.
    whole: all of it is encoded.
    """

    __slots__ = ("context", "parts", "pieces", "sequence", "size", "whole")

    def __init__(self, sequence: int, context: FrameContext | None) -> None:
        self.sequence = sequence
        self.context = context
        self.pieces: deque[tuple[PendingBatch, bool]] = deque()
        self.parts: list[Parts] = []
        self.size = 0
        self.whole = False


class WorkAhead:
    """The open frames of a stage runner that has one stage. Made after the stage runner's setup.

    queued: bytes sent that the pipes have not taken yet.
    """

    def __init__(
        self, runner: StageRunner, page: MetricsPage, spec: WorkerSpec, queued: Callable[[], int] = lambda: 0
    ) -> None:
        (evaluator,) = runner.evaluators
        assert isinstance(evaluator, AsyncEvaluator | GatheringEvaluator)
        self._runner = runner
        self._evaluator = evaluator
        self._page = page
        self._spec, self._share = spec, spec.share
        self._slot = runner.slots[0]
        self._frames: deque[OpenFrame] = deque()
        self._frame_of: dict[PendingBatch, OpenFrame] = {}
        self._queued = queued
        self._kept = self._in_queues = 0
        """Bytes encoded that wait for their turn; and those that the pipes had not taken when that was last asked."""
        self._looked = 0
        if isinstance(evaluator, AsyncEvaluator):
            evaluator.may_start, evaluator.hurries = self._may_start, self._slice_over

    @property
    def under_way(self) -> bool:
        return bool(self._frames)

    def took_in(self, following: int) -> None:
        """All frames before this sequence are taken in; the parent hears of it."""
        self._page.took_in(self._spec.slots[0], following)

    def room(self) -> bool:
        """Whether the stage can take another record."""
        self._in_queues = self._queued()
        return self._evaluator.room() > 0 and not self._has_its_share

    @property
    def _has_its_share(self) -> bool:
        """Whether as many bytes of results wait as may."""
        return self._kept + self._in_queues >= self._share

    def _may_start(self, pending: PendingBatch) -> bool:
        """Whether a call may begin: none once the run is halted, and with as many results waiting as may be, only the
        head's can help."""
        if self._page.halted:
            self._evaluator.gathering.halt()
            return False
        return not self._has_its_share or self._frame_of.get(pending) is self._frames[0]

    def begin(self, frame: Frame) -> None:
        """Begin a DATA frame or piece; its results come out of `landed`."""
        header = frame.header
        batch = self._runner.pieces.opened(frame)
        rows_as_dicts(batch)
        context = self._runner.pieces.context
        if header.piece == 0:
            self._open(OpenFrame(header.sequence, context))
        batch.frame = header.sequence, header.split
        self._slot.begin(header.sequence, header.split, batch)
        self._evaluator.watched = self._evaluator.singly = False
        self._runner.codec.segment = NO_SEGMENT  # a call of several frames allocates in none of their blocks
        pending = self._evaluator.begin(batch, context.quarantined)
        self._frames[-1].pieces.append((pending, header.more))
        self._frame_of[pending] = self._frames[-1]
        if header.stop:
            self.hasten()  # nothing with records follows it

    def passes(self, kind: int) -> bool:
        """Whether such a frame only has to keep its turn. A stage with state has to end its calls first."""
        return kind in (SKIP, BARRIER, FLUSH) and not self._evaluator.work.form.state

    def pass_on(self, frame: Frame) -> None:
        """Send a frame that the stage doesn't work on, in its turn."""
        passing = OpenFrame(frame.header.sequence, None)
        passing.parts = [(header, metadata, bytes(body)) for header, metadata, body in self._runner.feed(frame)]
        passing.whole = True
        self._open(passing)

    def _open(self, frame: OpenFrame) -> None:
        self._frames.append(frame)
        self._tell_open()

    def _tell_open(self) -> None:
        oldest = self._frames[0].sequence if self._frames else -1
        self._page.open_frames(self._spec.slots[0], len(self._frames), oldest)

    def hasten(self) -> None:
        """Call with the records that are here: no others will share their call."""
        self._evaluator.gathering.hasten()

    def landed(self, inbound: int | None, following: int, outbound: Sequence[int] = ()) -> Iterator[Parts]:
        """What can be sent. Waits until a frame is done, or the descriptor `inbound` can be read, or one of `outbound`
        written to, or a moment while records wait for others. following: the sequence that comes next."""
        if self._page.halted:
            self._evaluator.gathering.halt()
        if self._frames and self._frames[0].context is None:
            yield from self._due()  # nothing has to be done for it, and the parent may send no more before it is back
            return
        self._in_queues = self._queued()
        timeout = self._patience(following)
        self._say_what_runs()
        evaluator, slot = self._evaluator, self._slot
        evaluator.worked = evaluator.waited = 0  # a frame that was worked on alone has its time already
        done = evaluator.poll(timeout, inbound, outbound)
        slot.work += evaluator.worked
        slot.wait += evaluator.waited
        for pending in done:
            if pending in self._frame_of:  # else it was encoded with the piece before it
                self._encode(self._frame_of[pending])
        if self._slice_over():
            self._encode_part()
        yield from self._due()

    def _patience(self, following: int) -> float | None:
        """Seconds to wait for input; records that wait for others are hastened if none can come."""
        if not self._evaluator.gathering.short:
            return None
        if self._page.all_sent_before(following):
            self.hasten()
            return None
        return GLANCE

    def _say_what_runs(self) -> None:
        """The slot names the oldest frame while calls run."""
        oldest = next((pieces[0][0].batch for frame in self._frames if (pieces := frame.pieces)), None)
        if self._evaluator.calling and oldest is not None and oldest.frame is not None:
            self._slot.begin(*oldest.frame, oldest)
        else:
            self._slot.state(WAITING)

    def _slice_over(self) -> bool:
        """Whether it is time to send what is done of the head, though not all of it is."""
        return now() - self._looked >= slices.SLICE

    def _encode_part(self) -> None:
        """Encode what the first calls of the head have given so far."""
        self._looked = now()
        frame = self._frames[0] if self._frames else None
        if frame is None or not frame.pieces or frame.context is None or frame.context.cut is not None:
            return
        piece = frame.pieces[0][0].part()
        if piece is not None:
            frame.context.harvest(0, self._evaluator.work.index, piece)
            self._slot.add(0, 0, len(piece.records))
            self._emit(frame, [piece], more=True)
            self._runner.codec.segment = NO_SEGMENT

    def _emit(self, frame: OpenFrame, pieces: list[Batch], *, more: bool) -> None:
        """Encode these pieces of an open frame; they wait for its turn. more: further ones of the frame follow."""
        assert frame.context is not None
        before = frame.size
        for header, metadata, body in self._runner.pieces.emit(frame.context, pieces, more):
            frame.parts.append((header, metadata, body if type(body) is bytes else bytes(body)))
            frame.size += len(metadata) + len(body)
        self._kept += frame.size - before

    def _encode(self, frame: OpenFrame) -> None:
        """Encode what is done of a frame, up to a piece that isn't."""
        assert frame.context is not None
        while frame.pieces and frame.pieces[0][0].done:
            pending, more = frame.pieces.popleft()
            del self._frame_of[pending]
            frame.context.work += pending.work
            wanted = self._wanted(frame.context, pending, more)
            self._slot.add(0, len(pending.batch.records), sum(len(piece.records) for piece in wanted))
            self._emit(frame, wanted, more=more)
            frame.whole = not more
        self._runner.codec.segment = NO_SEGMENT

    def _wanted(self, context: FrameContext, pending: PendingBatch, more: bool) -> list[Batch]:
        """What the batch became; nothing if its frame was cut before it, or ends with an earlier one."""
        if context.cut is None and pending.abandoned:
            context.cut = 0
        if context.cut is not None:
            return []
        piece = pending.result()
        context.harvest(0, self._evaluator.work.index, piece)
        piece.final = not more
        return [piece]

    def _due(self) -> Iterator[Parts]:
        """What is encoded of the frames whose turn it is."""
        while self._frames:
            frame = self._frames[0]
            parts, frame.parts = frame.parts, []
            self._kept -= frame.size
            frame.size = 0
            yield from parts
            if not frame.whole:
                return
            self._frames.popleft()
            self._tell_open()
