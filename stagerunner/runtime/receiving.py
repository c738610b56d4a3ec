"""A DATA frame or a piece of one came back: check its turn, deliver its results, and count it.

Results are delivered at once. The accounting waits for the next step of the loop, because the caller may wait for the
results. Each piece is counted by itself. The workers count a whole frame; what pieces count is worked out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stagerunner import failpoints
from stagerunner.delivery.delivery import Delivery
from stagerunner.records import SOURCE, Counts, Failure, Spread, divided
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.restart import Restart
from stagerunner.window.core import Window
from stagerunner.window.splits import Disposition, Kept, Received
from stagerunner.wire.frame import CUT, MORE, STOP, Header, Metadata, as_line, unpack_spread


class Receiving:
    """What comes back, frame by frame. restart: is told what was accepted after a death."""

    def __init__(
        self, window: Window, delivery: Delivery, blocks: Blocks, dispatch: Dispatch, restart: Restart
    ) -> None:
        self._window = window
        self._delivery = delivery
        self._blocks = blocks
        self._dispatch = dispatch
        self._restart = restart
        self._unbooked: tuple[Header, Metadata, Received] | None = None
        self._spreads: list[tuple[int, Spread]] = []
        """Of the current frame: what has not been said about its last record yet."""
        self._taken = self._most = 0
        """Of the current frame: its source records, and the records that the stage with most results gave."""

    def misfit(self, header: Header, metadata: Metadata, body: memoryview) -> int | None:
        """The number of a sink for whose output the frame was encoded with other columns; None if it fits all."""
        if not header.records:
            return None
        content = body if metadata.buffer_refs is None else self._blocks.opened(metadata, body)[0]
        return self._delivery.writer.misfit(content)

    def receive(self, header: Header, metadata: Metadata, body: memoryview) -> None:
        """Accept or drop a frame or piece. Raises ProtocolFault when it is not its turn."""
        if self._unbooked is not None:
            self.book()
        if header.flags & STOP and not self._window.stopped:
            self._dispatch.stopped_by(metadata.stop)
        taken = self._window.receive(
            header.sequence,
            header.split,
            header.first,
            header.last,
            more=bool(header.flags & MORE),
            stop=bool(header.flags & STOP),
            stop_stage=metadata.stop,
            cut=bool(header.flags & CUT),
            fails=bool(metadata.failures) and any(failure.policy == "fail" for failure in metadata.failures),
        )
        if taken.disposition is Disposition.ACCEPT:
            self._accept(header, metadata, body, taken.sent.split)
        elif taken.fatal:
            self._failed([failure for failure in metadata.failures if failure.policy == "fail"], taken.sent.split)
        self._unbooked = header, metadata, taken

    def book(self) -> None:
        """Count the frame that was received last, free its block, and let the window forget its split."""
        if self._unbooked is None:
            return
        (header, metadata, taken), self._unbooked = self._unbooked, None
        kept = taken.sent.split
        assert kept is not None
        if taken.final and (self._blocks.used or metadata.heavy):
            self._blocks.back(header.sequence, metadata)
            if self._window.stateful:
                kept.payload = self._blocks.landed(kept.payload)  # kept for a resend only: no block
        if taken.disposition is Disposition.ACCEPT or self._restart.rereads:
            self._count(header, metadata, kept, taken)
        if self._restart.isolation.restarts and taken.disposition is Disposition.ACCEPT:
            self._cleared(header, kept, taken)
        if taken.finished:
            self._dispatch.finished(kept)

    def _cleared(self, header: Header, kept: Kept, taken: Received) -> None:
        """After a death: something of this split was accepted, so it is less suspect, or not at all."""
        further = taken.finished or header.last > header.first
        if further and (excess := self._restart.isolation.accepted(kept.number, finished=taken.finished)) is not None:
            self._restart.ease(excess)

    def _accept(self, header: Header, metadata: Metadata, body: memoryview, kept: Kept | None) -> None:
        if failpoints.asked:
            failpoints.point("accept")
        content, buffers = (body, ()) if metadata.buffer_refs is None else self._blocks.opened(metadata, body)
        if self._delivery.writer.ahead and kept is not None:
            self._delivery.writer.coming(max(0, header.last - header.first) if kept.flush < 0 else None)
        self._delivery.writer.write(content, header.records, buffers)
        if failpoints.asked:
            failpoints.point("deliver")
        if self._delivery.writer.refused:
            _refuse(metadata, self._delivery.writer.refused)
        if metadata.failures:
            self._failed(metadata.failures, kept)

    def _failed(self, failures: list[Failure], kept: Kept | None) -> None:
        self._delivery.failures(failures, kept, self._dispatch.locate)

    def _count(self, header: Header, metadata: Metadata, kept: Kept, received: Received) -> None:
        """Count a frame or piece. If it was accepted before, the source is read again, and only the limit counts it."""
        if header.piece or header.flags & (MORE | STOP | CUT) or received.fatal:
            lines, extras = self._divided(header, metadata, kept.flush)
        else:
            lines, extras = metadata.booked, metadata.extras
        if received.disposition is Disposition.ACCEPT:
            self._delivery.counts(lines, extras)
            if received.fatal:
                self._delivery.count_fatal(kept.flush)
        taken = most = 0
        for stage, took, _, out, *_ in lines:
            taken, most = taken + took if stage == SOURCE else taken, max(most, out)
        self._dispatch.took(taken)
        if header.piece:
            taken, most = taken + self._taken, most + self._most
        if received.final:
            self._dispatch.learn(taken, most, metadata, kept)
        self._taken, self._most = taken, most

    def _divided(
        self, header: Header, metadata: Metadata, flush: int
    ) -> tuple[list[tuple[int, ...]], list[tuple[int, dict[str, int]]]]:
        """The lines and counters of a piece; see `records.divided`."""
        last = header.last
        before = self._spreads if header.piece else []
        spreads = [*before, *map(unpack_spread, metadata.spread)]
        begun = SOURCE if flush < 0 else flush
        book = self._delivery.ledger
        ledger = divided(begun, book.last, header.first, last, metadata.failures, spreads, book.branches)
        self._spreads = [told for told in spreads if told[1].reaches(last)]
        return [as_line(counts) for counts in ledger], [
            (counts.stage, counts.extra) for counts in ledger if counts.extra
        ]


def _refuse(metadata: Metadata, refused: Sequence[Failure]) -> None:
    """Take records that a sink refused for failures of the frame. Its worker has counted them as written."""
    metadata.failures = [*metadata.failures, *refused]
    for (stage, policy), number in Counter((failure.stage, failure.policy) for failure in refused).items():
        counts = Counts(stage, out=-number)
        counts.fail(policy, number)
        metadata.book([counts])
