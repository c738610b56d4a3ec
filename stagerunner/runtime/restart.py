"""The next epoch begins, with what is not accepted yet: after a death, with other groups, or with other columns.

    a death ─▶ its record is isolated ─┐
    other columns ─────────────────────┼─▶ new workers get the last snapshots ─▶ kept splits are sent again
    other groups ──────────────────────┘

A chain that can't be handed its state reads the source again from its beginning instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from msgspec.structs import replace

from stagerunner.delivery.writers import ResultWriter
from stagerunner.engines.base import Transport, Trouble, culprit_of
from stagerunner.engines.topology import with_works
from stagerunner.evaluate.work import Work
from stagerunner.events import Notice
from stagerunner.failpoints import point
from stagerunner.plan import Plan
from stagerunner.plan.promise import without_snapshot
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.checkpoints import Checkpoints
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.epoch import Epoch
from stagerunner.runtime.regrouping import Regrouping
from stagerunner.window.core import Window
from stagerunner.window.isolation import Culprit, Excess, PoisonIsolation


class Restart:
    """Begins the next epoch. Gives up, with the trouble that ends the run, when that doesn't help."""

    def __init__(
        self,
        plan: Plan,
        writer: ResultWriter,
        transport: Transport,
        window: Window,
        blocks: Blocks,
        dispatch: Dispatch,
        checkpoints: Checkpoints,
        regrouping: Regrouping,
        tell: Callable[[Any], None],
    ) -> None:
        self._plan = plan
        self._writer = writer
        self._transport = transport
        self._window = window
        self._blocks = blocks
        self._dispatch = dispatch
        self._checkpoints = checkpoints
        self._regrouping = regrouping
        self._tell = tell
        self.rereads = bool(without_snapshot(plan))
        """The source is read again from its beginning."""
        self.isolation = PoisonIsolation()
        self._eased: dict[int, Work] = {}
        """Stages that get less at once from the next epoch on."""

    def after_death(self, trouble: Trouble) -> Epoch | Trouble:
        """Isolate the record at fault, and go on."""
        quarantined = self.isolation.died(self._culprit_of(trouble))
        point("halving" if self.isolation.inspections else "restart")
        if quarantined is not None:
            point("quarantine")
            self._window.quarantine(quarantined.split, quarantined.record, (quarantined.type, quarantined.message))
        return trouble if self.isolation.hopeless or not self._possible else self._begin()

    def with_columns(self, sink: int, known: Collection[int]) -> Epoch | Trouble:
        """Let every worker encode for the columns that the outputs have now. sink: to whose output a frame doesn't fit.
        known: the sinks whose columns the workers know.

        Several last workers may each derive columns from the first record they see, and these may differ. It happens
        once at most for each sink.
        """
        if sink in known or not self._possible:
            how = "records with other columns came before the first had been written; name them with `fields`"
            return Trouble("", 0, 0, how)
        return self._begin()

    def with_groups(self) -> Epoch:
        """Use the groups that were chosen. It isn't counted as a restart."""
        point("regroup")
        return self._resend()

    def ease(self, excess: Excess) -> None:
        """No record is at fault, but all at once: from now on frames, or the calls of the stage, are smaller."""
        sizing = self._dispatch.sizing
        if excess.stage < 0:
            sizing.cap(excess.records)
            return
        work = self._eased.get(excess.stage, self._plan.stages[excess.stage].work)
        self._eased[work.index] = work.eased(sizing.records)
        what = f"{work.name}: its worker died of calls that all pass one by one"
        self._tell(Notice(f"{what}; after its next start it gets half as much at once"))

    @property
    def _possible(self) -> bool:
        """Whether nothing is lost with the workers that can't be had again."""
        return not self.rereads or self._dispatch.can_rewind

    def _culprit_of(self, trouble: Trouble) -> Culprit:
        culprit = culprit_of(trouble, self._window.suspects(trouble.calls))
        if not self.rereads and not self._window.keeps(culprit.split):
            return replace(culprit, split=-1)  # what it had in hand was accepted meanwhile
        return culprit

    def _begin(self) -> Epoch:
        if not self.rereads:
            return self._resend()
        self._window.rewind(self.isolation.inspections)
        self._dispatch.rewind()
        return self._start({})

    def _resend(self) -> Epoch:
        """Begin with the latest snapshots, and send again what is not accepted yet."""
        self._dispatch.land(self._blocks.landed)
        self._regrouping.take_effect()
        frames = self._window.restart(self.isolation.inspections)
        epoch = self._start(self._checkpoints.snapshots)
        for sent in frames:
            self._dispatch.dealt(sent)
            epoch.send(sent)
        if self._dispatch.done:
            epoch.end()
        return epoch

    def _start(self, snapshots: dict[int, Any]) -> Epoch:
        """Start the workers. snapshots: by stage."""
        columns = self._writer.columns()
        ends = {len(self._plan.stages) + sink: names for sink, names in columns.items()}
        if self._eased:
            self._transport.regroup(with_works(self._transport.groups, self._eased))
        self._transport.start(self._window.epoch, snapshots | ends)
        epoch = Epoch(self._window, self._transport, self._blocks, columns)
        self._dispatch.begin_epoch(epoch.send)
        return epoch
