"""One life of the parent: the real Session, Loop, Window and Delivery, with simulated source, sink and workers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from simulator.disk import Disk, SimJournal, SimLetters, SimSink, Violation
from simulator.pipes import SimSelector
from simulator.pool import CHARGE, SimPool
from simulator.scenario import Dice, Scenario, sink_names
from simulator.workers import Witness

from stagerunner.delivery.branches import BranchWriter
from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.writers import RefusingWriter, SinkWriter
from stagerunner.parts.source import Want
from stagerunner.plan import Plan
from stagerunner.records import Origin, Split
from stagerunner.runtime import resume as resuming
from stagerunner.runtime.input import MarkedSource, PendingSplit, SourceSplits, SplitSource
from stagerunner.runtime.loop import Loop
from stagerunner.runtime.making import Chain, Made, reset_journal, start_workers
from stagerunner.runtime.opening import Resume
from stagerunner.runtime.session import Session
from stagerunner.window.balancing import Balancing


class SimSource:
    """A splittable source; a split is (first, last) of the scenario's values."""

    max_record = 0

    def __init__(self, scenario: Scenario, shift: int) -> None:
        """shift: a resumed run cuts the source at other places."""
        self._scenario = scenario
        self._shift = shift
        self.asked = 0
        """How many splits it has given. An empty one is seen by the parent alone."""

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        place = after or 0
        values, lengths, hint = self._scenario.values, self._scenario.lengths, self._scenario.hint
        while place < len(values):
            self.asked += 1
            stop = min(len(values), place + min(want.records, lengths[(place + self._shift) % len(lengths)]))
            most = {"exact": stop - place, "over": stop - place + 2, "none": None}[hint]
            yield Split((place, stop), 3 + 5 * (stop - place), stop, most)
            if stop == place:  # an empty split; the one after it isn't
                yield Split((place, place + 1), 8, place + 1, None if hint == "none" else 1)
                stop += 1
            place = stop

    def read(self, split: Split) -> Any:
        raise NotImplementedError("the stage runners read")

    def identity(self) -> Any:
        return self._scenario.seed

    def locate(self, split: Split, number: int) -> Origin:
        return Origin("", None, split.data[0] + number)


class SimMarked(MarkedSource):
    """The same source as a resumable stream: some splits end at a mark, which comes with them or later."""

    ended, prompt = False, True

    def __init__(self, scenario: Scenario, source: SimSource, dice: Dice, after: Any, before: int) -> None:
        super().__init__(marks=True)
        self._scenario, self._dice = scenario, dice
        self._splits = source.splits(after, Want(size=0, records=self._scenario.frame or 8))
        self._count = before
        self._late: int | None = None

    def next(self, want: Want) -> PendingSplit | None:
        self.tell_late()
        split = next((split for split in self._splits if split.data[0] < split.data[1]), None)
        if split is None:
            self.ended = True
            return None
        first, stop = split.data
        marked, late = self._dice.hits(self._scenario.marks), self._dice.hits(0.3)
        self._late = stop if marked and late else None
        base, self._count = self._count, self._count + stop - first
        position = stop if marked and not late else None
        return PendingSplit(pickle.dumps(split.data, 5), split.size, position, stop - first, base, marked=True)

    def tell_late(self) -> None:
        if self._late is not None:
            self.late_mark(self._late)
            self._late = None

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        return Origin("", None, (base or 0) + record)

    def total(self) -> int | None:
        return None

    def close(self) -> None:
        self.ended = True


class RandomSkips(Balancing):
    """Passes workers over at random: any number of skip frames may come at any time."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(1)
        self._dice = dice

    def idle_soon(self, begun: Sequence[int]) -> bool:
        return self._dice.hits(0.5)

    def skips(self, sequence: int, begun: Sequence[int], most: int) -> int:
        return 1 + self._dice.upto(3) if self._dice.hits(0.3) else 0


class SlowWriter(SinkWriter):
    """A slow reader: everything taken is written at once, but there is no room for more before `let_go`."""

    MOST_WAITING = 40

    def __init__(self, sink: Any, *, slow: bool) -> None:
        super().__init__(sink)
        self._slow = slow
        self.queued = 0

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        if self.queued > self.MOST_WAITING:
            raise Violation(f"{self.queued} bytes wait for the slow reader, and more was taken")
        super().write(body, records, buffers)
        self.queued += len(body) if self._slow else 0

    def pauses_receiving(self) -> bool:
        return self.queued > self.MOST_WAITING

    def let_go(self) -> bool:
        """The reader takes everything that waits. Returns whether there was anything."""
        waited, self.queued = bool(self.queued), 0
        return waited


class Life(Session):
    """A run in the parent, from its beginning or resumption on."""

    def __init__(self, scenario: Scenario, disk: Disk, witness: Witness, *, resumed: bool) -> None:
        super().__init__(scenario.plan(), lambda event: None)
        self._scenario = scenario
        self._disk = disk
        self._witness = witness
        self.drained = False
        self._begin(self._made(scenario.plan(), resumed=resumed))
        if not self.done_before:
            self._tune(self.loop)

    @property
    def asked(self) -> int:
        return self._source.asked

    def _made(self, plan: Plan, *, resumed: bool) -> Made:
        scenario, disk = self._scenario, self._disk
        self._source = source = SimSource(scenario, disk.dice.upto(3))
        sinks = [SimSink(disk, keeps, number) for number, keeps in enumerate(scenario.sinks)]
        journal: Any = SimJournal(disk)
        beginning = resuming._decide(plan, source, sinks, Resume(wanted=resumed), self.tell, journal)
        letters: Any = SimLetters(disk)
        writers = self._writers(sinks)
        handed = (beginning.row or {}).get("handed", {})
        self.writer = BranchWriter(writers, beginning.leads, handed) if plan.branches else writers[0]
        more: Any = {"sinks": sink_names(scenario.sinks), "branches": plan.branches}
        delivery = Delivery(tuple(stage.name for stage in plan.stages), self.writer, letters, self.tell, {}, **more)
        if beginning.row is not None:
            delivery.ledger.restore(beginning.row["ledger"])
        if beginning.done:
            return Made(plan, beginning, delivery)
        reset_journal(plan, beginning, source, beginning.hash_seed or "1")
        delivery.open(beginning.row)
        after = None if beginning.row is None else beginning.row["position"]
        split_source: SplitSource = SourceSplits(source, after)
        if scenario.marks:
            split_source = SimMarked(scenario, source, disk.dice, after, delivery.ledger.taken)
        selector: Any = SimSelector()
        self.pool = SimPool(scenario, disk.dice, selector, self._witness)
        snapshots = start_workers(plan, beginning, self.writer, self.pool, self.tell)
        return Made(plan, beginning, delivery, chain=Chain(split_source, self.pool, selector, snapshots))

    def _writers(self, sinks: Sequence[SimSink]) -> Sequence[SinkWriter]:
        scenario, first = self._scenario, len(self._scenario.stages)
        if scenario.refusal:
            return [RefusingWriter(sink, first + number, scenario.refusal) for number, sink in enumerate(sinks)]
        writers = [SlowWriter(sink, slow=scenario.slow and len(sinks) == 1) for sink in sinks]
        self.slow = writers[0]
        return writers

    def _tune(self, loop: Loop) -> None:
        loop.window.charge = 10 * CHARGE if loop.dispatch.balances else CHARGE
        self.pool.glances = lambda: loop.dispatch.glance() is not None
        if self._scenario.least is not None:
            loop.window.least_frames, loop.window.least_records = self._scenario.least
        if self._scenario.deals:
            loop.dispatch.slow, loop.window.balancing = 0, RandomSkips(self._disk.dice)

    def _commit(self, *, finished: bool = False) -> None:
        super()._commit(finished=finished)
        if self.plan.branches:
            self._witness.committed(self.writer._ahead)  # private: no row says what a sink has still to skip
