"""What pyarrow leaves out in silence when it converts values to a type that can't hold all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time, timedelta
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import pyarrow as pa

MIDNIGHT = time()

STEPS = {"s": 1_000_000, "ms": 1000}
"""Microseconds of the units that are coarser than what Python's times have."""


ONE_SORT = [{""}, {"", "float"}, {"float"}, {"text"}, {"truth"}, {"decimal"}]
"""Sorts of types between which pyarrow's cast does what is wanted. It takes whole numbers for a decimal only if that
has room for the largest one."""


def loss_of(values: Iterable[Any], kind: Any) -> str:
    """What would be lost of the first of these values that doesn't fit into the type, in words; "" if nothing."""
    find = _finder(kind)
    return "" if find is None else find([value for value in values if value is not None])


@lru_cache(maxsize=1024)
def _finder(kind: Any) -> Callable[[list[Any]], str] | None:
    """What finds it among values that aren't None; None for types for which pyarrow says itself what doesn't fit.

    It goes by columns, inside of structs and lists too: that takes half the time that going by values does.
    """
    types = pa.types
    if types.is_date(kind):
        return _times_of_day
    if (types.is_timestamp(kind) or types.is_time(kind) or types.is_duration(kind)) and kind.unit in STEPS:
        return partial(_finer, kind.unit)
    if types.is_struct(kind):
        return partial(_beside, {kind.field(at).name: kind.field(at).type for at in range(kind.num_fields)})
    if types.is_map(kind):
        return _inside(kind.item_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _inside(kind.value_type)
    return None


def _times_of_day(values: list[Any]) -> str:
    found = (value for value in values if isinstance(value, datetime) and value.time() != MIDNIGHT)
    return next((f"{value} has a time of day" for value in found), "")


def _finer(unit: str, values: list[Any]) -> str:
    step = STEPS[unit]
    for value in values:
        if isinstance(value, datetime | time):
            finer = value.microsecond % step
        else:
            finer = value.microseconds % step if isinstance(value, timedelta) else 0
        if finer:
            return f"{value} is finer than {unit}"
    return ""


def _beside(fields: dict[str, Any], values: list[Any]) -> str:
    if set(map(type, values)) != {dict}:
        values = [value for value in values if isinstance(value, Mapping)]
    for name in chain.from_iterable(dict.fromkeys(map(tuple, values))):
        if name not in fields:
            return _without(name)
    found = (loss_of((value.get(name) for value in values), kind) for name, kind in fields.items() if _finder(kind))
    return next(filter(None, found), "")


def _without(name: Any) -> str:
    return f"it has no place for the field {name!r}"


def _inside(kind: Any) -> Callable[[list[Any]], str] | None:
    """The same for the items of lists, or of the values of maps."""
    if _finder(kind) is None:
        return None
    return lambda values: loss_of(chain.from_iterable(map(_items, values)), kind)


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def is_other_sort(ours: Any, theirs: Any) -> bool:
    """Whether pyarrow's cast reads values as what they aren't, such as the text "1" as a number.

    It isn't used then: rows mustn't fare differently because they come as dicts, which depends on where frames are cut.
    """
    types = pa.types
    if types.is_dictionary(ours):
        return is_other_sort(ours.value_type, theirs)
    if types.is_struct(ours) and types.is_struct(theirs):
        both = ((ours.field(at), theirs.get_field_index(ours.field(at).name)) for at in range(ours.num_fields))
        return any(at >= 0 and is_other_sort(field.type, theirs.field(at).type) for field, at in both)
    if types.is_map(ours) and types.is_map(theirs):
        return is_other_sort(ours.item_type, theirs.item_type)
    if hasattr(ours, "value_type") and hasattr(theirs, "value_type"):
        return is_other_sort(ours.value_type, theirs.value_type)
    if types.is_null(ours):
        return False
    return {_sort(ours), _sort(theirs)} not in ONE_SORT


def _sort(kind: Any) -> str:
    """What its values are; "" for whole numbers and all others."""
    types = pa.types
    if types.is_boolean(kind):
        return "truth"
    if types.is_floating(kind):
        return "float"
    if types.is_decimal(kind):
        return "decimal"
    return "" if types.is_primitive(kind) or types.is_nested(kind) else "text"


def loss_between(column: Any, found: Any) -> str:
    """What was lost when a column was cast to another; "" if nothing."""
    if other := _field_beside(column, found.type):
        return _without(other)
    if pa.types.is_timestamp(column.type) and pa.types.is_date(found.type) and found.cast(column.type) != column:
        return "there is a time of day"
    return ""


def _field_beside(column: Any, kind: Any) -> str:
    """A field inside the values for which the other type has no place, if one of them isn't null; else ""."""
    types = pa.types
    if types.is_struct(column.type) and types.is_struct(kind):
        for at, values in enumerate(column.flatten()):
            name = column.type.field(at).name
            place = kind.get_field_index(name)
            lost = values.null_count < len(values) if place < 0 else _field_beside(values, kind.field(place).type)
            if lost:
                return lost if isinstance(lost, str) else str(name)
    elif types.is_map(column.type) and types.is_map(kind):
        first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
        return _field_beside(column.items.slice(first, last - first), kind.item_type)
    elif hasattr(column.type, "value_type") and hasattr(kind, "value_type") and hasattr(column, "flatten"):
        return _field_beside(column.flatten(), kind.value_type)
    return ""
