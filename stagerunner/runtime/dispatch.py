"""What goes into the chain: splits while the window has room, then a flush for each stage that has one."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from stagerunner.engines.base import Transport
from stagerunner.parts.source import Want
from stagerunner.plan import Plan, PlannedStage
from stagerunner.records import DATA, TO_THE_END, Origin
from stagerunner.runtime.input import GivenRecords, PendingSplit, Rereadable, SplitSource
from stagerunner.runtime.iterator_input import DrawnRecords
from stagerunner.runtime.regrouping import totalled
from stagerunner.window.balancing import SLOW, WORTH
from stagerunner.window.core import Window
from stagerunner.window.demand import Demand, Gathers
from stagerunner.window.sizing import LONGEST, Sizing
from stagerunner.window.splits import FLUSHES, Kept, Limit, Sent
from stagerunner.wire.frame import Metadata

SPELL = 0.01
"""Seconds to dispatch before receiving again: a slow source must not hold up results."""


GLANCE, FIRST_GLANCE = 0.01, 0.002
"""Seconds between two looks whether workers have begun frames; as long as none has come back."""

UNCUT = (TO_THE_END, TO_THE_END)
"""A split goes out whole, and so do its frames."""

COUNTED = 20_000
"""Nanoseconds a record must take for the parent to count the records of splits near a limit, which takes it 2,000."""

UNPROVEN = 2
"""Frames of one record for each worker of the widest stage, until one is back and says what a record costs."""


class Dispatch:
    """Asks the source for splits, admits them to the window, and learns how large the next one should be.

    transport: says what its workers have begun and open. send: sends a frame, in the first epoch. full: whether results
    wait for a slow reader.
    """

    def __init__(
        self,
        plan: Plan,
        split_source: SplitSource,
        window: Window,
        transport: Transport,
        send: Callable[[Sent], None],
        full: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._split_source = split_source
        self._window = window
        self._transport = transport
        self._send = send
        self._full = full
        self.slow = SLOW
        ahead = [stage for stage in plan.stages if stage.works_ahead]
        self.balances = window.workers > 1 and not ahead  # a worker that works ahead begins frames at once
        self.works_ahead = bool(ahead) and transport.works_ahead
        """Whether some workers begin frames while earlier ones are open."""
        self.looks = self.works_ahead or self.balances or isinstance(split_source, DrawnRecords)
        """Whether `due` and `glance` have anything to say."""
        self._provide(ahead, transport.works_ahead)
        self._limit = Limit(plan.limit)
        self._edge, self._edges = Limit(None), list[int]()
        """Where the next split has to be cut, and where later ones."""
        self._limited = plan.limit is not None
        """Whether splits have to be cut anywhere, so that source records are counted here."""
        self._want = Want()
        self._wanted = 1
        """Records that the next split should have, besides those to be skipped."""
        self._pending: PendingSplit | None = None
        self._pending_splits: dict[int, PendingSplit] = {}
        self._flushed = -1
        self.stopped: int | None = None
        """The stage that needs no more, if one has said so."""
        self.done = False
        self.read_at = 0.0
        """When the last split was admitted; 0 before that."""
        """Every split and every flush was sent."""
        self._cut = False
        """The split that was admitted last was cut at the limit: a mark behind it is out of reach."""
        self._wants_barrier = False
        """Send a barrier right behind the next mark."""
        self.bytes_done = 0

    def _provide(self, ahead: Sequence[PlannedStage], across: bool) -> None:
        """Learn how large frames should be, and how many records stages need that work ahead.

        across: workers may have several frames open; else a list is as long as its frame.
        """
        gathering = [Gathers(s.work.index, s.work.batch or 1, s.settings.workers) for s in ahead if s.work.gathers]
        calling = [Gathers(s.work.index, s.work.concurrency, s.settings.workers) for s in ahead]
        self._unbounded = across and len(gathering) < len(ahead)
        self.gathers = across and bool(gathering)
        """Whether workers wait for records to fill their lists, and have to hear when none can come."""
        self._demand = Demand(gathering if across else ())
        self._dealing = self._demand if gathering or self._window.workers == 1 or not across else Demand(calling)
        """Whose lists, or places for calls, frames should fill exactly."""
        self._deals = self._dealing.size > 0
        # Where no worker works ahead, a frame should hold what a stage takes at once.
        takes = ((s.work.batch or 1) if s.work.gathers else s.work.concurrency for s in ahead)
        least = 1 if across else max(takes, default=1)
        self.sizing = Sizing(self._plan.run.frame, least=least, columns=self._plan.columnar)

    def begin(self, taken: int, size: int, *, remember: bool, edges: Sequence[int] = ()) -> None:
        """Called before the first split. taken, size: records that a resumed run took before, and their bytes.

        remember: keep how the source is cut, for `rewind`. edges: no frame has source records before and behind one of
        these, counted from here.
        """
        self._limit.came(taken)
        self._edges = list(edges)
        self._limited |= bool(edges)
        self._edge.moves(self._edges.pop(0) if self._edges else None)
        self.bytes_done = size
        if remember and isinstance(self._split_source, Rereadable):
            self._split_source.remember()

    @property
    def _prompt(self) -> bool:
        """Whether the source may have a split at once, without waiting for events."""
        return (
            not self.done
            and self._pending is None
            and not self._split_source.ended
            and self._split_source.prompt
            and self._has_room()
        )

    def _has_room(self) -> bool:
        if (not self.sizing.proven and self._unsure) or self._full():
            return False
        return self._window_has_room()

    def _window_has_room(self) -> bool:
        begun = self._begun_if_slow() if self.balances else None
        if not self.works_ahead:
            return self._window.room(self.sizing.records, begun)
        wanted = self._demand.records if self.gathers else 0
        return self._window.room(self.sizing.records, begun, self._transport.opened(), wanted)

    @property
    def _unsure(self) -> bool:
        """Whether a frame has to come back first, to say what a record costs. An async stage may have a slow head."""
        if self.sizing.proven or self._unbounded:
            return False
        if self.gathers:
            self._foresee()
        enough = not self.gathers or self._window.records_on_way >= self._demand.records
        return enough and len(self._window.on_way) >= UNPROVEN * self._window.workers

    def _foresee(self) -> None:
        """Learn from what the stages before the first one that gathers have done. They have passed what it has open;
        no frame is back before a list of it is full."""
        passed = self._transport.opened()
        if before := self._demand.stages_before:
            totals = totalled([clock for clock in self._transport.clocks() if clock.stage < before], before)
            self._demand.foresee(totals[0].taken, totals[-1].out)
            dearest = max((clock.work + clock.codec) / max(1, clock.taken) for clock in totals)
            passed = min(totals[-1].taken, int(LONGEST / max(1.0, dearest)))
        self.sizing.foresee(min(passed, self._demand.part))

    @property
    def blocked(self) -> bool:
        """Whether nothing can be sent before something comes back: no list should wait for more records.

        With enough frames on their way that is so if the one whose turn it is waits in a list: else one will come back.
        Before one has come back, it is so once all have come to the lists: until then a filter may still show that more
        are needed.
        """
        opened = self._transport.opened() if self.works_ahead else 0
        if self._pending is not None or self._window.full(opened):
            return True
        if self._unsure:
            return not self.gathers or self._transport.gathered(self._window.last_sequence)
        on_way = self._window.on_way
        return bool(on_way) and self._transport.holds(on_way[0].sequence) and not self._window_has_room()

    def _begun_if_slow(self) -> Sequence[int] | None:
        """What each worker has begun, if frames are slow enough to be balanced by load."""
        return self._transport.begun() if self.sizing.lasting >= self.slow else None

    def due(self) -> float | None:
        """Seconds until records that wait for company must go; None if none wait, or none may go."""
        if (
            not isinstance(self._split_source, DrawnRecords)
            or self.done
            or self._pending is not None
            or self._split_source.ended
        ):
            return None
        return self._split_source.due() if self._has_room() else None

    def glance(self) -> float | None:
        """Seconds until to look again whether workers have begun frames, which makes room and wakes nobody; None if
        that wouldn't help."""
        looks = self.works_ahead or (self.balances and self.sizing.lasting >= self.slow)
        if not looks or self.done or self.blocked or self._split_source.ended:
            return None
        if self._has_room():
            return 0.0 if self._prompt else None
        return GLANCE if self.sizing.proven else FIRST_GLANCE

    def feed(self) -> bool:
        """Admit what fits; at the end of the source, the flushes. Whether there is more to admit at once."""
        until = monotonic() + SPELL
        while (room := self._has_room()) and (pending := self._next_split()) is not None:
            ends = self._ends(pending.most) if self._limited else UNCUT
            if ends is None:
                self._pending = pending
                break
            self._admit(pending, *ends)
            if monotonic() >= until:
                break
        if self._exhausted():
            self._flush_all()
            self.done, self.read_at = True, self.read_at or monotonic()
        return room and self._prompt

    def _ends(self, most: int | None) -> tuple[int, int] | None:
        """Where a split of so many records ends: at the limit, and where its frames are cut. None if it must wait."""
        alone = not self._window.on_way
        last, edge = self._limit.may_go(most, alone=alone), self._edge.may_go(most, alone=alone)
        return None if last is None or edge is None else (last, edge)

    def _admit(self, pending: PendingSplit, last: int, edge: int) -> None:
        if self._limited:
            self._limit.sent(pending.most)
            self._edge.sent(pending.most)
            self.read_at = monotonic() if self._limit.left <= 0 else 0.0
        cut = None if edge == TO_THE_END else edge + self._window.skipping
        last = min(TO_THE_END, last + self._window.skipping)
        if pending.base is not None and pending.most is not None:
            last = min(last, pending.most)  # here `most` is the exact number of records
        if self.balances and (begun := self._begun_if_slow()) is not None:
            for skip in self._window.pass_over(begun, int(self.sizing.lasting / WORTH)):
                self._send(skip)
        records = min(self._wanted, last if pending.most is None else pending.most)
        self._cut = pending.marked and pending.most is not None and last < pending.most
        position = None if self._cut else pending.position
        for sent in self._window.admit(
            pending.payload, pending.size, position, last, records, marked=pending.marked, edge=cut
        ):
            assert sent.split is not None
            self._pending_splits[sent.split.number] = pending
            if self._deals:
                self.dealt(sent)
            self._send(sent)
        if self._wants_barrier:
            self.barrier_at_mark()

    def mark(self, position: Any) -> None:
        """A mark has come behind every split that the source gave."""
        if self._pending is not None:
            self._pending.position = position
        elif not self._cut:
            self._window.mark(position)

    def barrier_at_mark(self) -> None:
        """Send a barrier as soon as a mark stands behind everything admitted: now, or right behind that split."""
        self._wants_barrier = not self._window.ends_at_mark
        if not self._wants_barrier and self._window.barrier_due():
            self._send(self._window.barrier())

    def begin_epoch(self, send: Callable[[Sent], None]) -> None:
        """No worker has a record; `dealt` is called for what is sent again. send: sends a frame in this epoch."""
        self._send = send
        self._dealing.begin()

    def dealt(self, sent: Sent) -> None:
        """A frame is being sent."""
        if self._deals and sent.kind == DATA and sent.split is not None:
            self._dealing.dealt(sent.sequence, min(sent.last, sent.first + sent.split.records) - sent.first)

    def _next_split(self) -> PendingSplit | None:
        if self._window.stopped or (self._limited and self._limit.reached):
            return None
        if self._pending is not None:
            waited, self._pending = self._pending, None
            return waited
        skipped, fixed = self._window.skipping, self._plan.run.frame is not None
        self._wanted = self.sizing.records
        fills = self._deals and not fixed and self._dealing.even and self._counts
        if fills and not self.gathers:  # with frames for several rounds of calls, a few records more don't count
            fills = self._wanted < self._dealing.size
        if fills:
            self._wanted = self._dealing.fitting(self._window.last_sequence + 1, self._wanted)
        left = min(self._limit.left, self._edge.left) if self._limited else TO_THE_END
        # Cut by bytes, a split might exceed the limit, and would have to go alone.
        near = left < self.sizing.size and self.sizing.lasting > COUNTED * self._wanted
        self._want.exact = not self.sizing.proven or fixed or fills or near
        if self._want.exact:
            self._wanted = max(1, min(self._wanted, left))
        self._want.records, self._want.size = skipped + self._wanted, self.sizing.size
        pending = self._split_source.next(self._want)
        if pending is not None:
            if skipped and pending.most:  # what is left of it
                left = max(0, pending.most - skipped)
                pending.size, pending.most = pending.size * left // pending.most, left
            exact = self._want.exact or pending.base is not None
            self.sizing.weighed((pending.most or 0) if exact else 0, pending.size)
        return pending

    @property
    def _counts(self) -> bool:
        """Whether a split of exactly so many records costs little enough."""
        return isinstance(self._split_source, GivenRecords) or self.sizing.countable(self._window.workers)

    def _exhausted(self) -> bool:
        """Whether no split of the source will be sent any more."""
        if self._window.stopped or (self._limited and self._limit.reached):
            self._pending = None
            self._split_source.close()
            return True
        return self._split_source.ended and self._pending is None

    def _flush_all(self) -> None:
        """FLUSH for each stage that has a flush, in order; stages before a stop are not flushed."""
        for stage in self._plan.stages:
            index = stage.work.index
            if stage.work.form.flushes and index > self._flushed:
                self._flushed = index
                for sent in self._window.flush(index, pickle.dumps(index, 5)):
                    self._send(sent)

    def stopped_by(self, stage: int) -> None:
        """This stage needs no more records: no stage up to it is flushed."""
        self.stopped = stage
        self._flushed = max(self._flushed, stage)

    # Learning from frames that came back

    def took(self, taken: int) -> None:
        """So many source records were accepted."""
        if not self._limited:
            return
        self._limit.came(taken)
        self._edge.came(taken)
        while self._edge.reached:
            self._edge.moves(self._edges.pop(0) if self._edges else None)

    def learn(self, taken: int, most: int, metadata: Metadata, kept: Kept) -> None:
        """A frame is complete. taken: its source records. most: records that the stage with most results gave."""
        if self._deals:
            self._dealing.learn(taken, metadata.booked)
        if kept.flush < 0:
            pending = self._pending_splits.get(kept.number)  # the window counts a description that is larger than it
            size = kept.size if pending is None else pending.size
            self.sizing.learn(taken, size, metadata.slowest, metadata.widest, most)

    def finished(self, kept: Kept) -> None:
        """A split is wholly accepted. `locate` still knows it, as long as it may be sent again."""
        pending = self._pending_splits.get(kept.number)
        if pending is not None:
            if self._limited:
                self._limit.settled(pending.most)
                self._edge.settled(pending.most)
            self.bytes_done += pending.size
        oldest = self._window.kept[0].number if self._window.kept else FLUSHES
        while self._pending_splits and (number := next(iter(self._pending_splits))) < oldest:
            del self._pending_splits[number]

    @property
    def bytes_so_far(self) -> int:
        """Bytes of the source that are accepted, about: with those of the split that is accepted in part."""
        kept = next((kept for kept in self._window.kept if not kept.done), None)
        pending = None if kept is None else self._pending_splits.get(kept.number)
        if kept is None or pending is None:
            return self.bytes_done
        each = pending.size / pending.most if pending.most else self.sizing.bytes_per_record
        return self.bytes_done + min(pending.size, int(each * (kept.accepted - kept.before)))

    @property
    def bytes_journaled(self) -> int:
        """Bytes of the source up to where the journal stands."""
        if not self._window.stateful:
            return self.bytes_so_far
        waiting = (self._pending_splits.get(kept.number) for kept in self._window.kept if kept.done)
        return self.bytes_done - sum(pending.size for pending in waiting if pending is not None)

    def locate(self, kept: Kept, record: int) -> Origin:
        """Where a source record stands."""
        if kept.flush >= 0:
            return Origin(f"flush of {self._plan.stages[kept.flush].name}", None, record)
        pending = self._pending_splits.get(kept.number)
        if pending is None:
            return self._split_source.locate(kept.payload, None, record)
        return self._split_source.locate(kept.payload, pending.base, record, pending.place)

    # After a death

    def land(self, landed: Callable[[Any], Any]) -> None:
        """Copy payloads out of the arena, because the epoch that owns it is over."""
        for kept in self._window.kept:
            kept.payload = landed(kept.payload)
        if self._pending is not None:
            self._pending.payload = landed(self._pending.payload)

    @property
    def can_rewind(self) -> bool:
        return isinstance(self._split_source, Rereadable) and self._split_source.can_rewind

    def rewind(self) -> None:
        """Begin again at the source's beginning; splits are cut as before."""
        assert isinstance(self._split_source, Rereadable)
        self._split_source.rewind()
        self._limit = Limit(self._plan.limit)
        self._pending, self._flushed, self.stopped, self.done, self.read_at = None, -1, None, False, 0.0
        self.bytes_done = 0
        self._pending_splits.clear()
