"""`run.max_record` for records that are pickled to be sent: the pickle's bytes are a record's size.

Records are measured only in frames that are larger than one record may be.
"""

from __future__ import annotations

import pickle
from typing import Any

from stagerunner.records import Malformed


def bounded(records: list[Any], most: int) -> list[Any]:
    """The records, with a Malformed in the place of each one that is too large; the same list if none is."""
    sizes = [len(pickle.dumps(record, 5)) for record in records]
    if max(sizes) <= most:
        return records
    return [_too_large(size, most) if size > most else record for record, size in zip(records, sizes, strict=True)]


def _too_large(size: int, most: int) -> Malformed:
    return Malformed("TooLarge", f"a record of {size:,} bytes as it is sent; max_record allows {most:,}")
