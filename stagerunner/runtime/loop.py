"""The parent's loop. While the window has room, a split goes out. A frame that comes back is accepted and delivered.

    split source ─▶ Dispatch ─▶ Window ─▶ Epoch ═▶ workers ═▶ Receiving ─▶ Window ─▶ Delivery ─▶ result writer
      next split     size,       keeps     frame                frame      in turn?     │
                     limit       the split                                              ├─▶ dead letters
          ▲                        │                                                    ├─▶ ledger
          └── position ◀── commit ◀┴──────────── accepted ◀─────────────────────────────┘

One selector, no threads. The loop waits for the selector only, and works per frame, never per record.

How it ends:

* The source has ended. Each stage with `flush` is flushed. END goes out and comes back on every return pipe: `done`.
* A stage needs no more, or `drain` was called. Nothing more is dispatched; what is on its way comes back: `done`.
* `halt` was called. Nothing more is dispatched, and stages cut their frames; the first cut has come back: `done`.
* A failure ends the run (`on_error: fail`, `max_errors`). Everything before it is delivered: `done`.
* A worker dies, or is late. Every process is killed, and the next epoch begins with what is not accepted yet.
* Restarts stop helping, or the source can't be read again: `trouble` is set.

The session commits after each of these but the last two. Closing the transport kills what is left.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from time import monotonic
from typing import Any

from stagerunner.delivery.delivery import Delivery
from stagerunner.engines.base import Transport, Trouble
from stagerunner.events import WorkerFailed
from stagerunner.plan import Plan
from stagerunner.plan.promise import without_snapshot
from stagerunner.records import BARRIER, SKIP
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.checkpoints import Checkpoints
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.epoch import Epoch, worker_events
from stagerunner.runtime.input import GivenRecords, MarkedSource, SplitSource
from stagerunner.runtime.iterator_input import DrawnRecords
from stagerunner.runtime.polling import Polling
from stagerunner.runtime.receiving import Receiving
from stagerunner.runtime.regrouping import Regrouping
from stagerunner.runtime.restart import Restart
from stagerunner.window.core import Window
from stagerunner.window.splits import ProtocolFault
from stagerunner.wire.frame import CUT, BadFrame, Frame, unpack_payload

TICK = 0.25
"""Seconds between two checks of deadlines while nothing happens."""


class _OtherColumns(Exception):
    """A frame was encoded for other columns than the output of a sink has. sink: its number."""

    def __init__(self, sink: int) -> None:
        self.sink = sink


class Loop:
    """One run, from the first split to the last commit. `step` does what can be done now, waiting `timeout` at most."""

    def __init__(
        self,
        plan: Plan,
        split_source: SplitSource,
        delivery: Delivery,
        transport: Transport,
        selector: selectors.BaseSelector,
        tell: Callable[[Any], None],
        commit: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._delivery = delivery
        self._transport = transport
        self._select = selector.select
        self._polling = Polling(selector, transport.cores)
        self._tell = tell
        self._stateful = any(stage.work.form.state for stage in plan.stages)
        self._rereads = bool(without_snapshot(plan))
        """After a death the source is read again from its beginning."""
        self._columned = any(hasattr(sink.part.found, "fits") for sink in plan.sinks)
        self._halted = self._draining = False
        self.starting = 0.0
        """Seconds for which epochs waited until every worker was set up."""
        self._epoch_began = monotonic()
        self.done = False
        """END came back with nothing missing, or the run ended early in good order."""
        self.trouble: Trouble | None = None
        self._ended_at: int | None = None
        """The sequence of the frame with the failure that ended the run."""
        self._make_parts(split_source, commit)

    def _make_parts(self, split_source: SplitSource, commit: Callable[[], None]) -> None:
        """Make what a split passes between its source and the workers, and its results between these and delivery."""
        plan, transport = self._plan, self._transport
        self.window = window_for(plan, transport, stateful=self._stateful and not self._rereads)
        self._blocks = Blocks()
        self._connect(split_source)
        self._epoch = Epoch(self.window, transport, self._blocks)
        self.dispatch = Dispatch(plan, split_source, self.window, transport, self._epoch.send, self._is_full)
        self._marked = split_source if isinstance(split_source, MarkedSource) and split_source.marks else None
        names = [stage.name for stage in plan.stages]
        self._checkpoints = Checkpoints(self.window, self.dispatch, commit, names, marks=self._marked is not None)
        if self._marked is not None:
            self._marked.late_mark = self._checkpoints.mark_came
        self.regrouping = Regrouping(plan, transport, self._delivery.ledger)
        self._restart = Restart(
            plan,
            self._delivery.writer,
            transport,
            self.window,
            self._blocks,
            self.dispatch,
            self._checkpoints,
            self.regrouping,
            self._tell,
        )
        self._receiving = Receiving(self.window, self._delivery, self._blocks, self.dispatch, self._restart)

    def _connect(self, split_source: SplitSource) -> None:
        """Let the caller's records be pickled into the arena, and sent without waiting for company when nothing is on
        its way."""
        if isinstance(split_source, GivenRecords):
            split_source.pack, split_source.drop = self._blocks.load, self._blocks.unload
            split_source.max_record = self._plan.run.max_record
        if isinstance(split_source, DrawnRecords):
            split_source.idle = lambda: not self.window.on_way

    def start(self, row: dict[str, Any] | None = None, snapshots: dict[int, Any] | None = None, taken: int = 0) -> None:
        """Begin with the first epoch, whose workers the transport has started.

        row, snapshots: where a resumed run goes on. taken: source records that it took before.
        """
        if row is not None:
            self._checkpoints.go_on(row, snapshots or {})
        size = 0 if row is None else row.get("bytes", 0)
        self.dispatch.begin(taken, size, remember=self._rereads, edges=self._delivery.writer.edges)

    def _is_full(self) -> bool:
        return self._delivery.writer.pauses_dispatch() or (self._blocks.used and self._crowded)

    @property
    def _crowded(self) -> bool:
        """Whether to wait for a block. Workers that work ahead need more frames than there are blocks; without one, a
        frame goes by the pipe."""
        return self._blocks.crowded and not self.dispatch.works_ahead

    def drain(self) -> None:
        """Take nothing more from the source; be done when everything on its way has come back."""
        self._draining = True

    @property
    def drains(self) -> bool:
        """Whether a halt cuts no frame: a chain with state drains, so that a barrier can follow."""
        return self._stateful

    def halt(self) -> None:
        """End after the records in hand: the first frame that a stage cuts is accepted up to there; unless the chain
        `drains`. Safe in a signal handler."""
        self.drain()
        if not self.drains:
            self._halted = True
            self._transport.halt()

    def step(self, timeout: float | None = None) -> None:
        """Handle what the last step left, dispatch, wait for events, receive.

        Receiving comes last, so that the caller of `step` gets results at once; their accounting waits for the next
        step. When the run is done, only output that waits to be written is left.
        """
        if self.done:
            self._wait(TICK if timeout is None else timeout)
            return
        self._handle_events()
        if not self.done and self.trouble is None:
            more = self._feed()
            self._wait(0 if more else self._wait_time(timeout))
            self._receive_all()

    def _wait(self, timeout: float) -> None:
        lone = len(self.window.on_way) == 1
        for key, _ in self._polling.wait(timeout, lone=True) if lone else self._select(timeout):
            key.data()

    def _receive_all(self) -> None:
        """Receive the frames that are here, while the result writer has room."""
        pauses_receiving, checkpoints = self._delivery.writer.pauses_receiving, self._checkpoints
        try:
            if pauses_receiving():
                return
            for frame in self._transport.arrivals():
                self._receive(frame)
                if self.done or pauses_receiving() or (checkpoints.asked and checkpoints.due):
                    return
        except _OtherColumns as other:
            self.book()
            self._go_on(self._restart.with_columns(other.sink, self._epoch.columns))
        except (ProtocolFault, BadFrame) as fault:
            self._died(Trouble("", 0, 0, f"protocol fault: {fault}"))

    def book(self) -> None:
        """Bring the ledger up to date: a frame's results are delivered before they are counted."""
        self._receiving.book()

    def _handle_events(self) -> None:
        """Act on received frames, exits and deadlines: restart, checkpoint, regroup, or be done."""
        self._receiving.book()
        if (ready := self._transport.ready) is not None and not self._epoch.announced:
            self._epoch.announced = True
            self.starting += monotonic() - self._epoch_began
            for event in worker_events(ready, self._plan, self._transport.groups, self._epoch.number):
                self._tell(event)
        self._transport.look()
        if self._transport.trouble is not None:
            self._died(self._transport.trouble)
        if self._marked is not None and not self._stateful and (self._draining or self._marked.error is not None):
            self.checkpoint()  # the next mark may be the last
        if self._checkpoints.asked:
            self._checkpoints.commit_if_due()
        if self.window.stateful and self.window.wants_barrier() and self._barriers:
            self._epoch.send(self.window.barrier())
        if self.regrouping.emptying or (self.regrouping.open and self._regroupable and self.regrouping.due()):
            self._regroup()
        if self._halted and self._transport.ready is None:
            self.done = True
        if self._transport.ended or (self._draining and not self.window.on_way and not self._last_barrier()):
            self.done = True

    def _last_barrier(self) -> bool:
        """Send a draining chain's last barrier, if accepted splits still wait for one; whether anything is on its
        way."""
        self.checkpoint()
        return bool(self.window.on_way)

    def _wait_time(self, timeout: float | None) -> float:
        if self._transport.busy and not self._delivery.writer.pauses_receiving():
            return 0
        wait = TICK if timeout is None else min(timeout, TICK)
        looks = self.dispatch.looks and not self._closed
        ours = (self.dispatch.due(), self.dispatch.glance()) if looks else ()
        for deadline in (self._transport.deadline(), *ours):
            if deadline is not None:
                wait = min(wait, deadline)
        return max(0.0, wait)

    # Out

    @property
    def _closed(self) -> bool:
        """No split may be dispatched now."""
        return self._transport.ready is None or self._epoch.end_sent or self._draining or self.regrouping.emptying

    def _feed(self) -> bool:
        """Dispatch what fits; whether there is more to dispatch at once."""
        gathers = self.dispatch.gathers
        if self._closed:
            if gathers:
                self._say_if_all_sent(blocked=True)
            return False
        if gathers:  # before a frame goes out: it must not look like the last one
            self._say_if_all_sent(blocked=self.dispatch.blocked)
        more = self.dispatch.feed()
        if gathers:
            self._say_if_all_sent(blocked=self.dispatch.blocked)
        if self.dispatch.done:
            self._epoch.end()
        return more

    def _say_if_all_sent(self, *, blocked: bool) -> None:
        """Tell workers that gather whether more records can come now."""
        self._transport.say_all_sent(self.window.last_sequence if blocked else -1)

    # Back

    def _receive(self, frame: Frame) -> None:
        metadata, body = unpack_payload(frame.payload)
        if frame.header.kind in (BARRIER, SKIP):
            self.window.passed(frame.header.sequence)
            if frame.header.kind == BARRIER:
                self._checkpoints.barrier_back(body)
            return
        if self._columned and (sink := self._receiving.misfit(frame.header, metadata, body)) is not None:
            raise _OtherColumns(sink)
        halted = frame.header.flags & CUT
        if halted or (metadata.failures and any(failure.policy == "fail" for failure in metadata.failures)):
            self.book()
            self._checkpoints.commit_before_end()
        self._receiving.receive(frame.header, metadata, body)
        self._checkpoints.news = True
        if halted or self._delivery.fatal is not None or self._delivery.too_many is not None:
            self.book()
            self.done, self._ended_at = True, frame.header.sequence

    def let_calls_end(self, seconds: float) -> None:
        """After a failure that ends the run: wait until running calls have ended, so that their results are kept and
        their cost is known.

        What comes back is dropped. It takes so many seconds at most.
        """
        last, until = self.window.last_sequence, monotonic() + seconds
        if self._ended_at is None or self._ended_at >= last or not self._transport.works_ahead:
            return
        self._transport.stop_behind(self._ended_at)
        while self._transport.trouble is None and not self._transport.ended:
            if (left := until - monotonic()) <= 0:
                return
            self._wait(min(left, TICK))
            if any(frame.header.sequence >= last and not frame.header.more for frame in self._transport.arrivals()):
                return
            self._transport.look()

    # Checkpoints

    def checkpoint(self) -> None:
        """Have everything accepted committed soon: in the next step, or, with state, when a barrier is back."""
        self._checkpoints.ask(barriers=self._barriers)

    @property
    def _barriers(self) -> bool:
        """Whether a barrier may be sent now."""
        return not (self._rereads or self._ending or not self._transport.ready)

    @property
    def may_commit(self) -> bool:
        """Whether what is accepted may be committed as it is. A chain with state needs a barrier first."""
        return self._checkpoints.may_commit

    def row(self) -> dict[str, Any]:
        """The loop's part of a journal row."""
        self.book()
        return self._checkpoints.row()

    # Other groups

    @property
    def _ending(self) -> bool:
        """END was sent, or is about to be: no barrier may follow it."""
        return self._epoch.end_sent or self.regrouping.emptying

    @property
    def _regroupable(self) -> bool:
        """Whether groups may be chosen now: there is more to dispatch, and no split is under inspection."""
        return not self._closed and not self._restart.isolation.inspections

    def _regroup(self) -> None:
        """Let the workers end, then start the new groups with what is not accepted yet."""
        if not self._epoch.end_sent:
            self._let_groups_end()
        elif self._transport.ended and not self._draining:
            self._go_on(self._restart.with_groups())

    def _let_groups_end(self) -> None:
        """Send the last barrier and END, once no other barrier is on its way. A draining run keeps its groups."""
        if self._draining:
            self.regrouping.emptying = False
        if self._draining or self.window.barrier_on_way:
            return
        if self.window.stateful and self.window.barrier_due():
            self._epoch.send(self.window.barrier())
        self._epoch.end()

    # Other epochs

    def _died(self, trouble: Trouble) -> None:
        """Report a death, and go on without the record at fault."""
        self.book()
        self._tell(WorkerFailed(trouble.stage or "chain", trouble.worker, trouble.pid, trouble.how, self._epoch.number))
        if self._halted:  # what it had in hand is left to a resume
            self.done = True
        else:
            self._go_on(self._restart.after_death(trouble))

    def _go_on(self, found: Epoch | Trouble) -> None:
        """Turn the next epoch, if there is one."""
        if isinstance(found, Trouble):
            self.trouble = found
        else:
            self._epoch, self._epoch_began = found, monotonic()

    @property
    def restarts(self) -> int:
        return self._restart.isolation.restarts


def window_for(plan: Plan, transport: Transport, *, stateful: bool) -> Window:
    """A window with room enough to keep every worker of the widest group busy."""
    widest = max(group.width for group in transport.groups)
    return Window(
        plan.run.window,
        stateful=stateful,
        least_frames=max(16, 8 * widest),
        workers=widest,
        least_records=max(128, *(4 * stage.places for stage in plan.stages), 0),
    )
