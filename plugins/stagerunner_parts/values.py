"""The fields of a record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from stagerunner import Reject

MOST_NAMES = 500
"""Fields that are looked through for one like the missing one."""


def field(record: Any, name: str) -> Any:
    """The field of a record; `a.b` is field b of field a, unless a field is called "a.b".

    Raises Reject when there is none.
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
    advice = "; `parse` or `json.parse` before this stage makes fields of a text" if isinstance(record, str) else ""
    return Reject(f"the record has no field {name!r}: it is no mapping but of type {type(record).__name__}{advice}")


@lru_cache(maxsize=256)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    """The name most like this one; `a.b` may be meant to be `a.c`, or plain `b`."""
    import difflib  # only records that lack a field need it

    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), "")


def must_be_mapping(record: Any) -> None:
    """Raises Reject for what has no fields. For when it has turned out that a record can't be worked on."""
    if not isinstance(record, Mapping):
        advice = "; `parse` or `json.parse` makes fields of a text" if isinstance(record, str) else ""
        raise Reject(f"this takes a mapping of fields, and the record is of type {type(record).__name__}{advice}")


def must_be_text(record: Any) -> None:
    """Raises Reject for what is no text, with what may have been meant.

    Asked only once a record couldn't be worked on: to ask before would take as long as most stages do.
    """
    if isinstance(record, str):
        return
    if isinstance(record, Mapping) and record.keys() == {"path", "bytes"}:
        raise Reject(
            "this takes text, and the record is a whole file as `files` gives it, a mapping with `path` and `bytes`; "
            "`use: lines` reads texts and `use: jsonl` JSON, a record a line; for a file in one piece write a stage "
            "before this one that returns record['bytes'].decode()"
        )
    if isinstance(record, Mapping):
        raise Reject("this takes text, and the record is a mapping of fields already; leave this stage out, or move it")
    raise Reject(f"this takes text, and the record is of type {type(record).__name__}")
