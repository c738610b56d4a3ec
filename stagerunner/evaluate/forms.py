"""The loops that call a transform for the records of a batch, one for each form of transform.

The loop for a plain function decides how fast a run is, so for a record that succeeds it only calls and appends. It is
a plain `for`: `list(map(…))` ends without an error when a transform raises StopIteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.failures import CallFailure, Refusal, WrongList, failure_of, patiently, retry
from stagerunner.evaluate.limits.pacing import Pacer
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.outcome.cursor import Cursor, Grouping, Refusals
from stagerunner.evaluate.outcome.growth import ResultList, close_quietly
from stagerunner.evaluate.work import Slot, Work

Call = Callable[[Any], Any]


def call_each(call: Call, outcome: BatchOutcome) -> None:
    """Call with each record, for one result each; None is a failure."""
    results = outcome.results
    for record in outcome.cursor.rest:
        try:
            result = call(record)
        except BaseException as error:
            result = outcome.retry(call, failure_of(error))
        if result is None:
            outcome.add_none()
        else:
            # `results.append(…)` is 8 ns faster than calling a bound method kept in a local.
            results.append(result)


def call_filter(call: Call, outcome: BatchOutcome) -> None:
    """Call with each record, for one result or None each; None drops the record.

    Nones are taken out once, at the end: a filter may drop nearly all records, and a method call for each would be most
    of the work.
    """
    results = outcome.results
    for record in outcome.cursor.rest:
        try:
            results.append(call(record))
        except BaseException as error:
            results.append(outcome.retry(call, failure_of(error)))
    outcome.drop_nones()


def collecting(call: Call, result_list: ResultList) -> Call:
    """A call that adds a record's results to the list and returns how many there are."""
    return lambda record: result_list.add(call(record))


def call_many(call: Call, outcome: BatchOutcome, result_list: ResultList, most: int) -> None:
    """Call with each record, for any number of results, which `call` adds to the list.

    Returns when the batch ends, or a piece of at least `most` results.
    """
    outcome.results = result_list.results
    start, sizes = outcome.cursor.index + 1, list[int | None]()
    for record, origin in zip(outcome.cursor.rest, outcome.source_records, strict=False):
        result_list.begin(origin)
        try:
            number = call(record)
        except BaseException as error:
            number = outcome.retry(call, failure_of(error))
        sizes.append(number)
        if len(result_list.results) >= most and outcome.at_source_end:
            break
    outcome.add_sizes(outcome.without_dropped(start, sizes), outcome.origins_of(start, start + len(sizes)))


def call_lists(call: Call, outcome: BatchOutcome, groups: Grouping, most: int) -> None:
    """Call with lists of records, for a list with one result for each record.

    Returns when the batch ends, or a piece of at least `most` results.
    """
    cursor = outcome.cursor
    while not cursor.over:
        start = cursor.index + 1
        group = cursor.take(groups.end(start) - start)
        end = start + len(group)
        counters = outcome.counters()
        found = _call_list(call, group, outcome, start, end)
        if found is None:
            outcome.rewind(counters, start, end)
            groups.one_by_one(end)
        elif isinstance(found, CallFailure):
            fail_all(outcome, start, end, found)
        else:
            outcome.add_list(start, end, found)
        if len(outcome.results) >= most and outcome.at_source_end:
            return


def _call_list(
    call: Call, group: list[Any], outcome: BatchOutcome, start: int, end: int
) -> list[Any] | CallFailure | None:
    """The results of a list, its failure, or None if its records are to be tried one by one."""
    try:
        found: list[Any] = call(group)
        return found
    except BaseException as error:
        call_failure = failure_of(error)
    argument, work, pause = partial(outcome.originals, start, end), outcome.work, outcome.pause
    later: list[Any] | CallFailure
    if end - start == 1 or work.form.state or call_failure.whole:
        later = retry(call, argument, call_failure, work, pause)
        return later
    later = patiently(call, argument, call_failure, pause)
    return None if isinstance(later, CallFailure) else later


def fail_all(outcome: BatchOutcome, start: int, end: int, call_failure: CallFailure) -> None:
    """Record this failure for all records of a list; only for the first if a failure ends the run."""
    for index in range(start, end):
        outcome.fail(index, call_failure)
        if outcome.halted:
            return


def checking_list(call: Call, work: Work, copy: Call) -> Call:
    """A call of a batch transform that checks and copies the list it returns."""
    return lambda group: as_list(call(group), len(group), work, copy)


def as_list(found: Any, number: int, work: Work, copy: Call = defensive_copy) -> list[Any]:
    """What a batch transform returned for so many records: one copied result for each, or one list of copied results.

    Raises WrongList if it isn't a list of this length.
    """
    take = partial(_results_of, growth=work.growth, copy=copy) if work.form.many else copy
    if isinstance(found, Iterator):
        return _drawn(found, number, take)
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise WrongList("NotAList", f"returned {type(found).__name__}; a batch transform returns a list of results")
    if len(found) != number:
        raise wrong_length(str(len(found)), number)
    return list(map(take, found))


def _drawn(found: Iterator[Any], number: int, take: Call) -> list[Any]:
    """The results of an iterator, each copied as it comes. Raises WrongList, also if it is endless."""
    try:
        results = [take(result) for result in islice(found, number)]
        if len(results) < number:
            raise wrong_length(str(len(results)), number)
        if next(found, found) is not found:
            raise wrong_length(f"more than {number}", number)
        return results
    finally:
        close_quietly(found)


def wrong_length(given: str, number: int) -> WrongList:
    """The refusal of so many results for this number of records."""
    records = "1 record" if number == 1 else f"{number} records"
    rule = "a batch transform gives one for each, in order; None, where `-> list[T | None]` says so, drops a record"
    return WrongList("WrongLength", f"returned {given} result{'s' * (given != '1')} for {records}; {rule}")


def _results_of(results: Any, growth: int, copy: Call) -> list[Any]:
    """The results of one record of a batch transform that gives lists."""
    if results is not None and (isinstance(results, str | bytes) or not isinstance(results, Iterable)):
        rule = "with many=True each result is a list of records"
        raise WrongList("NotAList", f"returned {type(results).__name__} in its list; {rule}")
    result_list = ResultList(growth, copy)
    result_list.add(results)
    return result_list.results


def refusing(call: Call, cursor: Cursor, refusals: Refusals) -> Call:
    """A call that raises Refusal for quarantined records. In a batch transform each is a list of its own."""

    def refuse_or_call(argument: Any) -> Any:
        refusal = refusals.get(cursor.index)
        if refusal is not None:
            raise Refusal(*refusal)
        return call(argument)

    return refuse_or_call


def paced(call: Call, pacer: Pacer) -> Call:
    """A call that first waits until the stage's rate and its pause allow it."""

    def wait_and_call(argument: Any) -> Any:
        pacer.wait()
        return call(argument)

    return wait_and_call


def noting_record(call: Call, cursor: Cursor, slot: Slot, *, lists: bool) -> Call:
    """A call that notes in the slot which record is being processed. lists: it takes lists of records."""

    def enter_and_call(argument: Any) -> Any:
        if lists and len(argument) > 1:
            slot.enter(cursor.index - len(argument) + 1, alone=False)
        else:
            slot.enter(cursor.index)
        try:
            return call(argument)
        finally:
            slot.leave()

    return enter_and_call
