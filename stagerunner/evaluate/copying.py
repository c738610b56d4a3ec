"""A record is what it was when it was given, whatever becomes of it later where it came from.

A stage may give an object that it keeps and changes, or two records that share a part; a failed attempt may have
changed the record it was called with. So what a stage gives is copied as it is given, unless the stage can't have kept
it (`keeps`), and a record that failed is had anew from what it was decoded from (`Original`).
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
from stagerunner.records import Batch

Stream = bytes | bytearray | memoryview

UNCHANGING = frozenset((bytes, str, int, float, complex, bool, type(None)))
"""Types whose values stay what they are."""

_unchanging = UNCHANGING.issuperset

DICTS = frozenset((dict,))
CONTAINERS = frozenset((dict, list, tuple))
PLAIN = UNCHANGING | CONTAINERS | {set, frozenset, bytearray}
"""What `pickling.Strange` isn't raised for, and bytearrays."""

HARMLESS = frozenset(
    (
        *("base64", "binascii", "collections.abc", "datetime", "hashlib", "hmac", "html", "json", "math", "random"),
        *("re", "string", "time", "typing", "unicodedata", "urllib.parse", "uuid", "zlib"),
    )
)
"""Modules whose functions give what nobody else has."""

DICT = b"}\x94"
"""How every dict begins in a pickle."""

FIXED = frozenset(("datetime", "decimal", "fractions", "uuid"))
"""Modules whose classes have values that stay what they are."""

REACHING = frozenset((globals, vars, eval, exec, __import__, setattr, delattr, breakpoint))
"""Builtins that reach what outlives a call."""

OUTLIVING = frozenset(opmap[name] for name in ("IMPORT_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR"))
"""Instructions by which something may outlive a call."""

LIVING = 0x20 | 0x80 | 0x200
"""The flags of code that is a generator, a coroutine or both: it goes on after it has given something."""

Call = Callable[[Any], Any]


# What a stage gives


def may_keep_results(found: Any) -> bool:
    """Whether a transform could still have what it gave.

    It can't where it says `pure = True`, or is a plain function that sees nothing but its record, constants, builtins
    and functions of the same kind.
    """
    return getattr(found, "pure", False) is not True and _outlives(found, set())


def _outlives(found: Any, met: set[Any]) -> bool:
    if type(found) is not FunctionType or found.__closure__ or found.__code__.co_flags & LIVING or found in met:
        return True
    met.add(found)
    defaults = [*(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).values()]
    return not all(map(_constant, defaults)) or _reaches(found.__code__, found.__globals__, met)


def _reaches(code: CodeType, names: dict[str, Any], met: set[Any]) -> bool:
    """Whether code sees a global that could hold something. An attribute of that name is taken for one."""
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
    """What `own` is for what nobody has kept."""
    return value


def share_nothing(records: list[Any]) -> bool:
    """Whether none of these is, or holds, what another does and somebody could change. False where it isn't known."""
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
    """Records that have just been unpickled and are in this list alone, each with a life of its own.

    What isn't plain (`pickling.Strange`) has been given one before it was pickled. stream: the pickle, if at hand.
    """
    return records if _fresh(records, stream) or share_nothing(records) else list(map(defensive_copy, records))


def _fresh(records: list[Any], stream: Stream | None) -> bool:
    """Like `apart`, for a fifth of the time: whoever is held twice is referred to twice. False where it isn't known.

    What the collector doesn't track holds nothing that could be shared, but may be shared itself if it is a dict. Those
    are found by their types, unless the pickle has only as many as there are records.
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
    """The same call, what it gives being its own."""

    def given(record: Any) -> Any:
        result = call(record)
        return result if type(result) in UNCHANGING else defensive_copy(result)

    return given


def defensive_copy(value: Any) -> Any:
    """The value as it is now: itself where nobody can change it, else a copy; itself too where it can't be pickled,
    for it can't be sent either."""
    kind = type(value)
    if kind is dict or kind is list:
        if _unchanging(map(type, value.values() if kind is dict else value)):
            return value.copy()
        copy = _tree(value, {})
        if copy is not None:
            return copy
    elif _constant(value) or (hasattr(kind, "__array_interface__") and _alone(value)):
        return value
    try:
        return _copied(value)
    except BaseException:  # its own methods run here
        return value


def _tree(value: Any, met: dict[int, Any]) -> Any:
    """A copy of what JSON could hold, for a third of what pickle takes; None where there is anything else in it."""
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
            if (found := _tree(inner, met)) is None:
                return None
            copy[key] = found
        elif not _constant(inner):
            return None
    return copy


def _copied(value: Any) -> Any:
    """Through pickle, as between processes; memory that nobody can write to stays where it is."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[buffer if _fixed(buffer) else bytearray(buffer) for buffer in buffers])


def _fixed(buffer: pickle.PickleBuffer) -> bool:
    """Whether nobody can write to this memory: a view may only be read though what it looks at may be written to."""
    view = memoryview(buffer)
    holder = view.obj
    while (base := getattr(holder, "base", None)) is not None:
        holder = base
    return view.readonly and memoryview(holder).readonly


def _alone(array: Any) -> bool:
    """Whether only the call that has just given an array has it, and nobody else has its memory."""
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
    """For counting: has a base of its own, as an array may have."""

    def __init__(self) -> None:
        self.base: Any = memoryview(b"")


def _counted() -> tuple[int, int]:
    """The references there are to an array which nobody else has, and to its base; the interpreter's own are among
    them."""

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
"""The references there are to what is in one list and nowhere else, as `map` sees them."""


# What a record was


class Original:
    """The records of a batch as they came, had anew once one of them has failed. `decode` gives them."""

    __slots__ = ("_decode", "_found")

    def __init__(self, decode: Callable[[], list[Any]]) -> None:
        self._decode = decode
        self._found: list[Any] | None = None

    def records(self) -> list[Any]:
        """All of them, for nobody to change; none if they can't be had again."""
        if self._found is None:
            try:
                self._found = self._decode()
            except BaseException:
                self._found = []
        return self._found

    def behind(self, start: int, end: int) -> Original:
        """Those of these indexes, start ≤ index < end."""
        return Original(lambda: self.records()[start:end])


def original_record(batch: Batch, index: int) -> Any:
    """The record at this index of a batch, as it was when it came: a copy, for whoever wants to change it."""
    record = batch.records[index]
    if batch.original is None or type(record) in UNCHANGING:
        return record
    found = batch.original.records()
    return defensive_copy(found[index]) if len(found) == len(batch.records) else record


def original_of(records: list[Any]) -> Original | None:
    """The original of records that are about to be handed over as they are. None: nobody can change them."""
    if UNCHANGING.issuperset(map(type, records)):
        return None
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(records, 5, buffer_callback=buffers.append)
    except BaseException:  # some can't be sent, but may pass between neighbours that share a worker
        copies = list(map(defensive_copy, records))
        return Original(lambda: copies)
    fixed = [buffer if _fixed(buffer) else bytes(buffer) for buffer in buffers]
    return Original(lambda: pickle.loads(data, buffers=fixed))
