"""The loops: how each form of transform is called for the records of a batch.

The loop for a plain function is what a whole run waits for, so it does nothing for a record that succeeds but call
and append. A plain `for` is also the only form that survives a transform raising StopIteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import sleep
from typing import Any

from stagerunner.evaluate.batches import BatchOutcome
from stagerunner.evaluate.cursor import Cursor, Grouping, Refusals
from stagerunner.evaluate.growth import Pile
from stagerunner.evaluate.own import own
from stagerunner.evaluate.pace import Pace
from stagerunner.evaluate.policy import Refusal, Trouble, again, trouble_of
from stagerunner.evaluate.work import Slot

Call = Callable[[Any], Any]


def one_each(call: Call, batch_outcome: BatchOutcome) -> None:
    """A record in, a record out; None is a failure."""
    results = batch_outcome.results
    for record in batch_outcome.cursor.rest:
        try:
            result = call(record)
        except BaseException as error:
            result = batch_outcome.again(call, trouble_of(error))
        if result is None:
            batch_outcome.nothing()
        else:
            # As a method of a local, not as a bound method kept: the interpreter then calls nothing at all (−8 ns).
            results.append(result)


def one_or_none(call: Call, batch_outcome: BatchOutcome) -> None:
    """A record in, a record or None out, where None drops the record: it is looked for once, at the end.

    A filter may drop nearly all; a word with the passage about each would be most of the work.
    """
    results = batch_outcome.results
    for record in batch_outcome.cursor.rest:
        try:
            results.append(call(record))
        except BaseException as error:
            results.append(batch_outcome.again(call, trouble_of(error)))
    batch_outcome.sift()


def drawing(call: Call, pile: Pile) -> Call:
    """A call that puts a record's results on the pile and says how many there are."""
    return lambda record: pile.add(call(record))


def many_each(call: Call, batch_outcome: BatchOutcome, pile: Pile, most: int) -> None:
    """A record in, any number out: `call` puts them on the pile. Returns once a piece of `most` results can end."""
    batch_outcome.results = pile.results
    start, sizes = batch_outcome.cursor.index + 1, list[int | None]()
    for record, origin in zip(batch_outcome.cursor.rest, batch_outcome.sources, strict=False):
        pile.begin(origin)
        try:
            number = call(record)
        except BaseException as error:
            number = batch_outcome.again(call, trouble_of(error))
        sizes.append(number)
        if len(pile.results) >= most and batch_outcome.at_border:
            break
    batch_outcome.gave(sizes, batch_outcome.span(start, start + len(sizes)))


def in_lists(call: Call, batch_outcome: BatchOutcome, groups: Grouping, most: int) -> None:
    """A list in, a list out. Returns once a piece of `most` results can end."""
    cursor = batch_outcome.cursor
    while not cursor.over:
        start = cursor.index + 1
        group = cursor.take(groups.end(start) - start)
        end = start + len(group)
        said = batch_outcome.said()
        found = _tried(call, group, batch_outcome, start, end)
        if found is None:
            batch_outcome.unsay(said, start, end)
            groups.one_by_one(end)
        elif isinstance(found, Trouble):
            lose(batch_outcome, start, end, found)
        else:
            batch_outcome.gave_list(start, end, found)
        if len(batch_outcome.results) >= most and batch_outcome.at_border:
            return


def _tried(
    call: Call, group: list[Any], batch_outcome: BatchOutcome, start: int, end: int
) -> list[Any] | Trouble | None:
    """What a list gives, the trouble it is lost by, or None: its records are to be tried one by one."""
    try:
        found: list[Any] = call(group)
        return found
    except BaseException as error:
        trouble = trouble_of(error)
    if end - start > 1 and not batch_outcome.work.form.state:
        return None
    fresh = partial(batch_outcome.group, start, end)
    outcome: list[Any] | Trouble = again(call, fresh, trouble, batch_outcome.work)
    return outcome


def lose(batch_outcome: BatchOutcome, start: int, end: int, trouble: Trouble) -> None:
    """All records of a list are lost; where a failure ends the run, the first is and the others don't count."""
    for index in range(start, end):
        batch_outcome.lost(index, trouble)
        if batch_outcome.halted:
            return


def listing(call: Call, growth: int, own: Call) -> Call:
    """A call for a batch transform that makes sure of a list without None in it."""
    return lambda group: as_list(call(group), growth * len(group), own)


def as_list(found: Any, limit: int, own: Call = own) -> list[Any]:
    """What a batch transform returned, as a list of records. Raises Refusal when it isn't one."""
    if isinstance(found, Iterator):
        pile = Pile(limit, own)
        pile.add(found)
        return pile.results
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise Refusal("NotAList", f"returned {type(found).__name__}; a batch transform returns a list of records")
    for record in found:
        if record is None:
            raise Refusal("NoneReturned", "returned None in its list; leave out the records to be dropped")
    return list(map(own, found))


def judged(call: Call, cursor: Cursor, refusals: Refusals) -> Call:
    """A call that refuses the quarantined records, each of which comes alone."""

    def refuse_or_call(argument: Any) -> Any:
        refusal = refusals.get(cursor.index)
        if refusal is not None:
            raise Refusal(*refusal)
        return call(argument)

    return refuse_or_call


def paced(call: Call, pace: Pace) -> Call:
    """A call that waits for its turn first."""

    def wait_and_call(argument: Any) -> Any:
        if wait := pace.ask():
            sleep(wait)
        return call(argument)

    return wait_and_call


def watched(call: Call, cursor: Cursor, slot: Slot, *, lists: bool) -> Call:
    """A call that says in the slot which record it is at."""

    def enter_and_call(argument: Any) -> Any:
        slot.enter(cursor.index - len(argument) + 1 if lists else cursor.index)
        try:
            return call(argument)
        finally:
            slot.leave()

    return enter_and_call
