"""The parent's loop: room in the window → a split goes out; a frame comes back → it is taken, delivered, booked.

    split source ──▶ window ──▶ transport ══ workers ══▶ transport ──▶ window ──▶ delivery ──▶ result writer, dead
    letters, ledger

One selector, no threads. Nothing here waits for anything but the selector; nothing is done per record.
"""

from __future__ import annotations

import pickle
import selectors
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stagerunner.delivery.delivery import Delivery
from stagerunner.engines.base import Ready, Transport, Trouble
from stagerunner.engines.process.parent.root_cause import culprit_of
from stagerunner.engines.topology import Group
from stagerunner.errors import SetupFailed
from stagerunner.events import WorkerFailed, WorkerReady
from stagerunner.failpoints import point
from stagerunner.guard import guard
from stagerunner.journal import encode_snapshots, validate_snapshots
from stagerunner.plan import Plan
from stagerunner.records import BARRIER, SKIP
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.dispatch import Dispatch, Sending
from stagerunner.runtime.input import GivenRecords, SplitSource
from stagerunner.runtime.iterator_input import DrawnRecords
from stagerunner.runtime.receiving import Receiving
from stagerunner.runtime.regrouping import Regrouping
from stagerunner.window.core import Window
from stagerunner.window.isolation import PoisonIsolation
from stagerunner.window.splits import ProtocolFault
from stagerunner.wire.frame import BadFrame, Frame
from stagerunner.wire.metadata import unpack_payload

TICK = 0.25
"""Seconds between two looks at clocks when nothing happens."""


class _Misfit(Exception):
    """A frame was encoded for other columns than the output has."""


class Loop:
    """One run, from the first split to the last commit. `step` does what can be done now, waiting at most `timeout`."""

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
        self._tell = tell
        self._commit = commit
        self._names = [stage.name for stage in plan.stages]
        forms = [stage.work.form for stage in plan.stages]
        self._unsaved = any(form.state and not form.snapshots for form in forms)
        """Some stage has state and no `snapshot`: only reading the source again brings its state back."""
        self.window = window_for(plan, transport, stateful=any(form.state for form in forms) and not self._unsaved)
        self._blocks = Blocks()
        self._connect(split_source)
        self._sending = Sending(self.window, transport, self._blocks)
        self.dispatch = Dispatch(plan, split_source, self.window, self._sending.send, self._is_full, transport.begun)
        self.regrouping = Regrouping(plan, transport, delivery.ledger)
        self._isolation = PoisonIsolation()
        self._receiving = Receiving(
            self.window, delivery, self._blocks, self.dispatch, self._isolation, again=self._unsaved
        )
        self._columned = plan.sink is not None and hasattr(plan.sink.part.found, "fits")
        self._told = False
        """The workers know which columns the output has."""
        self._end_sent = self._draining = False
        self._heard = 0
        self.snapshots: dict[int, Any] = {}
        self.commit_due = False
        """Somebody wants a commit at the next place where the source can stand."""
        self.done = False
        """END came back with nothing missing, or the run was cut short in good order."""
        self.trouble: Trouble | None = None

    def _connect(self, split_source: SplitSource) -> None:
        """Let records of the caller's be packed straight into the arena, and be sent at once when nothing is on its
        way."""
        if isinstance(split_source, GivenRecords):
            split_source.pack, split_source.drop = self._blocks.load, self._blocks.unload
            split_source.max_record = self._plan.run.max_record
        if isinstance(split_source, DrawnRecords):
            split_source.idle = lambda: not self.window.on_way

    def start(
        self,
        position: Any = None,
        snapshots: dict[int, Any] | None = None,
        taken: int = 0,
        stopped: int | None = None,
        size: int = 0,
    ) -> None:
        """Go on with the first epoch, which the transport has begun; when resuming, from this position of the source.

        taken, size: source records that earlier lives of the run took, and their bytes. stopped: the stage that needed
        no more of them.
        """
        self.window.position, self.snapshots = position, snapshots or {}
        if stopped is not None:
            self.window.stopped = True
            self.dispatch.stopped_by(stopped)
        self.dispatch.begin(taken, size, remember=self._unsaved)
        self._blocks.begin(self._transport.arena)

    def _begin(self, snapshots: dict[int, Any], *, careful: bool = False) -> None:
        columns = self._delivery.writer.columns()
        self._told = columns is not None
        told = snapshots | {len(self._names): columns} if self._told else snapshots
        self._transport.start(self.window.epoch, told, careful=careful)
        self._blocks.begin(self._transport.arena)

    def _is_full(self) -> bool:
        return self._delivery.writer.full() or self._blocks.crowded

    def drain(self) -> None:
        """Take nothing more from the source, and be done when everything on its way has come back."""
        self._draining = True

    def step(self, timeout: float | None = None) -> None:
        """Feed, wait for something to happen, and take what comes back; before that, deal with what the last step left.

        In this order nobody waits for results longer than it takes to have them. Once done, only what waits to be
        written is left.
        """
        if self.done:
            self._wait(TICK if timeout is None else timeout)
            return
        self._deal()
        if not self.done and self.trouble is None:
            hungry = self._feed()
            self._wait(0 if hungry else self._patience(timeout))
            self._take()

    def _wait(self, timeout: float) -> None:
        for key, _ in self._select(timeout):
            key.data()

    def _take(self) -> None:
        """What has come back, as far as there is room for it."""
        replete = self._delivery.writer.replete
        try:
            if replete():
                return
            for frame in self._transport.arrivals():
                self._arrived(frame)
                if self.done or replete():
                    return
        except _Misfit:
            self._tell_columns()
        except (ProtocolFault, BadFrame) as fault:
            self._restart(Trouble("", 0, 0, f"protocol fault: {fault}"))

    def book(self) -> None:
        """Have everything taken in the ledger; a frame's results are handed over before they are booked."""
        self._receiving.book()

    def _deal(self) -> None:
        """With what was taken and what was heard, and with what the clock says."""
        self.book()
        if (ready := self._transport.ready) is not None and self._heard != self.window.epoch:
            self._heard = self.window.epoch
            for event in announced(ready, self._plan, self._transport.groups, self._heard):
                self._tell(event)
        self._transport.look()
        if self._transport.trouble is not None:
            self._restart(self._transport.trouble)
        if self.window.wants_barrier():
            self.checkpoint()
        if self.regrouping.emptying or (self._regroupable and self.regrouping.due()):
            self._regroup()
        if self._transport.ended or (self._draining and not self.window.on_way and not self._last_barrier()):
            self.done = True

    def _last_barrier(self) -> bool:
        """Send a draining chain's last barrier, if there is anything left that only it can let go of."""
        self.checkpoint()
        return bool(self.window.on_way)

    def _patience(self, timeout: float | None) -> float:
        if self._transport.busy and not self._delivery.writer.replete():
            return 0
        wait = TICK if timeout is None else min(timeout, TICK)
        for deadline in (self._transport.deadline(), None if self._shut else self.dispatch.due()):
            if deadline is not None:
                wait = min(wait, deadline)
        return max(0.0, wait)

    # Out

    @property
    def _shut(self) -> bool:
        """Nothing more of the source may go in now."""
        return self._transport.ready is None or self._end_sent or self._draining or self.regrouping.emptying

    def _feed(self) -> bool:
        """Whether there is more to be had at once."""
        if self._shut:
            return False
        hungry = self.dispatch.feed()
        if self.dispatch.done:
            self._end_sent = True
            self._sending.end()
        return hungry

    # Back

    def _arrived(self, frame: Frame) -> None:
        metadata, body = unpack_payload(frame.payload)
        if frame.header.kind in (BARRIER, SKIP):
            self.window.passed(frame.header.sequence)
            if frame.header.kind == BARRIER:
                self._cut(body)
            return
        if self._columned and not self._receiving.fits(frame.header, metadata, body):
            raise _Misfit
        self._receiving.receive(frame.header, metadata, body)
        if self._delivery.fatal is not None or self._delivery.too_many is not None:
            if not frame.header.more:  # the last piece has the counts of what was delivered before it
                self.book()
                self.done = True
        elif self.commit_due and not self.window.stateful and self.window.at_edge:
            self.commit_due = False
            self._commit()

    # Checkpoints

    def _cut(self, body: memoryview) -> None:
        """A barrier is back: the snapshots stand for everything accepted so far."""
        with guard("a stage's snapshot", "its reading"):
            snapshots = pickle.loads(body)
        self.snapshots = validate_snapshots(snapshots, self._names)
        point("barrier")
        self._commit()

    def checkpoint(self) -> None:
        """Have everything accepted committed soon: at the next edge of a split, or behind a barrier."""
        if not self.window.stateful:
            self.commit_due = True
        elif not self._unsaved and not self._ending and self._transport.ready and self.window.barrier_due():
            self._sending.send(self.window.barrier())

    def row(self) -> dict[str, Any]:
        """What a journal's row says of the source and of the stages with state, and which stages its numbers mean."""
        self.book()
        stages = {"order": self._names, "snapshots": encode_snapshots(self.snapshots), "stopped": self.dispatch.stopped}
        return {"position": self.window.position, "bytes": self.dispatch.bytes_forgotten} | stages

    # Other groups

    @property
    def _ending(self) -> bool:
        """END was sent: nothing can go in behind it."""
        return self._end_sent or self.regrouping.emptying

    @property
    def _regroupable(self) -> bool:
        """Whether groups may be chosen: that is still open, there is more to come, and nobody is suspected."""
        return self.regrouping.open and not self._shut and not self._isolation.inspections

    def _regroup(self) -> None:
        """Let what is on its way come back, and the workers end; then begin again. No death, and nobody to blame."""
        if not self.regrouping.end_sent:
            self._empty()
        elif self._transport.ended and not self._draining:
            point("regroup")
            self._begin_again(careful=False)

    def _empty(self) -> None:
        """The last barrier and END, once no other barrier is on its way; unless the run is to stop meanwhile."""
        if self._draining:
            self.regrouping.emptying = False
        if self._draining or self.window.barrier_on_way:
            return
        if self.window.stateful and self.window.barrier_due():
            self._sending.send(self.window.barrier())
        self.regrouping.end_sent = True
        self._sending.end()

    # After a death

    def _restart(self, trouble: Trouble) -> None:
        """Kill, and begin the next epoch from what is accepted; or see that it is no use."""
        self.book()
        self._tell(WorkerFailed(trouble.stage or "chain", trouble.worker, trouble.pid, trouble.how, self.window.epoch))
        quarantined = self._isolation.died(culprit_of(trouble))
        point("halving" if self._isolation.inspections else "restart")
        if quarantined is not None:
            point("quarantine")
            self.window.quarantine(quarantined.split, quarantined.record, (quarantined.type, quarantined.message))
        if self._isolation.hopeless or (self._unsaved and not self.dispatch.can_rewind):
            self.trouble = trouble
            return
        self._go_on(careful=trouble.split >= 0)

    def _tell_columns(self) -> None:
        """Of several last workers, one took another record than the first for its guide: tell them all, and go on.

        Nobody is to blame, and it happens once: from here on each finds for itself what doesn't fit.
        """
        self.book()
        if self._told or (self._unsaved and not self.dispatch.can_rewind):
            how = "records with other columns came before the first had been written; say which there are with `fields`"
            self.trouble = Trouble("", 0, 0, how)
            return
        self._go_on(careful=False)

    def _go_on(self, *, careful: bool) -> None:
        if self._unsaved:
            self.window.rewind(self._isolation.inspections)
            self.dispatch.rewind()
            self._end_sent = False
            self._begin({}, careful=careful)
            return
        self._begin_again(careful=careful)

    def _begin_again(self, *, careful: bool) -> None:
        """The next epoch, with the latest snapshots and all that is not yet done with."""
        self.dispatch.land(self._blocks.landed)
        self.regrouping.take_effect()
        frames = self.window.restart(self._isolation.inspections)
        self._begin(self.snapshots, careful=careful)
        for sent in frames:
            self._sending.send(sent)
        if self._end_sent:
            self._sending.end()

    @property
    def restarts(self) -> int:
        return self._isolation.restarts


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


# Events


def announced(ready: Ready, plan: Plan, groups: Sequence[Group], epoch: int) -> Iterator[WorkerReady]:
    """An event for each worker. Raises SetupFailed if one could not be set up."""
    if ready.errors:
        stage, worker, _, text = ready.errors[0]
        name = plan.stages[stage].name if plan.stages else "copy"
        raise SetupFailed(f"{name} could not be set up (worker {worker + 1}): {text}")
    labels = {group.stages[0].work.index if group.stages else 0: group.label for group in groups}
    for stage, worker, pid in ready.pids:
        yield WorkerReady(labels[stage], worker, pid, epoch)
