"""A sink that refuses single records as it writes them: which records it gets stands before their encoding.

    length 8 · pickled (first, origins, whether texts, the records pickled) · what the sink's `encode` gave

The parent passes over what stands in front, and reads it only if a record was refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from struct import Struct
from typing import Any, TypeAlias

from stagerunner.evaluate.encoding import RecordEncoder
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.wording import text_of
from stagerunner.evaluate.work import Slot
from stagerunner.records import NOTHING, Batch, Failure, Rows

LENGTH = Struct("<Q")

Why: TypeAlias = tuple[str, str]
"""Type and message of what a sink says of a record that it refuses."""


class TracedEncoder(RecordEncoder):
    """Encodes for such a sink."""

    traced = True

    def body(self, batch: Batch, slot: Slot | None = None, quarantined: Quarantined = NOTHING) -> bytes:
        encoded = super().body(batch, slot, quarantined)
        told = pickle.dumps((batch.first, batch.origins, *_pickled(_records(batch))), 5)
        return b"".join((LENGTH.pack(len(told)), told, encoded))


def _records(batch: Batch) -> list[Any]:
    """The records as they came to the sink."""
    if isinstance(batch.records, Rows):
        return batch.records.to_list()
    original = [] if batch.original is None else batch.original.records()
    return original if len(original) == len(batch.records) else list(batch.records)


def _pickled(records: list[Any]) -> tuple[bool, bytes]:
    """The records; or, if they can't be pickled, what they look like. Whether it is that."""
    try:
        return False, pickle.dumps(records, 5)
    except BaseException:  # methods of the records run here
        return True, pickle.dumps(list(map(text_of, records)), 5)


def parted(body: memoryview) -> tuple[memoryview, memoryview]:
    """What is told of the records of such a body, and what the sink gets."""
    (length,) = LENGTH.unpack_from(body)
    at = LENGTH.size + length
    return body[LENGTH.size : at], body[at:]


def failures_of(told: memoryview, refused: Mapping[int, Why], stage: int, policy: str) -> list[Failure]:
    """The failures of refused records. told: of all the records. refused: by number among these, why."""
    first, origins, texts, pickled = pickle.loads(told)
    try:
        records = pickle.loads(pickled)
    except BaseException:  # methods of the records run here
        texts, records = True, None
    found = []
    for index, (kind, message) in sorted(refused.items()):
        batch = Batch(records, first, 0, origins)
        failure = Failure(stage, batch.origin(index), batch.ordinal(index), kind, message, policy)
        if texts:
            failure = failure._replace(text="a record that can't be read here" if records is None else records[index])
        else:
            failure = failure._replace(record=records[index])
        found.append(failure)
    return found
