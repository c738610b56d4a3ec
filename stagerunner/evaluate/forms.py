"""The loops: how each form of transform is called for the records of a batch.

The loop for a plain function is what a whole run waits for, so it does nothing for a record that succeeds but call
and append. A plain `for` is also the only form that survives a transform raising StopIteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import sleep
from typing import Any

from stagerunner.evaluate.batches import Passage
from stagerunner.evaluate.cursor import Cursor, Grouping, Verdicts
from stagerunner.evaluate.growth import Pile
from stagerunner.evaluate.own import own
from stagerunner.evaluate.pace import Pace
from stagerunner.evaluate.policy import Refusal, Trouble, again, trouble_of
from stagerunner.evaluate.work import Slot

Call = Callable[[Any], Any]


def one_each(call: Call, passage: Passage) -> None:
    """A record in, a record out; None is a failure."""
    results = passage.results
    for record in passage.cursor.rest:
        try:
            result = call(record)
        except BaseException as error:
            result = passage.again(call, trouble_of(error))
        if result is None:
            passage.nothing()
        else:
            # As a method of a local, not as a bound method kept: the interpreter then calls nothing at all (−8 ns).
            results.append(result)


def one_or_none(call: Call, passage: Passage) -> None:
    """A record in, a record or None out, where None drops the record: it is looked for once, at the end.

    A filter may drop nearly all; a word with the passage about each would be most of the work.
    """
    results = passage.results
    for record in passage.cursor.rest:
        try:
            results.append(call(record))
        except BaseException as error:
            results.append(passage.again(call, trouble_of(error)))
    passage.sift()


def drawing(call: Call, pile: Pile) -> Call:
    """A call that puts a record's results on the pile and says how many there are."""
    return lambda record: pile.add(call(record))


def many_each(call: Call, passage: Passage, pile: Pile, most: int) -> None:
    """A record in, any number out: `call` puts them on the pile. Returns once a piece of `most` results can end."""
    passage.results = pile.results
    start, sizes = passage.cursor.index + 1, list[int | None]()
    for record, origin in zip(passage.cursor.rest, passage.sources, strict=False):
        pile.begin(origin)
        try:
            number = call(record)
        except BaseException as error:
            number = passage.again(call, trouble_of(error))
        sizes.append(number)
        if len(pile.results) >= most and passage.at_border:
            break
    passage.gave(sizes, passage.span(start, start + len(sizes)))


def in_lists(call: Call, passage: Passage, groups: Grouping, most: int) -> None:
    """A list in, a list out. Returns once a piece of `most` results can end."""
    cursor = passage.cursor
    while not cursor.over:
        start = cursor.index + 1
        group = cursor.take(groups.end(start) - start)
        end = start + len(group)
        said = passage.said()
        found = _tried(call, group, passage, start, end)
        if found is None:
            passage.unsay(said, start, end)
            groups.one_by_one(end)
        elif isinstance(found, Trouble):
            lose(passage, start, end, found)
        else:
            passage.gave_list(start, end, found)
        if len(passage.results) >= most and passage.at_border:
            return


def _tried(call: Call, group: list[Any], passage: Passage, start: int, end: int) -> list[Any] | Trouble | None:
    """What a list gives, the trouble it is lost by, or None: its records are to be tried one by one."""
    try:
        found: list[Any] = call(group)
        return found
    except BaseException as error:
        trouble = trouble_of(error)
    if end - start > 1 and not passage.work.form.state:
        return None
    fresh = partial(passage.group, start, end)
    outcome: list[Any] | Trouble = again(call, fresh, trouble, passage.work)
    return outcome


def lose(passage: Passage, start: int, end: int, trouble: Trouble) -> None:
    """All records of a list are lost; where a failure ends the run, the first is and the others don't count."""
    for index in range(start, end):
        passage.lost(index, trouble)
        if passage.halted:
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


def judged(call: Call, cursor: Cursor, verdicts: Verdicts) -> Call:
    """A call that refuses the convicted records, each of which comes alone."""

    def refuse_or_call(argument: Any) -> Any:
        verdict = verdicts.get(cursor.index)
        if verdict is not None:
            raise Refusal(*verdict)
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
