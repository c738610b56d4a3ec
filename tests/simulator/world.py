"""The scheduler and the oracle of one simulated run: which process moves next, which dies, which promise is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from simulator.disk import Disk, ParentKilled, Violation
from simulator.life import Life
from simulator.pool import SimPool
from simulator.reference import Expected, Reference
from simulator.scenario import Dice, Scenario, draw, line
from simulator.workers import SimWorker

from stagerunner.errors import StageFailed, StagerunnerError
from stagerunner.records import BARRIER, SKIP, WHOLE
from stagerunner.window.isolation import STRIKES

MOST_MOVES = 400_000
"""After so many moves a run counts as endless, even if it makes progress."""

MOST_RESTARTS = 400
"""After so many deaths, a run should have ended or failed."""


def simulate(seed: int) -> World:
    """Run the scenario of a seed to its end. Raises Violation if a promise is broken."""
    world = World(draw(seed))
    world.run()
    return world


class World:
    """One run, over all lives of its parent."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.dice = Dice(scenario.seed ^ 0x5EED)
        self.disk = Disk(self.dice, len(scenario.sinks))
        self.expected: Expected = Reference(scenario).evaluate()
        self.moves = 0
        self.kills = 0
        self.deaths = 0
        self.restarts = 0
        self.regrouped = self.eased = False
        self.in_calls = self._demand = 0
        """The most records that were in calls as their worker died."""
        self.skips = 0
        self.gathered = any(stage.gathers for stage in scenario.stages)
        self.outcome = ""
        self.lives = 0
        self._idle = False
        self._struck: Counter[tuple[int, ...]] = Counter()
        self._innocent: set[tuple[int, int]] = set()
        self._inspected: set[int] = set()
        self._wanted = [
            b"".join(line(sink, value) for value in self.expected.output) for sink in range(len(scenario.sinks))
        ]
        self.led = 0
        """Lives that began with a sink ahead of the others."""

    def run(self) -> None:
        while not self.outcome:
            self.outcome = self._live()
            self.lives += 1
        self._judge()

    # A life

    def _live(self) -> str:
        """One life of the parent; returns how the run ended in it, or "" if the parent was killed."""
        self._struck.clear()
        self._innocent.clear()
        what, count = self.scenario.crashes[self.lives] if self.lives < len(self.scenario.crashes) else ("", 0)
        self.disk.fuse = count if what == "disk" else None
        self.disk.between = count if what == "lead" else None
        try:
            life = Life(self.scenario, self.disk, self, resumed=self.lives > 0)
            self.led += bool(life._beginning.leads)
            return self._step_through(life, count if what == "step" else -1)
        except ParentKilled:
            return ""

    def _step_through(self, life: Life, steps: int) -> str:
        drains = self.scenario.drains == self.lives
        try:
            while not life.over:
                moved = self._let_others_move(life.pool)
                steps -= 1
                if steps == 0:
                    raise ParentKilled
                if self._asked(life, drains) or life.pool.news or not self._idle:
                    self._step(life)
                elif self._reader_moves(life, moved=moved):
                    life.pool.news = True
                elif not moved and not self._anybody_moves(life.pool):
                    raise Violation("no process can move")
            if drains and not life.done_before and life.drained:
                life.interrupted()
                life.delivery.abort()
                self._check_early_ledger(life)
                return ""
            life.finish()
        except (ParentKilled, Violation):
            raise
        except StagerunnerError as error:
            life.delivery.abort()
            if not isinstance(error, StageFailed):
                return "trouble"
            self._check_early_ledger(life)
            return "failed"
        self._check_ledger(life)
        return "complete"

    def _reader_moves(self, life: Life, *, moved: bool) -> bool:
        """The slow reader reads at last, though not at once."""
        reader = getattr(life, "slow", None)
        return reader is not None and reader.queued and (not moved or self.dice.hits(0.3)) and reader.let_go()

    def _asked(self, life: Life, drains: bool) -> bool:
        """Perhaps ask the loop for a checkpoint, or to stop in good order."""
        asked = self.dice.hits(self.scenario.checkpoints)
        if asked:
            life.loop.checkpoint()
        if drains and self.dice.hits(0.05):
            life.loop.halt() if self.dice.hits(0.7) else life.loop.drain()
            life.drained = True
            return True
        return asked

    def _step(self, life: Life) -> None:
        before = life.pool.activity, life.asked
        life.step(0)
        self._idle = (life.pool.activity, life.asked) == before
        if not self._idle:
            self._check_window(life)
        self.restarts = life.loop.restarts
        self.regrouped |= life.pool.regrouped
        self.eased |= life.pool.eased
        self.in_calls = max(self.in_calls, life.pool.in_calls)
        self.skips += sum(sent.kind == SKIP for sent in life.loop.window.on_way)
        if self.restarts > MOST_RESTARTS:
            raise Violation("restarts without end")

    # Moves

    def _let_others_move(self, pool: SimPool) -> bool:
        """Some moves of workers and pipes, and perhaps a death. Returns whether anything moved."""
        random, choices, burst, moved = self.dice.random, pool.choices, self.scenario.burst, False
        misses = len(choices)
        for _ in range(1 + int(random() * self.scenario.patience)):
            move = choices[int(random() * len(choices))]
            for _ in range(burst):
                self.moves += 1
                if not move():
                    misses -= 1
                    break
                moved = True
                if random() < 0.05:
                    break
            if not misses:
                break
        if self.moves > MOST_MOVES:
            raise Violation("the run doesn't end")
        most, chance = self.scenario.kills
        if self.kills < most and self.dice.hits(chance):
            self._kill(self.dice.one_of(pool.workers))
            if self.dice.hits(0.2):
                self._kill(self.dice.one_of(pool.workers))
        return moved

    def _anybody_moves(self, pool: SimPool) -> bool:
        """Let every worker and pipe move once, if it can."""
        return sum([move() for move in pool.choices]) > 0

    def _kill(self, worker: SimWorker) -> None:
        """A SIGKILL from outside, unless it would be the second to hit the same innocent record alone."""
        slot = worker.slot
        if worker.state != "alive":
            return
        if slot.holding and slot.marked and slot.last - slot.first == 1:
            if (slot.split, slot.first) in self._innocent:
                return
            self._innocent.add((slot.split, slot.first))
        self.kills += 1
        worker.end("dead")

    # What the oracle checks during the run

    def died(self, worker: SimWorker) -> None:
        """A worker has died, by itself or killed from outside."""
        self.deaths += 1
        slot = worker.slot
        if slot.holding and slot.marked and slot.last - slot.first == 1:
            ordinal = slot.ordinal if slot.origin >= 0 else WHOLE
            self._struck[slot.split, worker.runner.index, slot.first, ordinal] += 1

    def quarantined(self, split: int, stage: int, origin: int, ordinal: int) -> None:
        """A worker has skipped this record because it is quarantined."""
        if self._struck[split, stage, origin, ordinal] < STRIKES:
            raise Violation(f"record {origin} of split {split} was quarantined innocently")

    def committed(self, ahead: Mapping[int, int]) -> None:
        """A row was committed. Each of several sinks is exact by itself, and those that are not ahead agree."""
        for output, wanted in zip(self.disk.outputs, self._wanted, strict=True):
            if not wanted.startswith(output.data):
                raise Violation(f"a sink has {bytes(output.data)!r}, no beginning of {wanted!r}")
        lines = [output.lines for number, output in enumerate(self.disk.outputs) if not ahead.get(number)]
        if len(set(lines)) > 1 or any(output.lines < max(lines, default=0) for output in self.disk.outputs):
            raise Violation(f"sinks that should agree have {[one.lines for one in self.disk.outputs]} records")

    def _check_window(self, life: Life) -> None:
        window = life.loop.window
        largest = max(3 + 5 * max(self.scenario.lengths), 8)
        flushes = 16 * len(self.scenario.stages)
        if window.bytes_kept > self.scenario.window + largest + flushes:
            raise Violation(f"{window.bytes_kept} bytes are kept")
        splits = {s.split.number for s in window.on_way if s.split and s.split.flush < 0 and not s.split.done}
        # Private, since only lists that are full show it. What has been sent isn't taken back when less is needed.
        self._demand = demand = max(self._demand, life.loop.dispatch._demand.records)
        most = max(window.least_frames, window.least_records, demand) + life.pool.most_opened
        if self.scenario.deals:  # what waits behind a slow frame is bounded by bytes alone, and some for each frame
            charged = window.bytes_kept + window.charge * (len(window.on_way) - most)
            most = len(splits) if charged <= self.scenario.window + largest + flushes else most
        if len(splits) > most:
            raise Violation(f"{len(splits)} splits are on their way")
        if not window.stateful and self.scenario.resumable:  # else what was accepted passes again, and may be suspected
            self._check_inspections(life)
        if sum(sent.kind == BARRIER for sent in window.on_way) > 1:
            raise Violation("two barriers are on their way")

    def _check_inspections(self, life: Life) -> None:
        """No split is inspected that is accepted, and booked since the last check."""
        known = {kept.number for kept in life.loop.window.kept if not kept.done}
        over = (
            set(life.loop._restart.isolation.inspections) - known
        )  # private, since only the speed of a run depends on it
        if over & self._inspected:
            raise Violation("a split was accepted, and is still suspected")
        self._inspected = over

    def _check_ledger(self, life: Life) -> None:
        ledger, expected = life.delivery.ledger, self.expected
        if not ledger.balanced:
            raise Violation(f"the ledger does not balance: {ledger.as_rows()}")
        if not expected.stopped and ledger.as_rows() != expected.ledger.as_rows():
            raise Violation(f"the ledger says {ledger.as_rows()}, not {expected.ledger.as_rows()}")

    def _check_early_ledger(self, life: Life) -> None:
        """The ledger of a run that failed or was stopped: `out` was written, `dead` are the dead letters."""
        ledger = life.delivery.ledger
        if not ledger.balanced:
            raise Violation(f"the ledger of a run that ended early does not balance: {ledger.as_rows()}")
        for number, (keeps, output) in enumerate(zip(self.scenario.sinks, self.disk.outputs, strict=True)):
            sink = ledger.entries[len(self.scenario.stages) + number]
            out = sink.out if self.scenario.refusal else ledger.out
            if keeps == "truncate" and out != output.lines:
                raise Violation(f"{output.lines} records were written, and {out} are out")
        if ledger.dead != len(self.disk.letters):
            raise Violation(f"there are {len(self.disk.letters)} dead letters, and the ledger says {ledger.dead}")

    # What the oracle checks at the end

    def _judge(self) -> None:
        expected = self.expected
        if self.outcome == "trouble":
            raise Violation("the run was given up")
        if self.outcome == "complete" and expected.fatal:
            raise Violation("the run should have failed")
        if self.outcome == "failed" and not expected.fatal:
            raise Violation("the run should not have failed")
        for keeps, output, wanted in zip(self.scenario.sinks, self.disk.outputs, self._wanted, strict=True):
            self._judge_output(keeps, bytes(output.data), wanted)
        letters = Counter(
            (line["stage"], line["origin"]["name"], line["origin"]["number"], line.get("record"), line["type"])
            for line in self.disk.letters
        )
        if letters != expected.letters and (self.outcome == "complete" or letters - expected.letters):
            raise Violation(f"dead letters: {letters}, not {expected.letters}")

    def _judge_output(self, keeps: str, output: bytes, wanted: bytes) -> None:
        whole = self.outcome == "complete" or (self.outcome == "failed" and keeps == "truncate")
        if whole and output != wanted:
            raise Violation(f"the output is {output!r}, not {wanted!r}")
        if not wanted.startswith(output):
            raise Violation(f"the output is {output!r}, no beginning of {wanted!r}")
        if self.outcome == "complete" and not all(one.renamed for one in self.disk.outputs):
            raise Violation("nothing was renamed")
        if self.outcome == "complete" and (self.disk.entry is None or self.disk.entry.state != "done"):
            raise Violation("the journal does not say that the run is done")
