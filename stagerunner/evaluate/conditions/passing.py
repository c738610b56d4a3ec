"""`when`: records for which its expression isn't true pass the stage at their place, untouched and uncopied.

A record that passes waits for no rate, takes no place in a memo, and is counted as `passed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stagerunner.evaluate.conditions.expression import Expression
from stagerunner.evaluate.failures import failure_of
from stagerunner.evaluate.outcome.cursor import Refusals
from stagerunner.evaluate.outcome.growth import ResultList
from stagerunner.evaluate.outcome.pending_batch import CallOutcome
from stagerunner.evaluate.stage_api import count
from stagerunner.evaluate.work import Work

Call = Callable[[Any], Any]


class Passing:
    """Which records pass a stage, and what they give there."""

    def __init__(self, work: Work) -> None:
        self._holds = Expression(work.when)
        self._many, self._batch = work.form.many, work.form.batch

    def passes(self, record: Any) -> bool:
        """Whether the record passes; counts it if so. Raises what the expression raises."""
        if self._holds(record):
            return False
        count("passed")
        return True

    def flags(self, records: Iterable[Any]) -> list[bool]:
        """Whether each of these passes; counts none. Raises what the expression raises."""
        return [not self._holds(record) for record in records]

    def given(self, record: Any) -> Any:
        """What stands for a record that passes, in the form in which the stage gives results."""
        return [record] if self._many else record

    def one(self, call: Call) -> Call:
        """The call of a transform that takes one record."""
        return lambda record: self.given(record) if self.passes(record) else call(record)

    def collecting(self, call: Call, results: ResultList) -> Call:
        """A call that adds the results of its record to a list, and returns how many there are."""
        return lambda record: results.add((record,)) if self.passes(record) else call(record)

    def lists(self, call: Call) -> Call:
        """The call of a batch transform, for the records of its list that don't pass."""

        def called(records: list[Any]) -> list[Any]:
            passing = list(map(self.passes, records))
            taken = self.taken(records, passing)
            return self.merged(records, passing, call(taken) if taken else ())

        return called

    def outcomes(self, records: list[Any], refusals: Refusals) -> Iterator[CallOutcome]:
        """What is known of a batch before any call: who passes, and for whom the expression fails."""
        for index, record in enumerate(records):
            if index in refusals:
                continue
            try:
                if not self._holds(record):
                    found = [self.given(record)] if self._batch else self.given(record)
                    yield CallOutcome(index, index + 1, found, {"passed": 1})
            except BaseException as error:
                yield CallOutcome(index, index + 1, failure_of(error))

    @staticmethod
    def taken(records: list[Any], passing: list[bool]) -> list[Any]:
        return [record for record, passes in zip(records, passing, strict=True) if not passes]

    def merged(self, records: list[Any], passing: list[bool], found: Iterable[Any]) -> list[Any]:
        """One result for each record: what was found for those taken, in order, and what the others give."""
        results = iter(found)
        return [
            self.given(record) if passes else next(results) for record, passes in zip(records, passing, strict=True)
        ]
