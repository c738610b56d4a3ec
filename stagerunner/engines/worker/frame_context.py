"""One frame on its way through a worker: its counts, where it was cut, and the slices its batch is worked on in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from stagerunner.evaluate.work import Work
from stagerunner.records import WHOLE, Batch, Counts, Failure, QuarantineKey
from stagerunner.wire.frame import CUT, Header, Metadata, pack_spread


class FrameContext:
    """One frame on its way through a worker, over all its pieces."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.tally: list[Counts] = []
        """Counts of this worker's stages; of a frame that was cut nobody uses them."""
        self.lines = b""
        self.extras: list[tuple[int, dict[str, int]]] = []
        self.spread: list[bytes] = []
        """How these counts divide by source record, as far as no piece has said it yet."""
        self.quarantined: dict[tuple[int, int, int], tuple[str, str]] = {}
        self.cut: int | None = None
        """The position in the group up to which no stage works on the rest of this frame."""
        self._cuts: set[tuple[int, int, int]] = set()
        """The failures that have cut it: (stage, source record, ordinal)."""
        self.stop = -1
        self.stop_here = False
        self.halted = bool(header.flags & CUT)
        """The run is halted, and the frame ends early."""
        self.pieces = 0
        self.reached = header.first
        self.work = self.codec = self.slowest = self.widest = self.heavy = 0
        self.block, self.room, self.used = -1, 0, 0
        """In the arena: see wire.payload.SegmentWriter."""
        self.held: dict[tuple[int, int], tuple[int, ...]] = {}

    @property
    def whole(self) -> bool:
        """Whether no piece of it has left, and nothing was cut."""
        return not (self.pieces or self.halted) and self.cut is None and self.stop < 0

    def take(self, metadata: Metadata) -> None:
        """Take over the metadata of an inbound piece."""
        self.lines += metadata.lines
        self.extras += metadata.extras
        self.spread += metadata.spread
        self.quarantined = metadata.quarantined
        self.stop = max(self.stop, metadata.stop)
        self.slowest, self.widest = max(self.slowest, metadata.slowest), max(self.widest, metadata.widest)
        self.block, self.room, self.heavy = metadata.block, metadata.room, max(self.heavy, metadata.heavy)
        self.held |= metadata.held

    def harvest(self, position: int, index: int, piece: Batch) -> None:
        """Take a piece's counts, and whether it was cut here."""
        self.count(piece)
        if piece.stop and self.stop < 0:
            self.stop, self.stop_here, self.cut = index, True, position
        elif piece.failures and self._fatal(piece.failures):
            # The next piece has passed earlier stages already, and one of them may have cut the frame there.
            self.cut = position if self.cut is None else max(position, self.cut)
        if piece.halted:
            self.halted, self.cut = True, position

    def count(self, piece: Batch) -> None:
        """Take a piece's counts."""
        for counts in piece.counts:
            self.tally.append(counts)
            if counts.spread is not None:
                self.spread.append(pack_spread(counts.stage, counts.spread))
                counts.spread = None
        piece.counts = []

    def _fatal(self, failures: list[Failure]) -> bool:
        """Whether any of these ends the run, and has not done so at an earlier place."""
        fatal = {(failure.stage, failure.origin, failure.ordinal) for failure in failures if failure.policy == "fail"}
        new = not fatal <= self._cuts
        self._cuts |= fatal
        return new


def cut(batch: Batch, size: Callable[[], int]) -> Iterator[Batch]:
    """The batch in slices of about `size()` records, asked before each; a slice ends where a source record's results
    end."""
    start, count = 0, len(batch.records)
    first = batch.first
    while start < count:
        stop = min(start + size(), count)
        while stop < count and batch.origin(stop) == batch.origin(stop - 1):
            stop += 1
        last = batch.last if stop == count else batch.origin(stop - 1) + 1
        failures = [f for f in batch.failures if first <= f.origin < last or (stop == count and f.origin >= last)]
        origins = batch.origins and batch.origins[start:stop]
        part = Batch(batch.records[start:stop], first, last, origins, failures)
        part.original = batch.original and batch.original.behind(start, stop)
        part.before = batch.before
        part.final = batch.final and stop == count
        yield part
        start, first = stop, last


def halved(batch: Batch) -> list[Batch]:
    """The batch in about two slices. It has results of at least two source records."""
    halves = list(cut(batch, lambda: len(batch.records) // 2))
    return halves if len(halves) > 1 else list(cut(batch, lambda: 1))


def quarantine_of(
    quarantined: Mapping[QuarantineKey, tuple[str, str]], work: Work, first: int
) -> tuple[str, str] | None:
    """Why this frame, which then stands for one source record, may not reach the stage; None if it may."""
    return quarantined.get((work.index, first, WHOLE)) if quarantined else None


def refuse_whole(batch: Batch, work: Work, kind: str, message: str) -> Counts:
    """Turn each record of the batch, all of one source record, into a failure. Returns the counts."""
    count = len(batch.records)
    text = "a record that kills outside any call"
    batch.failures = [
        *batch.failures,
        *(Failure(work.index, batch.first, n, kind, message, work.on_error, text=text) for n in range(count)),
    ]
    batch.records, batch.origins = [], []
    if work.on_error == "fail" and count:
        batch.last = batch.first
    counts = Counts(work.index, taken=count)
    counts.fail(work.on_error, count)
    return counts
