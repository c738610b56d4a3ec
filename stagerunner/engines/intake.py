"""Where the records of a sample come from: splits as the parent cuts them, read as the first worker does."""

from __future__ import annotations

import pickle
import selectors
from collections.abc import Iterable
from typing import Any

from stagerunner.chain.hire import Hire
from stagerunner.chain.station import reading
from stagerunner.chain.supply import GivenRecords, Offer, SourceSplits, StandardInput, Supply
from stagerunner.engines.stopwatch import Stopwatch
from stagerunner.engines.trial import Place
from stagerunner.errors import RunFailed, SetupFailed
from stagerunner.evaluate.loading import load
from stagerunner.parts.source import Want, is_stream
from stagerunner.plan import Plan
from stagerunner.records import TO_THE_END, Batch, Split


class Intake:
    """Batches of source records. place: reading them; cutting: supplying them. bytes: of the source, since `forget`."""

    def __init__(self, plan: Plan, hire: Hire, selector: selectors.BaseSelector, records: Iterable[Any] | None) -> None:
        self.place = Place("source")
        self.cutting = Place("the parent")
        self.bytes = 0
        self._selector = selector
        self.supply = _supply(plan, selector, records)
        self.streamed = plan.source is not None and isinstance(self.supply, GivenRecords)
        found = reading(hire)
        assert found is not None  # the worker of all stages is the first one
        self._reading = found

    def batch(self, want: Want, most: int) -> Batch | None:
        """The next `most` records at most; None at the end."""
        offer = self._offer(want)
        if offer is None:
            return None
        self.bytes += offer.size
        watch = Stopwatch()
        split = Split(pickle.loads(offer.payload), 0)
        last = TO_THE_END if offer.most is None else offer.most
        batch = self._reading.batch(split, 0, min(last, most))
        self.place.spent(watch.stop())
        self._book(batch)
        return batch

    def _offer(self, want: Want) -> Offer | None:
        """Raises RunFailed where the source does."""
        watch = Stopwatch()
        offer = self.supply.next(want)
        self.cutting.spent(watch.stop())
        if offer is None and self.supply.error is not None:
            raise RunFailed(f"the source failed: {self.supply.error}") from self.supply.error
        if offer is not None or self.supply.ended:
            return offer
        for key, _ in self._selector.select():
            key.data()
        return self._offer(want)

    def _book(self, batch: Batch) -> None:
        self.place.came(sum(counts.taken for counts in batch.counts), len(batch.records))
        broken = next((failure for failure in batch.failures if failure.policy == "fail"), None)
        if broken is not None:
            raise RunFailed(f"the source failed: {broken.type}: {broken.message}")
        self.place.blame(batch.failures)
        batch.failures, batch.counts = [], []

    def forget(self) -> None:
        self.place.forget()
        self.cutting.forget()
        self.bytes = 0


def _supply(plan: Plan, selector: selectors.BaseSelector, records: Iterable[Any] | None) -> Supply:
    """What the parent would have; of a stream, what its own process would do. Raises SetupFailed."""
    if plan.source is None:
        return GivenRecords(() if records is None else records, plan.run.linger)
    try:
        found = load(plan.source.part.target)
        source = found(**plan.source.options)
        if is_stream(found):
            return GivenRecords(source, plan.run.linger)
        source.max_record = plan.run.max_record
        return StandardInput(source, selector) if getattr(source, "stdin", False) else SourceSplits(source, None)
    except Exception as error:
        raise SetupFailed(f"the source could not be set up: {type(error).__name__}: {error}") from error
