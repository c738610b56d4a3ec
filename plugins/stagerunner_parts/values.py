"""Access to fields of a record, and the refusals of records that lack them or have the wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from stagerunner import Reject

MOST_NAMES = 500
"""At most so many fields are compared with a missing one, to suggest a similar name."""


def field(record: Any, name: str) -> Any:
    """The field of a record; `a.b` is field b of field a, unless a field is called "a.b".

    Raises Reject if there is none.
    """
    try:
        return record[name]
    except (KeyError, IndexError, TypeError):
        return _reached(record, name)


def _reached(record: Any, name: str) -> Any:
    found = record
    for key in name.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise missing(record, name)
        found = found[key]
    return found


def missing(record: Any, name: str) -> Reject:
    """The refusal of a record that lacks a field."""
    if isinstance(record, Mapping):
        near = _nearest(name, tuple(islice((key for key in record if isinstance(key, str)), MOST_NAMES)))
        return Reject(f"the record has no field {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    advice = (
        "; put `parse` or `json.parse` before this stage to make fields of a text" if isinstance(record, str) else ""
    )
    return Reject(f"the record has no field {name!r}: it is of type {type(record).__name__}, not a mapping{advice}")


@lru_cache(maxsize=256)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    """The most similar name: `a.b` may have been meant as `a.c`, or as plain `b`."""
    import difflib  # late: only records that lack a field need it

    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), "")


def must_be_mapping(record: Any) -> None:
    """Raises Reject for a record without fields.

    Called only after a stage has failed with a record: to check each one before would take longer than most stages.
    """
    if not isinstance(record, Mapping):
        advice = (
            "; put `parse` or `json.parse` before this stage to make fields of a text"
            if isinstance(record, str)
            else ""
        )
        raise Reject(f"this stage takes a mapping of fields, but the record is of type {type(record).__name__}{advice}")


def must_be_text(record: Any) -> None:
    """Raises Reject for a record that isn't a text, with advice.

    Called only after a stage has failed with a record, as `must_be_mapping` is.
    """
    if isinstance(record, str):
        return
    if isinstance(record, Mapping) and record.keys() == {"path", "bytes"}:
        raise Reject(
            "this stage takes text, but the record is a whole file from the source `files`: a mapping with `path` and "
            "`bytes`; `use: lines` reads texts and `use: jsonl` JSON, one record a line; for whole files, put a stage "
            "before this one that returns record['bytes'].decode()"
        )
    if isinstance(record, Mapping):
        raise Reject(
            "this stage takes text, but the record is already a mapping of fields; remove this stage, or move it"
        )
    raise Reject(f"this stage takes text, but the record is of type {type(record).__name__}")
