"""The stages of a chain in this process, one after the other, with a clock for each and for each hop between them.

It is what workers do, without their pipes: the same evaluators, the same codec. A failure costs its record alone,
whatever `on_error` says, and nobody is told to flush: what a stage gives at its end says nothing of a record's cost.
The codec waits for nothing, so its clock is that of the processor; a stage may wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import ceil
from time import process_time

from msgspec import Struct

from stagerunner.chain.cargo import Cargo
from stagerunner.chain.describing import describe
from stagerunner.chain.hire import Hire
from stagerunner.chain.notes import Notes, pack_notes, unpack_payload
from stagerunner.chain.passage import halved
from stagerunner.chain.station import writing
from stagerunner.chain.worker import call_hooks
from stagerunner.engines.stopwatch import Spent, Stopwatch
from stagerunner.errors import RunFailed, SetupFailed
from stagerunner.evaluate.ends import Writing
from stagerunner.evaluate.evaluator import AwaitingEvaluator, Evaluator, make
from stagerunner.evaluate.growth import TooLarge
from stagerunner.records import Batch, Failure


class Place(Struct):
    """One place of the chain: the source, a stage or the sink. Of the whole sample: taken, given, failed, first.

    Of the records since `forget`: timed, how many were taken; work, cpu, encode, decode in seconds, size in bytes.
    encode, decode, size: of the hop behind a stage. first: the first failure, in words.
    """

    name: str
    taken: int = 0
    given: int = 0
    failed: int = 0
    first: str = ""
    timed: int = 0
    work: float = 0.0
    cpu: float = 0.0
    size: int = 0
    encode: float = 0.0
    decode: float = 0.0

    def forget(self) -> None:
        """Begin to measure anew: what came so far was a warming up."""
        self.timed = self.size = 0
        self.work = self.cpu = self.encode = self.decode = 0.0

    def came(self, taken: int, given: int) -> None:
        self.taken += taken
        self.given += given
        self.timed += taken

    def spent(self, spent: Spent, share: float = 1.0) -> None:
        """share: of the time, where the place could have done more in it."""
        self.work += max(spent.cpu, spent.time * share)
        self.cpu += spent.cpu

    def blame(self, failures: Iterable[Failure]) -> None:
        """Raises KeyboardInterrupt where a transform swallowed one: it was meant for us."""
        for failure in failures:
            if failure.type == "KeyboardInterrupt":
                raise KeyboardInterrupt
            self.failed += 1
            self.first = self.first or f"{failure.type}: {failure.message}"


class Trial:
    """All stages of one hire. Between `setup` and `close` it can be given batches, a round of them at a time."""

    def __init__(self, hire: Hire) -> None:
        self._hire = hire
        self._evaluators = [make(work._replace(on_error="skip")) for work in hire.works]
        self.stages = [Place(work.name) for work in hire.works]
        self.sink = Place("sink")
        self.stopped = False
        """A stage has said that it needs no more."""
        self._cargos = [Cargo(None, 1) for _ in hire.works]
        self._hops = [
            Writing(cargo, work.index, "skip", books=False)
            for cargo, work in zip(self._cargos, hire.works, strict=True)
        ]

    def setup(self) -> None:
        """Raises SetupFailed for whatever the user's code raises."""
        name = "the chain"
        try:
            call_hooks(self._hire.started_hooks, self._hire)
            self._writing = writing(self._hire)
            for evaluator in self._evaluators:
                name = evaluator.work.name
                evaluator.setup()
        except Exception as error:
            raise SetupFailed(f"{name} could not be set up: {describe(error)}") from error

    def close(self) -> None:
        """What is raised now interests nobody: nothing depends on a sample."""
        with suppress(Exception):
            call_hooks(self._hire.stopping_hooks, self._hire)
        for evaluator in self._evaluators:
            with suppress(Exception):
                evaluator.close()

    def forget(self) -> None:
        for place in (*self.stages, self.sink):
            place.forget()

    def round(self, batches: Sequence[Batch]) -> None:
        """Take these through all stages and encode them for the sink, where there is one."""
        last = len(self.stages) - 1
        for number, evaluator in enumerate(self._evaluators):
            batches = self._worked(self.stages[number], evaluator, batches)
            if number < last or self._writing is None:
                batches = [self._passed(number, batch) for batch in batches]
        if self._writing is not None:
            for batch in batches:
                self._encoded(self._writing, batch)

    def _worked(self, place: Place, evaluator: Evaluator, batches: Sequence[Batch]) -> list[Batch]:
        """One stage over a round, its clocks running."""
        taken = sum(len(batch.records) for batch in batches)
        watch = Stopwatch()
        if isinstance(evaluator, AwaitingEvaluator):
            pieces = list(_overlapping(evaluator, batches))
        else:
            pieces = [piece for batch in batches for piece in evaluator.pieces(batch)]
        spent = watch.stop()
        place.spent(spent, fullness(evaluator, batches))
        pieces = self._until_stop(pieces)
        place.came(taken, sum(len(piece.records) for piece in pieces))
        for piece in pieces:
            place.blame(piece.failures)
            piece.failures, piece.counts = [], []
        return pieces

    def _until_stop(self, pieces: list[Batch]) -> list[Batch]:
        stop = next((number for number, piece in enumerate(pieces, 1) if piece.stop), None)
        self.stopped |= stop is not None
        return pieces[:stop]

    def _passed(self, number: int, batch: Batch) -> Batch:
        """A batch as the next worker gets it."""
        place, cargo = self.stages[number], self._cargos[number]
        began = process_time()
        body = self._hops[number].body(batch)
        payload = b"".join((pack_notes(Notes(batch.origins, laden=cargo.laden)), body))
        encoded = process_time()
        try:
            notes, view = unpack_payload(payload)
            records = cargo.records(notes.laden, -1, view)
        except Exception as error:
            raise RunFailed(f"what {place.name} gives can't be unpickled: {describe(error)}") from error
        place.encode += encoded - began
        place.decode += process_time() - encoded
        place.size += cargo.size
        place.blame(batch.failures)
        return Batch(records, batch.first, batch.last, notes.origins)

    def _encoded(self, writing: Writing, batch: Batch) -> None:
        taken, began = len(batch.records), process_time()
        try:
            self.sink.size += len(writing.body(batch))
        except TooLarge:  # a worker sends it in several frames
            for part in halved(batch):
                self._encoded(writing, part)
            return
        spent = process_time() - began
        self.sink.work += spent
        self.sink.cpu += spent
        self.sink.came(taken, len(batch.records))
        self.sink.blame(batch.failures)


def _overlapping(evaluator: AwaitingEvaluator, batches: Sequence[Batch]) -> Iterator[Batch]:
    """As many calls under way as there may be."""
    for batch in batches:
        while not evaluator.room():
            yield from evaluator.poll()
        evaluator.begin(batch)
    while evaluator.under_way:
        yield from evaluator.poll()


def fullness(evaluator: Evaluator, batches: Sequence[Batch]) -> float:
    """How full an async stage was on average: 20 calls of which 16 may be under way take as long as 32 would."""
    work = evaluator.work
    if not work.form.awaited or work.form.state:
        return 1.0
    longest = (work.batch or None) if work.form.batch else 1
    calls = sum(ceil(len(batch.records) / longest) if longest else 1 for batch in batches)
    return calls / (ceil(calls / work.concurrency) * work.concurrency) if calls else 1.0
