"""Records that are larger than `run.max_record` allows, where they are pickled to be sent: their pickle is their size.

Nothing is measured but frames that are larger than one record may be.
"""

from __future__ import annotations

import pickle
from typing import Any

from stagerunner.records import Malformed


def bounded(records: list[Any], most: int) -> list[Any]:
    """The records, with a word in the place of each that is too large; the same list where none is."""
    sizes = [len(pickle.dumps(record, 5)) for record in records]
    if max(sizes) <= most:
        return records
    return [_too_large(size, most) if size > most else record for record, size in zip(records, sizes, strict=True)]


def _too_large(size: int, most: int) -> Malformed:
    return Malformed("TooLarge", f"a record of {size:,} bytes as it is sent; max_record allows {most:,}")
