"""Several frames in flight in an async stage: they start in sequence, finish in any order, and leave in sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic_ns as now

from stagerunner.engines.process.worker.encode import Parts
from stagerunner.engines.process.worker.frame_context import FrameContext
from stagerunner.engines.process.worker.stage_runner import StageRunner
from stagerunner.evaluate.async_evaluator import AsyncEvaluator
from stagerunner.records import Batch
from stagerunner.wire.frame import Frame
from stagerunner.wire.spec import WorkerSpec


def overlaps(spec: WorkerSpec) -> bool:
    """Whether a frame may start while earlier ones are in flight: one async stage without state."""
    forms = [work.form for work in spec.works]
    return len(forms) == 1 and forms[0].awaited and not forms[0].state


class Overlap:
    """The frames in flight in a stage runner whose only stage is async. Made after the stage runner's setup."""

    def __init__(self, runner: StageRunner) -> None:
        (evaluator,) = runner.evaluators
        assert isinstance(evaluator, AsyncEvaluator)
        self._runner = runner
        self._evaluator = evaluator
        self._begun: deque[tuple[FrameContext, bool, int, int]] = deque()
        self._landed = 0

    @property
    def under_way(self) -> bool:
        return bool(self._begun)

    def room(self) -> bool:
        """Whether the stage can take another record."""
        return self._evaluator.room() > 0

    def begin(self, frame: Frame) -> None:
        """Start a DATA frame or piece; its results come out of `landed`."""
        header = frame.header
        batch = self._runner.pieces.opened(frame)
        context = self._runner.pieces.context
        batch.frame = header.sequence, header.split
        self._runner.slots[0].begin(header.sequence, header.split, batch)
        self._begun.append((context, header.more, len(batch.records), now()))
        self._evaluator.watched = self._evaluator.singly = False
        self._evaluator.begin(batch, context.quarantined)

    def landed(self, inbound: int | None) -> Iterator[Parts]:
        """The frames to send for what is done. Waits for that, or until the descriptor `inbound` can be read."""
        for piece in self._evaluator.poll(None, inbound):
            context, more, taken, began = self._begun.popleft()
            # Frames run side by side: the cost of one is the time since the one before it was done.
            spent = now() - max(began, self._landed)
            self._landed = now()
            context.work += spent
            self._runner.slots[0].add(spent, taken, len(piece.records))
            yield from self._runner.pieces.emit(context, self._wanted(context, piece, more), more)

    def _wanted(self, context: FrameContext, piece: Batch, more: bool) -> list[Batch]:
        """The piece; or, if its frame was cut before it, nothing."""
        stage = self._evaluator.work.index
        if context.cut is None:
            context.harvest(0, stage, piece)
            piece.final = not more
            return [piece]
        return []
