"""One epoch as the loop sees it: frames go out in it, and END behind them.

What must not outlive the workers of an epoch stands here, so a restart replaces it whole.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterator, Sequence

from stagerunner.engines.base import Ready, Transport
from stagerunner.engines.topology import Group
from stagerunner.errors import SetupFailed
from stagerunner.events import WorkerReady
from stagerunner.plan import Plan
from stagerunner.records import BARRIER, DATA
from stagerunner.runtime.blocks import Blocks
from stagerunner.window.core import Window
from stagerunner.window.splits import Sent
from stagerunner.wire.frame import MARKED, Header, Metadata, pack_metadata

NO_SNAPSHOTS = pickle.dumps({}, 5)

EMPTY_METADATA = pack_metadata(Metadata())


class Epoch:
    """The window's epoch, whose workers the transport has started.

    columns: the sinks whose columns a restart has given to the workers, by number.
    """

    def __init__(self, window: Window, transport: Transport, blocks: Blocks, columns: Collection[int] = ()) -> None:
        self.number = window.epoch
        self.columns = columns
        self._window = window
        self._transport = transport
        self._blocks = blocks
        blocks.begin(transport.arena)
        self.announced = False
        """Its workers were reported to observers."""
        self.end_sent = False
        """END was sent behind everything sent in this epoch."""

    def send(self, sent: Sent) -> None:
        """Turn what the window sends into a frame, and send it."""
        kept = sent.split
        number = 0 if kept is None else kept.number
        flags = MARKED if sent.marked else 0
        header = Header(sent.kind, flags, self.number, sent.sequence, number, sent.first, sent.last)
        if kept is None:
            self._transport.send(header, EMPTY_METADATA, NO_SNAPSHOTS if sent.kind == BARRIER else b"")
            return
        if not kept.quarantined and not (self._blocks.used and self._blocks.wanted(kept.payload)):
            self._transport.send(header, EMPTY_METADATA, kept.payload)  # the usual frame: no metadata
            return
        metadata = Metadata(quarantined=kept.quarantined)
        body = self._blocks.outgoing(sent, kept.payload, metadata) if sent.kind == DATA else kept.payload
        self._transport.send(header, pack_metadata(metadata), body)

    def end(self) -> None:
        """Send END."""
        self._transport.end(self._window.last_sequence + 1)
        self.end_sent = True


def worker_events(ready: Ready, plan: Plan, groups: Sequence[Group], epoch: int) -> Iterator[WorkerReady]:
    """An event for each worker. Raises SetupFailed if one could not be set up."""
    if ready.errors:
        stage, worker, _, text = ready.errors[0]
        name = plan.stages[stage].name if plan.stages else "copy"
        raise SetupFailed(f"{name} could not be set up (worker {worker + 1}): {text}")
    labels = {group.stages[0].work.index if group.stages else 0: group.label for group in groups}
    for stage, worker, pid in ready.pids:
        yield WorkerReady(labels[stage], worker, pid, epoch)
