"""An async stage with several frames under way: they are begun in sequence, end in any order, and leave in sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic_ns as now

from stagerunner.engines.process.worker.encode import Parts
from stagerunner.engines.process.worker.frame_context import Passage
from stagerunner.engines.process.worker.stage_runner import Station
from stagerunner.evaluate.evaluator import AwaitingEvaluator
from stagerunner.records import Batch, Counts
from stagerunner.wire.frame import Frame
from stagerunner.wire.spec import Hire


def overlaps(hire: Hire) -> bool:
    """Whether frames may be begun while earlier ones are under way: one async stage, and nobody under suspicion."""
    forms = [work.form for work in hire.works]
    return len(forms) == 1 and forms[0].awaited and not forms[0].state and not hire.watch


class Overlap:
    """The frames under way in a station whose only stage is async. Made when the station is set up."""

    def __init__(self, station: Station) -> None:
        (evaluator,) = station.evaluators
        assert isinstance(evaluator, AwaitingEvaluator)
        self._station = station
        self._evaluator = evaluator
        self._begun: deque[tuple[Passage, bool, int, int]] = deque()
        self._landed = 0

    @property
    def under_way(self) -> bool:
        return bool(self._begun)

    def room(self) -> bool:
        """Whether the stage has free places."""
        return self._evaluator.room() > 0

    def begin(self, frame: Frame) -> None:
        """Take a DATA frame (or piece) in; its results come out of `landed`."""
        header = frame.header
        batch = self._station.opened(frame)
        passage = self._station.passage
        batch.frame = header.sequence, header.split
        self._station.slots[0].begin(header.sequence, header.split, batch)
        self._begun.append((passage, header.more, len(batch.records), now()))
        self._evaluator.watched = False
        self._evaluator.begin(batch, passage.convicted)

    def landed(self, inbound: int | None) -> Iterator[Parts]:
        """The frames to send for what has ended; waits for that, or until the descriptor `inbound` can be read."""
        for piece in self._evaluator.poll(None, inbound):
            passage, more, taken, began = self._begun.popleft()
            # Frames share the places: what one costs is the time since the one before it landed.
            spent = now() - max(began, self._landed)
            self._landed = now()
            passage.work += spent
            self._station.slots[0].add(spent, taken, len(piece.records))
            yield from self._station.emit(passage, self._wanted(passage, piece), more)

    def _wanted(self, passage: Passage, piece: Batch) -> list[Batch]:
        """The piece; or nothing, and a line in the books, if its frame was cut before it."""
        stage = self._evaluator.work.index
        if passage.cut is None:
            passage.harvest(0, stage, piece)
            return [piece]
        gone = len(piece.records)
        passage.tally += [*piece.counts, Counts(stage, out=-gone, not_processed=gone)]
        passage.behind(piece)
        return []
