"""The expected result: the chain evaluated record by record in one plain loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.behaviour import CALLS, Died, Flaw, Memory, flush, form_of, kills_in_decoding
from simulator.scenario import Scenario, key_of, sink_names

from stagerunner.delivery.ledger import Ledger
from stagerunner.records import SOURCE, Counts

Letter = tuple[str, str, int, int | None, str]
"""(stage, name of the origin, number of the record there, record as the stage got it, type)."""


@dataclass(slots=True)
class Expected:
    """The output, the dead letters, the ledger; `fatal`: the run fails. `stopped`: a stage needed no more."""

    output: list[int] = field(default_factory=list)
    letters: Counter[Letter] = field(default_factory=Counter)
    ledger: Ledger = field(default_factory=lambda: Ledger(0, sinks=1))
    fatal: bool = False
    stopped: bool = False


class _Fatal(Exception):
    pass


class Reference:
    """One sequential evaluation."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._stages = scenario.stages
        self._memories = [Memory() for _ in self._stages]
        self._stop = -1
        self._counts: list[Counts] = []
        self._letters: list[tuple[int, int | None, str]] = []
        self._keys: set[int] = set()
        self._sinks = range(len(self._stages), len(self._stages) + len(scenario.sinks))
        ledger = Ledger(len(self._stages), sinks=len(self._sinks), branches=len(self._sinks) > 1)
        self.found = Expected(ledger=ledger)

    def evaluate(self) -> Expected:
        try:
            self._read()
            self._flush()
        except _Fatal:
            self.found.fatal = True
        self.found.stopped = self._stop >= 0
        return self.found

    def _read(self) -> None:
        for number, value in enumerate(self._scenario.values[: self._scenario.limit]):
            if self._scenario.readable(value):
                self._counts = [Counts(SOURCE, taken=1, out=1)]
                self._follow([value], 0, "", number)
            else:
                self._malformed(number, value)
            if self._stop >= 0:
                return

    def _malformed(self, number: int, value: int) -> None:
        policy = self._scenario.on_error
        if policy == "fail":
            raise _Fatal
        skipped = int(policy == "skip")
        self.found.ledger.add([Counts(SOURCE, taken=1, skipped=skipped, dead=1 - skipped)])
        if not skipped:
            self.found.letters["source", "", number, value, "Malformed"] += 1

    def _flush(self) -> None:
        for index, stage in enumerate(self._stages):
            if not form_of(stage).flushes or index <= self._stop:
                continue
            for number, value in enumerate(flush(stage, self._memories[index])):
                self._counts = [Counts(index, created=1, out=1)]
                self._follow([value], index + 1, f"flush of {stage.kind}-{index}", number)
                if self._stop > index:
                    break

    def _follow(self, values: list[int], start: int, origin: str, number: int) -> None:
        """One source record through the stages. If one of them fails the run, nothing of the record counts."""
        self._letters = []
        for index in range(start, len(self._stages)):
            values = self._pass(index, values)
        refused = self._refused(values) if self._scenario.refusal else []
        if not self._scenario.refusal:
            self.found.output += values
        taken = len(values) - len(refused)
        ends = [Counts(sink, taken=len(values), out=taken) for sink in self._sinks]
        for end in ends if refused else ():
            end.fail(self._scenario.refusal, len(refused))
        self.found.ledger.add([*self._counts, *ends])
        for name in sink_names(self._scenario.sinks) if self._scenario.refusal == "dead_letter" else ():
            for value in refused:
                self.found.letters[name, origin, number, value, "KeyError"] += 1
        for index, value, kind in self._letters:
            self.found.letters[f"{self._stages[index].kind}-{index}", origin, number, value, kind] += 1

    def _refused(self, values: list[int]) -> list[int]:
        """Write the values that each sink takes; the others."""
        refused = []
        for value in values:
            (refused if key_of(value) in self._keys else self.found.output).append(value)
            self._keys.add(key_of(value))
        return refused

    def _pass(self, index: int, values: list[int]) -> list[int]:
        stage, memory = self._stages[index], self._memories[index]
        counts, out = Counts(index, taken=len(values)), list[int]()
        self._counts.append(counts)
        if kills_in_decoding(stage, values):
            self._lose(index, [None] * len(values), counts, "Killed")
            return []
        for place, value in enumerate(values):
            found = self._call(index, value, counts)
            if found is not None:
                counts.created += max(0, len(found) - 1)
                counts.filtered += not found
                out += found
            if memory.enough:
                memory.enough = False
                self._stop = index if self._stop < 0 else self._stop
                counts.not_processed += len(values) - place - 1
                break
        counts.out = len(out)
        return out

    def _call(self, index: int, value: int, counts: Counts) -> list[int] | None:
        stage = self._stages[index]
        if stage.kind != "poison" or not stage.meets(value):  # nothing is known of what a killed worker counted
            counts.add(Counts(index, extra={"calls": 1}))
        try:
            return CALLS[stage.kind](stage, self._memories[index], value)
        except (Flaw, Died) as failure:
            self._lose(index, [value], counts, "Killed" if isinstance(failure, Died) else "Flaw")
            return None

    def _lose(self, index: int, values: Sequence[int | None], counts: Counts, kind: str) -> None:
        policy = self._stages[index].on_error
        if policy == "fail":
            raise _Fatal
        if policy == "skip":
            counts.skipped += len(values)
        else:
            counts.dead += len(values)
            self._letters += [(index, value, kind) for value in values]
