"""The window: the splits that were sent and are not done, and the frames on their way.

    admit ──▶ Kept (a split, until it is done) ──▶ Sent (a frame: a range of it) ──▶ received ──▶ forgotten
                 ▲                                                              │
                 └──────────── restart: kept splits are sent again ◀────────────┘

Frames come back in the order of their sequence, whole or in pieces. *Accepted* is (split, source record), results and
counts alike, and a resend starts exactly there.

In a chain with state nothing is forgotten before the next barrier has come back. A restart then sends everything since
the last barrier, and drops the results that were accepted before.

A source that gives marks can be read again from a mark only. So a journal row may be written while everything before
some mark is accepted and nothing behind it: `at_mark`.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stagerunner.records import BARRIER, DATA, FIRST, FLUSH, SKIP, TO_THE_END, WHOLE, QuarantineKey
from stagerunner.window.balancing import Balancing
from stagerunner.window.isolation import Inspection, Suspect
from stagerunner.window.splits import FLUSHES, Disposition, Kept, ProtocolFault, Received, Sent

CHARGE = 1024
"""Bytes charged for each frame besides its payload: tiny frames take memory too."""


class Window:
    """All decisions about what is in flight.

    limit: bytes. stateful: some stage has state. least_frames, least_records: what may be on its way whatever the
    bytes. workers: of the widest group. charge: bytes for each open frame besides its own.
    """

    def __init__(
        self,
        limit: int,
        *,
        stateful: bool = False,
        least_frames: int = 16,
        least_records: int = 128,
        workers: int = 1,
    ) -> None:
        self.limit = limit
        self.stateful = stateful
        self.least_frames = least_frames
        self.least_records = least_records
        self.workers = workers
        self.charge = CHARGE
        self.epoch = FIRST
        self.position: Any = None
        """Where the source goes on behind every split that is wholly accepted."""
        self.skipping = 0
        """Source records from `position` on that an earlier run accepted, until it is known where they end."""
        self.kept: deque[Kept] = deque()
        self.on_way: deque[Sent] = deque()
        self.at_mark = True
        """Whether a journal row may say what is accepted: for a source without marks, always."""
        self.stopped = False
        """A stage needs no more: no split of the source is admitted."""
        self.balancing = Balancing(workers)
        self._sequence = 0
        self._numbers = self._flushed = 0
        self._bytes = self._unforgotten = self._skips = self._records = 0
        self._redo = (-1, 0)
        """Accepted before the source was read again: splits below a number, and so many records of it."""
        self._inspections: Mapping[int, Inspection] = {}
        self._quarantines: dict[int, dict[QuarantineKey, tuple[str, str]]] = {}

    # What goes out

    @property
    def bytes_kept(self) -> int:
        """Bytes of all splits kept, also of those kept for a resend only."""
        return self._bytes + self._unforgotten

    @property
    def records_on_way(self) -> int:
        """About how many source records are in the frames on their way."""
        return self._records

    @property
    def last_sequence(self) -> int:
        """The sequence of the last frame sent in this epoch; -1 if none was."""
        return self._sequence - 1

    @property
    def accepted(self) -> int:
        """Source records from `position` on that are accepted. With state nothing counts before the barrier."""
        if self.stateful:
            return 0
        return self.kept[0].accepted if self.kept else self.skipping

    def room(
        self, records_per_frame: int = 1, begun: Sequence[int] | None = None, opened: int = 0, records: int = 0
    ) -> bool:
        """Whether another split may be admitted: always when nothing is on its way. begun: see `pass_over`.

        opened: frames that workers have open; only their bytes count, since they may wait for a slow head, or for
        others to share a call. records: how many should be on their way beside those, if it takes more than usual.
        """
        if self.stopped or not self.on_way:
            return not self.stopped
        if records:  # frames that were sent before may hold fewer than the next one will
            records_per_frame = min(records_per_frame, self._records // len(self.on_way))
        frames = max(self.least_frames, -(-max(self.least_records, records) // max(1, records_per_frame)))
        if len(self.on_way) - self._skips - opened < frames:
            return not self.full(opened)
        return begun is not None and self.balancing.idle_soon(begun) and not self.full(len(self.on_way) - frames)

    def full(self, opened: int = 0) -> bool:
        """Whether no split may be admitted before one is done, however few frames are on their way. opened: as for
        `room`."""
        if self.skipping:  # how many records the next split must skip, this one will tell
            return True
        return self.bytes_kept + self.charge * opened >= self.limit

    def wants_barrier(self) -> bool:
        """Whether splits that wait for a barrier fill half the window, and no barrier is on its way."""
        return self.stateful and 2 * self._unforgotten >= self.limit and not self.barrier_on_way

    def barrier_due(self) -> bool:
        """Whether splits are kept, and no barrier is on its way."""
        return bool(self.kept) and not self.barrier_on_way

    @property
    def barrier_on_way(self) -> bool:
        return any(sent.kind == BARRIER for sent in self.on_way)

    def pass_over(self, begun: Sequence[int], most: int) -> list[Sent]:
        """The skip frames to send before the next split. begun: the latest sequence that each worker has begun."""
        skips = self.balancing.skips(self._sequence, begun, most)
        self._skips += skips
        return [self._send(SKIP, None) for _ in range(skips)]

    def admit(
        self,
        payload: Any,
        size: int,
        position: Any = None,
        last: int = TO_THE_END,
        records: int = 1,
        *,
        marked: bool = False,
        edge: int | None = None,
    ) -> list[Sent]:
        """Admit a split of the source; the frames to send. last: the most source records in it. records: about how many
        it has. marked, edge: see Kept."""
        number, self._numbers = self._numbers, self._numbers + 1
        least = len(payload) if isinstance(payload, bytes) else 0
        skipped = self.skipping
        size = max(size, least)
        kept = Kept(
            number,
            payload,
            size,
            position,
            end=last,
            accepted=skipped,
            before=skipped,
            records=records,
            marked=marked,
            edge=edge,
        )
        return self._keep(kept)

    def mark(self, position: Any) -> None:
        """A mark has come behind every split that was admitted."""
        if not self.kept:
            self.position, self.at_mark = position, True
            return
        last = self.kept[-1]
        last.position = position
        self.at_mark = self.at_mark or last.done

    @property
    def ends_at_mark(self) -> bool:
        """Whether a mark stands behind every split that was admitted: for a source without marks, always."""
        if not self.kept:
            return self.at_mark
        return not self.kept[-1].marked or self.kept[-1].position is not None

    def flush(self, stage: int, payload: bytes) -> list[Sent]:
        """The FLUSH of a stage, kept as a split of its own; the frames to send."""
        self._flushed = FLUSHES + stage + 1
        last = self.kept[-1] if self.kept else None
        position, marked = (self.position, False) if last is None else (last.position, last.marked)
        return self._keep(Kept(FLUSHES + stage, payload, len(payload), position, flush=stage, marked=marked))

    def barrier(self) -> Sent:
        """The frame that collects snapshots on its way."""
        return self._send(BARRIER, None)

    def _keep(self, kept: Kept) -> list[Sent]:
        """Keep a new split; the frames to send: one, unless it has to be cut."""
        self.kept.append(kept)
        self._bytes += kept.size
        if self._quarantines:
            kept.quarantined = self._quarantines.get(kept.number, {})
        done, accepted = self._redo
        if kept.number == done:
            kept.accepted = accepted
        kind = DATA if kept.flush < 0 else FLUSH
        if not self._inspections and not kept.quarantined and kept.edge is None and kept.number > done:
            return [self._send(kind, kept, kept.accepted, kept.end)]  # the usual split: one frame
        before = len(self.on_way)
        self._resend(kept, self._inspections.get(kept.number))
        return list(itertools.islice(self.on_way, before, None))

    def _send(
        self,
        kind: int,
        split: Kept | None,
        first: int = 0,
        last: int = TO_THE_END,
        disposition: Disposition = Disposition.ACCEPT,
        marked: bool = False,
    ) -> Sent:
        sent = Sent(self._sequence, kind, split, first, last, disposition, marked, reached=first)
        if self.workers > 1 and kind == DATA:
            self.balancing.sent(self._sequence)
        self._sequence += 1
        self.on_way.append(sent)
        self._records += 0 if split is None else split.records
        return sent

    # What comes back

    def receive(
        self,
        sequence: int,
        split: int,
        first: int,
        last: int,
        *,
        more: bool,
        stop: bool = False,
        stop_stage: int = -1,
        fails: bool = False,
        cut: bool = False,
    ) -> Received:
        """Decide about a DATA frame or piece that came back. Raises ProtocolFault if it is not its turn.

        first, last: its source records; last < first says that the split ends at `last`, before them. more: further
        pieces follow. stop: the stage `stop_stage` needs no more. fails, cut: a failure in it
        ends the run, or the run is halted in it; so its split is never done.
        """
        sent = self._expected(sequence)
        kept = sent.split
        short = last < first == sent.first
        if (
            kept is None
            or kept.number != split
            or first != sent.reached
            or last > sent.last
            or (last < first and not short)
        ):
            raise ProtocolFault(f"frame {sequence}: records {first} to {last} of split {split} were not asked for")
        sent.reached = last
        if short:
            kept.end = min(kept.end, last)
        if kept.before:
            self.skipping = max(0, kept.before - last)
        if kept.beyond:
            return Received(Disposition.DROP, sent, not more, finished=not more and self._frame_done(sent, kept))
        if sent.disposition is Disposition.ACCEPT:
            kept.accepted = last
            if kept.marked and last > first:
                self.at_mark = False
        if stop and not more and not self.stopped:
            self._stop(sent, kept, stop_stage)
        fatal = fails and not (self.stopped and sent.disposition is Disposition.DROP)
        finished = not (more or fatal or cut) and self._frame_done(sent, kept)
        return Received(sent.disposition, sent, not more, finished, fatal)

    def _stop(self, sent: Sent, kept: Kept, stage: int) -> None:
        """Drop everything behind this frame, except the flushes of stages behind `stage`."""
        self.stopped = True
        sent.last = kept.end = sent.reached
        for later in self.on_way:
            if later is not sent and later.split is kept:
                later.disposition = Disposition.DROP
        behind = list(itertools.takewhile(lambda other: other is not kept, reversed(self.kept)))
        for other in behind:
            if other.flush <= stage:
                other.beyond = other.done = True
                self._bytes -= other.size
        self.kept = deque(other for other in self.kept if not other.beyond)
        if kept.flush < 0:
            self._numbers = kept.number + 1

    def _frame_done(self, sent: Sent, kept: Kept) -> bool:
        self.on_way.popleft()
        self._records -= kept.records
        if self.workers > 1:
            self.balancing.back(sent.sequence)
        if kept.done or sent.last < kept.end:
            return False
        kept.end, kept.done = sent.reached, True
        self._bytes -= kept.size
        self._unforgotten += kept.size
        if kept.marked and kept.position is not None:
            self.at_mark = True
        if not self.stateful:
            self._forget()
        return True

    def passed(self, sequence: int) -> None:
        """A skip frame or a barrier came back. The snapshots of a barrier stand for everything sent before it."""
        sent = self._expected(sequence)
        if sent.kind not in (BARRIER, SKIP):
            raise ProtocolFault(f"frame {sequence} is neither a barrier nor a skip frame")
        self.on_way.popleft()
        self._skips -= sent.kind == SKIP
        if sent.kind == BARRIER:
            self._forget()

    def _expected(self, sequence: int) -> Sent:
        if not self.on_way or self.on_way[0].sequence != sequence:
            raise ProtocolFault(f"frame {sequence} came out of turn")
        return self.on_way[0]

    def _forget(self) -> None:
        """Forget the done splits at the head: the journal may now stand behind them."""
        while self.kept and self.kept[0].done:
            kept = self.kept.popleft()
            self._unforgotten -= kept.size
            if kept.position is not None or not kept.marked:
                self.position = kept.position

    # After a death

    def suspects(self, calls: Iterable[tuple[int, int, int]]) -> list[tuple[Sent, Suspect]]:
        """Who was in these calls: source records first ≤ i < last of a frame on its way, as (sequence, first, last)."""
        frames = {sent.sequence: sent for sent in self.on_way}
        return [
            (sent, Suspect(sent.split.number, max(first, sent.first), min(last, sent.last)))
            for sequence, first, last in calls
            if (sent := frames.get(sequence)) is not None and sent.split is not None and not sent.split.beyond
        ]

    def keeps(self, split: int) -> bool:
        """Whether this split would be sent again."""
        return any(kept.number == split for kept in self.kept)

    def quarantine(self, split: int, record: QuarantineKey, failure: tuple[str, str]) -> None:
        """Never try this record again, even if its split is read again after it was forgotten."""
        kept = next((kept for kept in self.kept if kept.number == split), None)
        quarantined = self._quarantines.setdefault(split, {}) if kept is None else kept.quarantined
        quarantined[record] = failure

    def restart(self, inspections: Mapping[int, Inspection] | None = None) -> list[Sent]:
        """Begin the next epoch; the frames to send again, in order. Inspected splits are cut, suspects marked."""
        self._begin_epoch()
        for kept in self.kept:
            self._resend(kept, (inspections or {}).get(kept.number))
        return list(self.on_way)

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self._sequence = self._skips = self._records = 0
        self.balancing.begin()
        self.on_way.clear()

    def _resend(self, kept: Kept, inspection: Inspection | None) -> None:
        """Send a split again from where it was accepted; for state, the accepted part too."""
        edges = {edge for _, record, ordinal in kept.quarantined if ordinal == WHOLE for edge in (record, record + 1)}
        edges |= set() if kept.edge is None else {kept.edge}
        cuts = sorted(edges | (inspection.cuts if inspection is not None else set()))
        if kept.done or kept.number < self._redo[0]:
            self._send_cut(kept, 0, kept.end, cuts, Disposition.DROP, inspection)
            return
        if kept.accepted and (self.stateful or kept.number == self._redo[0]):
            self._send_cut(kept, 0, kept.accepted, cuts, Disposition.DROP, inspection)
        if kept.accepted < kept.end:
            self._send_cut(kept, kept.accepted, kept.end, cuts, Disposition.ACCEPT, inspection)

    def _send_cut(
        self,
        kept: Kept,
        first: int,
        last: int,
        cuts: list[int],
        disposition: Disposition,
        inspection: Inspection | None,
    ) -> None:
        kind = DATA if kept.flush < 0 else FLUSH
        edges = [first, *(cut for cut in cuts if first < cut < last), last]
        for start, stop in itertools.pairwise(edges):
            marked = inspection is not None and inspection.marks(start, stop)
            self._send(kind, kept, start, stop, disposition, marked)

    def rewind(self, inspections: Mapping[int, Inspection]) -> None:
        """Begin the next epoch at the source's beginning. What was accepted stays accepted.

        For a stage with state and no `snapshot`. Splits must be admitted with the same cuts as the first time.
        """
        self._begin_epoch()
        partial = next((kept for kept in self.kept if not kept.done), None)
        done = partial.number if partial is not None else max(self._numbers, self._flushed)
        self._redo = max(self._redo, (done, partial.accepted if partial else 0))
        self._quarantines |= {kept.number: kept.quarantined for kept in self.kept if kept.quarantined}
        self._inspections = inspections
        self.stopped = False
        self.kept.clear()
        self._numbers = self._flushed = self._bytes = self._unforgotten = 0
        self.position = None
