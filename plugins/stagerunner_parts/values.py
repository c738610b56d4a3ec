"""Access to fields of a record, and the refusals of records that lack them or have the wrong type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from stagerunner import Reject, missing_field

_NONE = object()


def field(record: Any, name: str) -> Any:
    """The field of a record; `a.b` is field b of field a, unless a field is called "a.b".

    Raises Reject if there is none.
    """
    try:
        return record[name]
    except (KeyError, IndexError, TypeError):
        pass
    return _reached(record, name)  # outside: a refusal raised inside would name the KeyError as a second cause


def _reached(record: Any, name: str) -> Any:
    found = field_or(record, name, _NONE)
    if found is _NONE:
        raise missing_field(record, name)
    return found


def field_or(record: Any, name: str, default: Any) -> Any:
    """The field of a mapping, `a.b` as for `field`; the default if there is none."""
    if isinstance(record, Mapping) and name in record:
        return record[name]
    found = record
    for key in name.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return default
        found = found[key]
    return found


def with_field(record: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy in which the field has this value, at its place if it is there, else as the last one.

    `a.b` is what it is for `field`; if there is no field a, it is made. Raises Reject if a isn't a mapping.
    """
    if "." not in name or name in record:
        return {**record, name: value}
    return _with_reached(record, name, name.split("."), value)


def _with_reached(found: Any, name: str, path: list[str], value: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise Reject(f"field {name!r} can't be set: what holds it is of type {type(found).__name__}, not a mapping")
    key, *inner = path
    return {**found, key: _with_reached(found.get(key, {}), name, inner, value) if inner else value}


def without_field(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A copy without the field, `a.b` as for `field`; the record itself if it has no such field."""
    if name in record:
        return {key: value for key, value in record.items() if key != name}
    return _without_reached(record, name.split("."))


def _without_reached(found: Mapping[str, Any], path: list[str]) -> Mapping[str, Any]:
    key, *inner = path
    if not inner:
        return {name: value for name, value in found.items() if name != key} if key in found else found
    held = found.get(key)
    changed = _without_reached(held, inner) if isinstance(held, Mapping) else held
    return found if changed is held else {**found, key: changed}


def unshared(value: Any) -> Any:
    """A copy of the lists and mappings in a value, so that two fields, or two records, never share one."""
    if type(value) is dict:
        return {key: unshared(item) for key, item in value.items()}
    return [unshared(item) for item in value] if type(value) is list else value


@lru_cache(maxsize=256)
def nearest(name: str, names: tuple[str, ...]) -> str:
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
