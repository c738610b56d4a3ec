"""A DATA frame came back: check its turn, deliver its results, and count it.

Results are delivered at once. The accounting of a frame waits for the next step of the loop, because the caller may
wait for the results.
"""

from __future__ import annotations

from stagerunner.delivery.delivery import Delivery
from stagerunner.failpoints import point
from stagerunner.records import SOURCE, Failure
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.window.core import Window
from stagerunner.window.isolation import PoisonIsolation
from stagerunner.window.splits import Disposition, Kept, Received
from stagerunner.wire.frame import MORE, STOP, Header
from stagerunner.wire.metadata import Metadata, unpack_spread


class Receiving:
    """What comes back, frame by frame.

    again: the source is read again after a death, so frames that were accepted before count for its limit once more.
    """

    def __init__(
        self,
        window: Window,
        delivery: Delivery,
        blocks: Blocks,
        dispatch: Dispatch,
        isolation: PoisonIsolation,
        *,
        again: bool,
    ) -> None:
        self._window = window
        self._delivery = delivery
        self._blocks = blocks
        self._dispatch = dispatch
        self._isolation = isolation
        self._again = again
        self._unbooked: tuple[Header, Metadata, Received] | None = None

    def fits(self, header: Header, metadata: Metadata, body: memoryview) -> bool:
        """Whether the frame was encoded for the columns that the output has."""
        if not header.records:
            return True
        content = body if metadata.buffer_refs is None else self._blocks.opened(metadata, body)[0]
        return self._delivery.writer.fits(content)

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
        if taken.final:
            self._blocks.back(header.sequence, metadata)
            if self._window.stateful:
                kept.payload = self._blocks.landed(kept.payload)  # kept for a resend only: no block
            self._count(metadata, kept, booked=taken.disposition is not Disposition.DROP)
            if taken.disposition is not Disposition.DROP:
                self._delivery.pieces.booked(kept.number, taken.sent.reached)
        elif taken.disposition is Disposition.ACCEPT:
            spreads = map(unpack_spread, metadata.spread)
            self._delivery.pieces.took(kept.number, kept.flush, header.first, header.last, metadata.failures, spreads)
        further = taken.disposition is Disposition.ACCEPT and (taken.finished or header.last > header.first)
        if further and self._isolation.accepted(kept.number, finished=taken.finished):
            self._dispatch.sizing.cap(max(1, (header.last - header.first) // 2))
        if taken.finished:
            self._dispatch.finished(kept)

    def _accept(self, header: Header, metadata: Metadata, body: memoryview, kept: Kept | None) -> None:
        point("accept")
        content, buffers = (body, ()) if metadata.buffer_refs is None else self._blocks.opened(metadata, body)
        self._delivery.writer.write(content, header.records, buffers)
        point("deliver")
        if metadata.failures:
            self._failed(metadata.failures, kept)

    def _failed(self, failures: list[Failure], kept: Kept | None) -> None:
        self._delivery.failures(failures, kept, self._dispatch.locate)

    def _count(self, metadata: Metadata, kept: Kept, *, booked: bool) -> None:
        """Count a frame by its last piece. booked: its counts are new; else they were accepted before."""
        lines = metadata.booked
        if booked:
            self._delivery.counts(lines, metadata.extras)
        if booked or self._again:
            taken = sum([line[1] for line in lines if line[0] == SOURCE])
            most = max([line[3] for line in lines], default=0)
            self._dispatch.counted(taken, most, metadata, kept)
