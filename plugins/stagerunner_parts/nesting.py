"""Stages for fields inside fields, and for lists in fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from stagerunner import Reject, stage
from stagerunner_parts.options import Number
from stagerunner_parts.values import field, must_be_mapping, with_field


@stage(pure=True)
def flatten(record: dict[str, Any], *, separator: str = ".", depth: Number | None = None) -> dict[str, Any]:
    """Give the fields inside other fields names of their own: b in a becomes a.b.

    Fields keep their order. Lists, and mappings without fields, stay as they are. A record is refused if two fields
    would have the same name, or if a name isn't text.

    separator: the text between two names.
    depth: how many levels to flatten; by default, all.
    """
    must_be_mapping(record)
    flat: dict[str, Any] = {}
    _flatten_into(flat, record, "", separator, -1 if depth is None else depth)
    return flat


def _flatten_into(flat: dict[str, Any], found: Mapping[Any, Any], before: str, separator: str, depth: int) -> None:
    for key, value in found.items():
        if not isinstance(key, str):
            raise Reject(f"the name {key!r:.60}{_inside(before, separator)} is not text")
        name = before + key
        if isinstance(value, Mapping) and value and depth:
            _flatten_into(flat, value, name + separator, separator, depth - 1)
        elif name in flat:
            raise Reject(f"two fields would have the name {name!r}")
        else:
            flat[name] = value


def _inside(before: str, separator: str) -> str:
    return f" in {before.removesuffix(separator)!r}" if before else ""


What = Literal["drop", "keep", "fail"]


@stage
def explode(
    record: dict[str, Any], *, field: str, index: str | None = None, empty: What = "drop", missing: What = "fail"
) -> Iterator[dict[str, Any]]:
    """Make a record of each item of a list, with the item in place of the list.

    All other fields are the same in each. A value that is neither a list nor null is refused.

    field: the field with the list; `a.b` is field b of field a.
    index: a new field that gets the number of the item, from 0.
    empty: what happens to a record whose list is empty or null: drop, keep (once, with null as its item), or fail.
    missing: the same for a record without the field.
    """
    must_be_mapping(record)
    if index is not None and index in record:
        raise Reject(f"the record has a field {index!r} already")
    for number, item in _items(record, field, empty, missing):
        made = with_field(record, field, item)
        yield made if index is None else with_field(made, index, number)


def _items(record: Any, name: str, empty: What, missing: What) -> Iterator[tuple[int | None, Any]]:
    """The items with their numbers; (None, None) for a record that is kept without one."""
    found: Any = None
    try:
        found, otherwise = field(record, name), empty
    except Reject:
        if missing == "fail":
            raise
        otherwise = missing
    if found is not None and not isinstance(found, list | tuple):
        raise Reject(f"field {name!r} is of type {type(found).__name__}, not a list")
    if found:
        yield from enumerate(found)
    elif otherwise == "fail":
        raise Reject(f"the list in field {name!r} is empty")
    elif otherwise == "keep":
        yield None, None
