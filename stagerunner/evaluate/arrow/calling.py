"""Calls of a transform that takes and gives Arrow record batches.

It is called with as many rows as a frame has. What it gives is checked: as many rows, or with each row the index of the
row that it comes from. If it raises, its rows are halved until the failing ones are found alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stagerunner.evaluate.arrow.rows import ArrowRows, as_record_batch
from stagerunner.evaluate.dead_letters.returning import bare
from stagerunner.evaluate.failures import CallFailure, WrongList, failure_of, patiently, retry
from stagerunner.evaluate.forms import Call, fail_all
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.outcome.cursor import Grouping
from stagerunner.evaluate.stage_api import count
from stagerunner.evaluate.work import Work
from stagerunner.records import Entering, Rows
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    from stagerunner.evaluate.conditions.passing import Passing

RULE = (
    "it gives a record batch with one row for each, in order; or (record batch, indexes) with the index of the row "
    "that each comes from, ascending"
)

PLACES = hasattr(pc, "InversePermutationOptions")
"""Whether this pyarrow finds at once which indexes there are; versions before 23 don't."""


class Given(NamedTuple):
    """What a call gave. indexes: of the row that each row comes from, a pyarrow.Int64Array; None if each gave one."""

    rows: Any
    indexes: Any = None


def call_batches(call: Call, outcome: BatchOutcome, groups: Grouping, most: int) -> None:
    """Call with the records of a batch, or with parts of them. Returns when it ends, or a piece of `most` results."""
    cursor = outcome.cursor
    while not cursor.over:
        start = cursor.index + 1
        group = cursor.take(groups.end(start) - start)
        end = start + len(group)
        counters = outcome.counters()
        found = _call(call, group, outcome)
        if found is None:
            groups.halve(start, end)
            outcome.rewind(counters, start, end)
        elif isinstance(found, CallFailure):
            fail_all(outcome, start, end, found)
        else:
            add(outcome, start, end, found)
        if len(outcome.results) >= most and outcome.at_source_end:
            return


def _call(call: Call, group: Any, outcome: BatchOutcome) -> Given | CallFailure | None:
    """What a call gives, its failure, or None if its rows are to be tried in halves."""
    try:
        found: Given = call(group)
        return found
    except BaseException as error:
        call_failure = failure_of(error)
    work, pause = outcome.work, outcome.pause
    later: Given | CallFailure
    if len(group) == 1 or work.form.state or call_failure.whole:
        later = retry(call, lambda: group, call_failure, work, pause)
        return later
    later = patiently(call, lambda: group, call_failure, pause)
    return None if isinstance(later, CallFailure) else later


def add(outcome: BatchOutcome, start: int, end: int, given: Given) -> None:
    """Add what the records start ≤ index < end gave, passed as one batch."""
    if given.indexes is None:
        outcome.add_rows(start, end, given.rows)
        return
    outcome.add_rows(
        start, end, given.rows, _sizes(given.indexes, end - start), _origins(outcome, start, given.indexes)
    )


def _sizes(indexes: Any, number: int) -> Sequence[int]:
    """How many rows each of so many records gave."""
    if PLACES and (len(indexes) < 2 or pc.all(pc.less(indexes[:-1], indexes[1:])).as_py()):
        places = pc.inverse_permutation(indexes, max_index=number - 1)
        return bytes(places.is_valid().cast(pa.uint8()).buffers()[1])[:number]
    found = array("I", bytes(4 * number))
    for index in indexes.to_pylist():
        found[index] += 1
    return found


def _origins(outcome: BatchOutcome, start: int, indexes: Any) -> array[int]:
    """The origin of each row. An array takes a hundredth of the time that a list of so many numbers does."""
    batch = outcome.batch
    if batch.origins is None:
        found = pc.add(indexes, batch.first + start)
    elif isinstance(batch.origins, array):
        memory = pa.py_buffer(batch.origins)
        origins = pa.Array.from_buffers(pa.int64(), len(batch.origins), [None, memory])
        found = origins.take(pc.add(indexes, start))
    else:
        found = pa.array(batch.origins, pa.int64()).take(pc.add(indexes, start))
    numbers = array("q")
    numbers.frombytes(memoryview(found.buffers()[1])[: 8 * len(found)])
    return numbers


class Collected:
    """The rows that calls gave, in order, as `results` of a BatchOutcome."""

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, rows: Any) -> None:
        """Add ArrowRows, or a list of records."""
        if len(rows):
            self._parts.append(rows)

    def __delitem__(self, behind: slice) -> None:
        """Keep only the first `behind.start` rows."""
        left, kept = behind.start, list[Any]()
        for part in self._parts:
            if left > 0:
                kept.append(part[:left])
            left -= len(part)
        self._parts = kept

    def joined(self) -> Any:
        """All rows: as one batch, or as dicts if they have different columns."""
        return joined(self._parts)


def joined(parts: Sequence[Any]) -> Any:
    """These rows in one: a batch if all have the same columns, else a list."""
    if len(parts) == 1:
        return parts[0]
    if parts and all(isinstance(part, ArrowRows) and part.batch.schema == parts[0].batch.schema for part in parts):
        return ArrowRows(pa.concat_batches([part.batch for part in parts]))
    return [row for part in parts for row in part]


# What a transform may give


def checking(call: Call) -> Call:
    """A call of the transform with a record batch; what it gives is checked."""

    def checked(records: Any) -> Given:
        batch = as_record_batch(records)
        return given_of(call(batch), batch.num_rows)

    return checked


def given_of(found: Any, number: int) -> Given:
    """What a transform returned for so many rows. Raises WrongList if it isn't what it has to be."""
    batch, indexes = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(batch, pa.RecordBatch):
        raise WrongList("NotABatch", f"returned {type(batch).__name__}; {RULE}")
    if isinstance(found, tuple):
        return Given(ArrowRows(batch), _checked_indexes(indexes, batch.num_rows, number))
    if batch.num_rows != number:
        raise WrongList("WrongLength", f"returned {_rows(batch.num_rows)} for {_rows(number)}; {RULE}")
    return Given(ArrowRows(batch))


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"


def _checked_indexes(indexes: Any, rows: int, number: int) -> Any:
    if isinstance(indexes, pa.ChunkedArray):
        indexes = indexes.combine_chunks()
    try:
        found = pa.array(indexes).cast(pa.int64())
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise WrongList("WrongIndexes", f"returned indexes that aren't whole numbers ({error}); {RULE}") from None
    if len(found) != rows:
        raise WrongList("WrongIndexes", f"returned {_rows(rows)} with {len(found)} indexes; {RULE}")
    if found.null_count:
        raise WrongList("WrongIndexes", f"returned an index that is null; {RULE}")
    if rows and not 0 <= found[0].as_py() <= found[-1].as_py() < number:
        raise WrongList("WrongIndexes", f"returned indexes beyond those of {_rows(number)}; {RULE}")
    if rows > 1 and not pc.all(pc.less_equal(found[:-1], found[1:])).as_py():
        raise WrongList("WrongIndexes", f"returned indexes that go back; {RULE}")
    return found


# Rows that pass


def letting_pass(passing: Passing, call: Call) -> Call:
    """The call for the rows for which `when` holds; the others are put back in their places.

    If what the call gives has other columns than the rows that pass, all of them become dicts.
    """

    def called(records: Any) -> Given:
        flags = passing.flags(records)
        if number := sum(flags):
            count("passed", number)
        return _around(records, flags, call)

    return called


def letting_enter(call: Call, work: Work) -> Call:
    """The call for records that a replay lets enter here or before; those that enter later pass untouched."""
    last = work.index + 1 == work.stages

    def called(records: Any) -> Given:
        if isinstance(records, Rows):
            return call(records)  # type: ignore[no-any-return]
        flags = [type(record) is Entering and record.stage > work.index for record in records]
        there = [bare(record) if last or not passes else record for record, passes in zip(records, flags, strict=True)]
        return _around(there, flags, call)

    return called


def _around(records: Any, flags: list[bool], call: Call) -> Given:
    """What the call gives for the records without a flag, and the others in their places."""
    taken = [index for index, passes in enumerate(flags) if not passes]
    if not taken:
        return Given(records)
    if len(taken) == len(flags):
        found: Given = call(records)
        return found
    passed = [index for index, passes in enumerate(flags) if passes]
    return merged(_chosen(records, passed), passed, call(_chosen(records, taken)), taken)


def _chosen(records: Any, indexes: list[int]) -> Any:
    return records.take(indexes) if isinstance(records, Rows) else [records[index] for index in indexes]


def merged(passed: Any, places: list[int], given: Given, taken: list[int]) -> Given:
    """The rows that passed and those that a call gave, in the order of the records that they come from.

    places, taken: the indexes of the records that passed, and of those that the call was given.
    """
    own = pa.array(taken, pa.int64())
    own = own if given.indexes is None else own.take(given.indexes)
    indexes = pa.concat_arrays([pa.array(places, pa.int64()), own])
    order = pc.sort_indices(indexes)  # a stable sort
    rows = joined([passed, given.rows]) if len(given.rows) else passed
    rows = ArrowRows(rows.batch.take(order)) if isinstance(rows, ArrowRows) else [rows[at] for at in order.to_pylist()]
    return Given(rows, None if given.indexes is None else indexes.take(order))


# `flush`


def flushed(results: Iterator[Any]) -> Iterator[Any]:
    """What a flush gives, record by record: a record batch counts as its rows."""
    for result in results:
        if isinstance(result, pa.RecordBatch):
            yield from ArrowRows(result)
        else:
            yield result
