"""A DATA frame is back: is it its turn, what becomes of it, who is told.

Results are handed over first; what is to be booked about a frame waits until nobody waits for them any more.
"""

from __future__ import annotations

from stagerunner.delivery.delivery import Delivery
from stagerunner.failpoints import point
from stagerunner.records import SOURCE, Failure
from stagerunner.runtime.blocks import Places
from stagerunner.runtime.dispatch import Feeding
from stagerunner.window.core import Window
from stagerunner.window.isolation import Suspects
from stagerunner.window.splits import Kept, Taken, Verdict
from stagerunner.wire.frame import MORE, STOP, Header
from stagerunner.wire.metadata import Notes, unpack_spread


class Receiving:
    """What comes back, frame by frame. again: a frame that is only worked on again counts for the source as well."""

    def __init__(
        self,
        window: Window,
        delivery: Delivery,
        places: Places,
        feeding: Feeding,
        suspects: Suspects,
        *,
        again: bool,
    ) -> None:
        self._window = window
        self._delivery = delivery
        self._places = places
        self._feeding = feeding
        self._suspects = suspects
        self._again = again
        self._unbooked: tuple[Header, Notes, Taken] | None = None

    def fits(self, header: Header, notes: Notes, body: memoryview) -> bool:
        """Whether the frame was encoded for the columns that the output has."""
        if not header.records:
            return True
        content = body if notes.laden is None else self._places.opened(notes, body)[0]
        return self._delivery.taker.fits(content)

    def receive(self, header: Header, notes: Notes, body: memoryview) -> None:
        """Take a frame or piece. Raises ProtocolFault when it can't be its turn."""
        if self._unbooked is not None:
            self.book()
        if header.flags & STOP and not self._window.stopped:
            self._feeding.stopped_by(notes.stop)
        taken = self._window.took(
            header.sequence,
            header.split,
            header.first,
            header.last,
            more=bool(header.flags & MORE),
            stop=bool(header.flags & STOP),
            stop_stage=notes.stop,
            fails=bool(notes.failures) and any(failure.policy == "fail" for failure in notes.failures),
        )
        if taken.verdict is Verdict.ACCEPT:
            self._accept(header, notes, body, taken.sent.split)
        elif taken.fatal:
            self._failed([failure for failure in notes.failures if failure.policy == "fail"], taken.sent.split)
        self._unbooked = header, notes, taken

    def book(self) -> None:
        """All that is left to be done about the frame that was taken last."""
        if self._unbooked is None:
            return
        (header, notes, taken), self._unbooked = self._unbooked, None
        kept = taken.sent.split
        assert kept is not None
        if taken.final:
            self._places.back(header.sequence, notes)
            if self._window.stateful:
                kept.payload = self._places.landed(kept.payload)  # only kept for a resend from here on
            self._count(notes, kept, booked=taken.verdict is not Verdict.DROP)
            if taken.verdict is not Verdict.DROP:
                self._delivery.pieces.booked(kept.number, taken.sent.reached)
        elif taken.verdict is Verdict.ACCEPT:
            spreads = map(unpack_spread, notes.spread)
            self._delivery.pieces.took(kept.number, kept.flush, header.first, header.last, notes.failures, spreads)
        further = taken.verdict is Verdict.ACCEPT and (taken.finished or header.last > header.first)
        if further and self._suspects.accepted(kept.number, finished=taken.finished):
            self._feeding.sizing.cap(max(1, (header.last - header.first) // 2))
        if taken.finished:
            self._feeding.finished(kept)

    def _accept(self, header: Header, notes: Notes, body: memoryview, kept: Kept | None) -> None:
        point("accept")
        content, buffers = (body, ()) if notes.laden is None else self._places.opened(notes, body)
        self._delivery.taker.take(content, header.records, buffers)
        point("deliver")
        if notes.failures:
            self._failed(notes.failures, kept)

    def _failed(self, failures: list[Failure], kept: Kept | None) -> None:
        self._delivery.failures(failures, kept, self._feeding.locate)

    def _count(self, notes: Notes, kept: Kept, *, booked: bool) -> None:
        """A frame's books, on its last piece. booked: they are new, and not of a part that is only worked on again."""
        lines = notes.booked
        if booked:
            self._delivery.counts(lines, notes.extras)
        if booked or self._again:
            taken = sum([line[1] for line in lines if line[0] == SOURCE])
            most = max([line[3] for line in lines], default=0)
            self._feeding.counted(taken, most, notes, kept)
