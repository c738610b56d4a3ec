"""`show --sample N`: some records of the source through the chain, in this process, to see what each place costs.

splits ─▶ reading ─▶ stage ─▶ codec ─▶ stage ─▶ … ─▶ encoding ─▶ nowhere

Nothing is written: no output, no dead letters, no journal. Records go in rounds of frames as large as a run would make
them; the first rounds, up to a tenth of the sample, only warm up what imports late or fills a cache.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from stagerunner.chain.groups import Group, hires
from stagerunner.chain.hire import Hire
from stagerunner.config.masking import printing_aside
from stagerunner.engines.intake import Intake
from stagerunner.engines.trial import Place, Trial
from stagerunner.parts.files import know
from stagerunner.parts.source import Want
from stagerunner.plan import Plan
from stagerunner.records import Batch
from stagerunner.window.sizing import RANGE, Sizing

WARMING = 10
"""One in so many records may be spent on warming up."""

HORIZON = 12
"""Frames after which those of a run have the size that they keep."""

ROUND = 8 * 2**20
"""Bytes of the source in one round at most: what is in memory at a time."""

FULL = 8
"""How many times its concurrency an async stage should get in one round: the end of a round counts for little then."""


class Cost(Struct, frozen=True):
    """What one place of the chain costs, in seconds and bytes per source record.

    taken, given, failed: records in the whole sample; first: its first failure, in words. each: seconds per record of
    its own, 0 where it got none. work: how long a worker is taken up; cpu: of that, a core. size, encode, decode: of
    the hop behind it; of the sink, size is what it would write.
    """

    name: str
    taken: int
    given: int
    failed: int = 0
    first: str = ""
    each: float = 0.0
    work: float = 0.0
    cpu: float = 0.0
    size: float = 0.0
    encode: float = 0.0
    decode: float = 0.0


class Sample(Struct, frozen=True):
    """What was seen. records: of the source; timed: of these, not spent on warming up. frame: records a run would put
    into one. cutting: seconds it takes to supply a record, in the parent or, if streamed, in the source's own process.
    """

    records: int
    timed: int
    frame: float
    cutting: float
    streamed: bool
    source: Cost
    stages: tuple[Cost, ...]
    sink: Cost


def sample(plan: Plan, number: int, records: Iterable[Any] | None = None) -> Sample:
    """Take `number` source records through the chain. records: for a plan without a source.

    Raises SetupFailed for parts that can't be set up, RunFailed for a source that fails or records that can't be sent.
    """
    know(plan.files)
    with _as_a_worker(plan.secrets) as environment, selectors.DefaultSelector() as selector:
        hire = _hire(plan)
        environment.update(hire.env)
        source = Intake(plan, hire, selector, records)
        trial = Trial(hire)
        try:
            trial.setup()
            return _Sampling(plan, source, trial, number).run()
        finally:
            trial.close()
            source.supply.close()


@contextmanager
def _as_a_worker(secrets: Iterable[str]) -> Iterator[Any]:
    """The environment is a stage's to change, and what it prints is not what was asked for."""
    before = dict(os.environ)
    try:
        with printing_aside(secrets):
            yield os.environ
    finally:
        os.environ.clear()
        os.environ.update(before)


def _hire(plan: Plan) -> Hire:
    """One worker for all stages. Where nobody is told of failures none may end the run."""
    hire = next(hires(plan, (Group(plan.stages, 1),), 1, {}))
    return hire._replace(
        source=hire.source._replace(on_error="skip") if hire.source else None,
        sink=hire.sink._replace(on_error="skip") if hire.sink else None,
    )


class _Sampling:
    """Rounds, until there are enough records."""

    def __init__(self, plan: Plan, source: Intake, trial: Trial, number: int) -> None:
        self._source = source
        self._trial = trial
        self._number = number
        self._fixed = plan.run.frame
        self._sizing = Sizing(self._fixed)
        calls = (stage.work.concurrency for stage in plan.stages if stage.work.form.awaited)
        self._least = FULL * max(calls, default=0)

    def run(self) -> Sample:
        warming = None
        while batches := self._frames():
            self._trial.round(batches)
            self._learn(self._sizing)
            if self._trial.stopped:
                break
            if self._source.place.taken <= self._number // WARMING:
                warming = self._seen()
                self._forget()
        return self._seen() if warming is None or self._source.place.timed else warming

    def _frames(self) -> list[Batch]:
        """The batches of the next round: one, but for async stages."""
        batches: list[Batch] = []
        place, bytes_before = self._source.place, self._source.bytes
        least = min(self._number, place.taken + max(1, self._least))
        while place.taken < least and self._source.bytes - bytes_before < ROUND:
            left = self._number - place.taken
            batch = self._source.batch(Want(self._sizing.size, min(self._sizing.records, left)), left)
            if batch is None:
                break
            batches.append(batch)
        return batches

    def _learn(self, sizing: Sizing) -> None:
        """How large the next frames should be, from all that was timed so far."""
        source, stages = self._source.place, self._trial.stages
        before = [source.work, *(place.decode for place in stages)]
        behind = [*(place.encode for place in stages), 0.0]
        works = [place.work for place in stages] or [0.0]
        slowest = max(map(sum, zip(before, works, behind, strict=False)))
        widest = max((place.size for place in stages), default=0)
        grown = max((place.given for place in stages), default=0) / max(1, source.taken)
        sizing.learn(source.timed, self._source.bytes, int(1e9 * slowest), widest, int(grown * source.timed))

    def _forget(self) -> None:
        self._source.forget()
        self._trial.forget()

    def _seen(self) -> Sample:
        source, trial, timed = self._source, self._trial, self._source.place.timed
        return Sample(
            source.place.taken,
            timed,
            self._frame(),
            source.cutting.work / max(1, timed),
            source.streamed,
            _cost(source.place, timed),
            tuple(_cost(place, timed) for place in trial.stages),
            _cost(trial.sink, timed),
        )

    def _frame(self) -> float:
        """Records of a frame in a run that has gone on for some time."""
        sizing = Sizing(self._fixed)
        for _ in range(HORIZON):
            self._learn(sizing)
        most = RANGE * self._source.place.timed / max(1, self._source.bytes)
        return max(1.0, min(sizing.records, most))


def _cost(place: Place, timed: int) -> Cost:
    """Per source record, of which `timed` were timed."""
    n, own = max(1, timed), place.timed
    return Cost(
        place.name,
        place.taken,
        place.given,
        place.failed,
        place.first,
        place.work / own if own else 0.0,
        place.work / n,
        place.cpu / n,
        place.size / n,
        place.encode / n,
        place.decode / n,
    )
