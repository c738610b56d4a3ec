"""Defensive copies: nothing that happens to an object later changes a record.

A stage may return an object that it keeps and changes, or two records that share a part. A failed attempt may have
changed its record. So results are copied at once, unless the stage can't keep them (`may_keep_results`), and a record
that failed is decoded again (`records.Original`).
"""

from __future__ import annotations

import builtins
import pickle
from collections.abc import Callable, Iterable
from gc import get_referents, is_tracked
from itertools import chain
from opcode import opmap
from sys import getrefcount
from types import CodeType, FunctionType, ModuleType
from typing import Any

from stagerunner.evaluate import stage_api
from stagerunner.parts.base import ATTRIBUTE
from stagerunner.records import Batch, Original, Rows

Stream = bytes | bytearray | memoryview

UNCHANGING = frozenset((bytes, str, int, float, complex, bool, type(None)))
"""Types whose values can't change."""

_unchanging = UNCHANGING.issuperset

DICTS = frozenset((dict,))
CONTAINERS = frozenset((dict, list, tuple))
PLAIN = UNCHANGING | CONTAINERS | {set, frozenset, bytearray}
"""Types for which `payload.Strange` isn't raised, and bytearray."""

HARMLESS = frozenset(
    (
        *("base64", "binascii", "collections.abc", "datetime", "hashlib", "hmac", "html", "json", "math", "random"),
        *("re", "string", "time", "typing", "unicodedata", "urllib.parse", "uuid", "zlib"),
    )
)
"""Modules whose functions return objects that they don't keep."""

DICT = b"}\x94"
"""The bytes with which every dict begins in a pickle."""

FIXED = frozenset(("datetime", "decimal", "fractions", "uuid"))
"""Modules whose classes have immutable values."""

REACHING = frozenset((globals, vars, eval, exec, __import__, setattr, delattr, breakpoint))
"""Builtins through which something may outlive a call."""

OUTLIVING = frozenset(opmap[name] for name in ("IMPORT_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR"))
"""Instructions by which something may outlive a call."""

LIVING = 0x20 | 0x80 | 0x200
"""Flags of generators and coroutines: their code continues after it has given a result."""

Call = Callable[[Any], Any]


# Results


def may_keep_results(found: Any) -> bool:
    """Whether a transform could still hold an object that it returned.

    It can't if it sets `pure = True`, or if it is a plain function that uses only its record, constants, builtins and
    functions of the same kind.
    """
    return getattr(found, "pure", False) is not True and _outlives(found, set())


def _outlives(found: Any, met: set[Any]) -> bool:
    if type(found) is not FunctionType or found.__closure__ or found.__code__.co_flags & LIVING or found in met:
        return True
    met.add(found)
    defaults = [*(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).values()]
    return not all(map(_constant, defaults)) or _reaches(found.__code__, found.__globals__, met)


def _reaches(code: CodeType, names: dict[str, Any], met: set[Any]) -> bool:
    """Whether code uses a global that could hold an object. An attribute of the same name counts as a use."""
    if not OUTLIVING.isdisjoint(code.co_code[::2]):
        return True
    for name in code.co_names:
        if name in names:
            if not _harmless(names[name], met):
                return True
        elif getattr(builtins, name, None) in REACHING:
            return True
    return any(_reaches(inner, names, met) for inner in code.co_consts if type(inner) is CodeType)


def _harmless(seen: Any, met: set[Any]) -> bool:
    if type(seen) is ModuleType:
        return seen.__name__ in HARMLESS
    if _constant(seen) or type(seen).__module__ in HARMLESS:
        return True
    home = str(getattr(seen, "__module__", ""))
    if home in HARMLESS or home.startswith("stagerunner."):
        return True
    if isinstance(seen, type):
        return seen.__module__ == "builtins"
    return type(seen) is FunctionType and not set(seen.__dict__) - {ATTRIBUTE} and not _outlives(seen, met)


def _constant(value: Any) -> bool:
    kind = type(value)
    if kind in UNCHANGING or kind.__module__ in FIXED:
        return True
    return kind in (tuple, frozenset) and all(map(_constant, value))


def no_copy(value: Any) -> Any:
    """Returns the value itself, where no copy is needed."""
    return value


def share_nothing(records: list[Any]) -> bool:
    """Whether no two of these records share a mutable object. False if that can't be decided."""
    level, met, kinds = records, 0, set(map(type, records))
    known: set[int] = set()
    while not kinds <= UNCHANGING:
        if kinds == DICTS:
            known.update(map(id, level))
            met += len(level)
            inner: Iterable[Any] = map(dict.values, level)
        elif kinds - UNCHANGING <= CONTAINERS:
            holders = [value for value in level if type(value) not in UNCHANGING]
            known.update(map(id, holders))
            met += len(holders)
            inner = (value.values() if type(value) is dict else value for value in holders)
        else:
            return False
        if len(known) < met:
            return False
        level = list(chain.from_iterable(inner))
        kinds = set(map(type, level))
    return True


def copy_if_shared(records: list[Any], stream: Stream | None = None) -> list[Any]:
    """Records just unpickled and referred to by this list alone; copied if any two share a mutable object.

    Records that aren't plain (`payload.Strange`) were copied before pickling. stream: the pickle, if available.
    """
    return (
        records
        if _share_nothing_fast(records, stream) or share_nothing(records)
        else list(map(defensive_copy, records))
    )


def _share_nothing_fast(records: list[Any], stream: Stream | None) -> bool:
    """`share_nothing` by reference counts, in a fifth of the time: a shared object has two references.

    False if that can't be decided. An object that the garbage collector doesn't track holds nothing that could be
    shared, but an untracked dict may itself be shared. Such dicts are found by type, unless the pickle has just one
    dict for each record.
    """
    kinds = set(map(type, records))
    if kinds <= UNCHANGING:
        return True
    if not kinds <= CONTAINERS:
        return not kinds <= PLAIN
    if max(map(getrefcount, records)) > ALONE_IN_LIST:
        return False
    holders = list(filter(is_tracked, records))
    nested = holders and (kinds != DICTS or stream is None or bytes(stream).count(DICT) != len(records))
    while holders:
        values = get_referents(*holders)
        if nested:
            holders = [value for value in values if type(value) is dict or is_tracked(value)]
        else:
            holders = list(filter(is_tracked, values))
        if not PLAIN.issuperset(map(type, holders)):
            return True
        if holders and max(map(getrefcount, holders)) > ALONE_IN_LIST + 2:  # `values` and `holders`
            return False
    return True


def copying_results(call: Call) -> Call:
    """The same call; its results are copied."""

    def given(record: Any) -> Any:
        result = call(record)
        return result if type(result) in UNCHANGING else defensive_copy(result)

    return given


def defensive_copy(value: Any) -> Any:
    """A copy of the value; the value itself if it is immutable.

    Also the value itself if it can't be pickled: then it can't be sent either.
    """
    kind = type(value)
    if kind is dict or kind is list:
        if _unchanging(map(type, value.values() if kind is dict else value)):
            return value.copy()
        copy = _copy_json(value, {})
        if copy is not None:
            return copy
    elif _constant(value) or (hasattr(kind, "__array_interface__") and _unreferenced(value)):
        return value
    try:
        return _copy_by_pickle(value)
    except BaseException:  # its own methods run here
        return value


def _copy_json(value: Any, met: dict[int, Any]) -> Any:
    """A copy of JSON-like data, in a third of the time that pickle takes; None if it holds anything else."""
    copy = met[id(value)] = value.copy()
    for key, inner in copy.items() if type(value) is dict else enumerate(copy):
        kind = type(inner)
        if kind in UNCHANGING:
            continue
        if id(inner) in met:
            copy[key] = met[id(inner)]
        elif kind is list and _unchanging(map(type, inner)):
            copy[key] = met[id(inner)] = inner.copy()
        elif kind is dict or kind is list:
            if (found := _copy_json(inner, met)) is None:
                return None
            copy[key] = found
        elif not _constant(inner):
            return None
    return copy


def _copy_by_pickle(value: Any) -> Any:
    """A copy made by pickle, as between processes. Read-only memory isn't copied."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[buffer if _read_only(buffer) else bytearray(buffer) for buffer in buffers])


def _read_only(buffer: pickle.PickleBuffer) -> bool:
    """Whether this memory is read-only for all: behind a read-only view there may be writable memory."""
    view = memoryview(buffer)
    holder = view.obj
    while (base := getattr(holder, "base", None)) is not None:
        holder = base
    return view.readonly and memoryview(holder).readonly


def _unreferenced(array: Any) -> bool:
    """Whether nothing but the call that has just returned this array refers to it or its memory."""
    if array.dtype.hasobject:
        return False
    references, base = _references(array)
    if references > ALONE[0]:
        return False
    while base is not None and type(base) is not memoryview:
        if getrefcount(base) > ALONE[1]:
            return False
        base = getattr(base, "base", None)
    return base is None or (type(base.obj) is stage_api.arena_type and getrefcount(base) <= ALONE[1])


def _references(array: Any) -> tuple[int, Any]:
    return getrefcount(array), array.base


class _Array:
    """Stands for an array while references are counted: it has a base, as an array may have."""

    def __init__(self) -> None:
        self.base: Any = memoryview(b"")


def _counted() -> tuple[int, int]:
    """The reference counts of an array that only its call has, and of its base, the interpreter's own included."""

    def given() -> tuple[int, int]:
        result = _Array()
        return own(result)

    def own(value: Any) -> tuple[int, int]:
        return alone(value)

    def alone(array: Any) -> tuple[int, int]:
        references, base = _references(array)
        return references, getrefcount(base)

    return given()


ALONE = _counted()
ALONE_IN_LIST = max(map(getrefcount, [[]]))
"""The reference count of an object that is in one list and nowhere else, as `map` sees it."""


# Original records


def rows_as_dicts(batch: Batch) -> None:
    """Make dicts of a batch's records, if they lie in columns."""
    rows = batch.records
    if isinstance(rows, Rows):
        batch.records, batch.original = rows.to_list(), Original(rows.to_list)


def original_record(batch: Batch, index: int) -> Any:
    """The record at this index as it came: a copy, which may be changed."""
    record = batch.records[index]
    if batch.original is None or isinstance(batch.records, Rows) or type(record) in UNCHANGING:
        return record
    found = batch.original.records()
    return defensive_copy(found[index]) if len(found) == len(batch.records) else record


def original_of(records: Any) -> Original | None:
    """The original of records that are passed on without a copy; None if they are immutable."""
    if isinstance(records, Rows) or UNCHANGING.issuperset(map(type, records)):
        return None
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(records, 5, buffer_callback=buffers.append)
    except BaseException:  # such records can't be sent, but may pass between stages that share a worker
        copies = list(map(defensive_copy, records))
        return Original(lambda: copies)
    fixed = [buffer if _read_only(buffer) else bytes(buffer) for buffer in buffers]
    return Original(lambda: pickle.loads(data, buffers=fixed))
