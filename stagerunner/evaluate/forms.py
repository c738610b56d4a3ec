"""The loops: how each form of transform is called for the records of a batch.

The loop for a plain function is what a whole run waits for, so it does nothing for a record that succeeds but call
and append. A plain `for` is also the only form that survives a transform raising StopIteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import sleep
from typing import Any

from stagerunner.evaluate.batch_outcome import BatchOutcome
from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.cursor import Cursor, Grouping, Refusals
from stagerunner.evaluate.failures import CallFailure, Refusal, failure_of, retry
from stagerunner.evaluate.growth import ResultList
from stagerunner.evaluate.rate import RateLimiter
from stagerunner.evaluate.work import Slot

Call = Callable[[Any], Any]


def call_each(call: Call, outcome: BatchOutcome) -> None:
    """A record in, a record out; None is a failure."""
    results = outcome.results
    for record in outcome.cursor.rest:
        try:
            result = call(record)
        except BaseException as error:
            result = outcome.retry(call, failure_of(error))
        if result is None:
            outcome.add_none()
        else:
            # As a method of a local, not as a bound method kept: the interpreter then calls nothing at all (−8 ns).
            results.append(result)


def call_filter(call: Call, outcome: BatchOutcome) -> None:
    """A record in, a record or None out, where None drops the record: it is looked for once, at the end.

    A filter may drop nearly all; a word with the passage about each would be most of the work.
    """
    results = outcome.results
    for record in outcome.cursor.rest:
        try:
            results.append(call(record))
        except BaseException as error:
            results.append(outcome.retry(call, failure_of(error)))
    outcome.drop_nones()


def collecting(call: Call, result_list: ResultList) -> Call:
    """A call that puts a record's results on the pile and says how many there are."""
    return lambda record: result_list.add(call(record))


def call_many(call: Call, outcome: BatchOutcome, result_list: ResultList, most: int) -> None:
    """A record in, any number out: `call` puts them on the pile. Returns once a piece of `most` results can end."""
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
    outcome.add_sizes(sizes, outcome.origins_of(start, start + len(sizes)))


def call_lists(call: Call, outcome: BatchOutcome, groups: Grouping, most: int) -> None:
    """A list in, a list out. Returns once a piece of `most` results can end."""
    cursor = outcome.cursor
    while not cursor.over:
        start = cursor.index + 1
        group = cursor.take(groups.end(start) - start)
        end = start + len(group)
        counters = outcome.counters()
        found = _tried(call, group, outcome, start, end)
        if found is None:
            outcome.rewind(counters, start, end)
            groups.one_by_one(end)
        elif isinstance(found, CallFailure):
            fail_all(outcome, start, end, found)
        else:
            outcome.add_list(start, end, found)
        if len(outcome.results) >= most and outcome.at_source_end:
            return


def _tried(call: Call, group: list[Any], outcome: BatchOutcome, start: int, end: int) -> list[Any] | CallFailure | None:
    """What a list gives, the trouble it is lost by, or None: its records are to be tried one by one."""
    try:
        found: list[Any] = call(group)
        return found
    except BaseException as error:
        call_failure = failure_of(error)
    if end - start > 1 and not outcome.work.form.state:
        return None
    fresh = partial(outcome.originals, start, end)
    later: list[Any] | CallFailure = retry(call, fresh, call_failure, outcome.work)
    return later


def fail_all(outcome: BatchOutcome, start: int, end: int, call_failure: CallFailure) -> None:
    """All records of a list are lost; where a failure ends the run, the first is and the others don't count."""
    for index in range(start, end):
        outcome.fail(index, call_failure)
        if outcome.halted:
            return


def checking_list(call: Call, growth: int, copy: Call) -> Call:
    """A call for a batch transform that makes sure of a list without None in it."""
    return lambda group: as_list(call(group), growth * len(group), copy)


def as_list(found: Any, limit: int, copy: Call = defensive_copy) -> list[Any]:
    """What a batch transform returned, as a list of records. Raises Refusal when it isn't one."""
    if isinstance(found, Iterator):
        result_list = ResultList(limit, copy)
        result_list.add(found)
        return result_list.results
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise Refusal("NotAList", f"returned {type(found).__name__}; a batch transform returns a list of records")
    for record in found:
        if record is None:
            raise Refusal("NoneReturned", "returned None in its list; leave out the records to be dropped")
    return list(map(copy, found))


def refusing(call: Call, cursor: Cursor, refusals: Refusals) -> Call:
    """A call that refuses the quarantined records, each of which comes alone."""

    def refuse_or_call(argument: Any) -> Any:
        refusal = refusals.get(cursor.index)
        if refusal is not None:
            raise Refusal(*refusal)
        return call(argument)

    return refuse_or_call


def rate_limited(call: Call, limiter: RateLimiter) -> Call:
    """A call that waits for its turn first."""

    def wait_and_call(argument: Any) -> Any:
        if wait := limiter.reserve():
            sleep(wait)
        return call(argument)

    return wait_and_call


def noting_record(call: Call, cursor: Cursor, slot: Slot, *, lists: bool) -> Call:
    """A call that says in the slot which record it is at."""

    def enter_and_call(argument: Any) -> Any:
        slot.enter(cursor.index - len(argument) + 1 if lists else cursor.index)
        try:
            return call(argument)
        finally:
            slot.leave()

    return enter_and_call
