"""Pickling whole frames with one pickler, reused from frame to frame.

`pickle.dumps` makes a pickler and grows its memo for every frame: a third of its time for 1,600 small records (214
against 141 ns a record; 15 % of the whole cost of frames of 76 KB). Clearing a memo takes time in proportion to its
largest size ever, so the pickler of an unusually large frame isn't reused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

LARGE = 2**18
"""Bytes of a pickle above which the pickler is replaced. No frame of small records is larger."""

SHRUNK = 8
"""The pickler is also replaced if a pickle is this many times smaller than its largest."""

BYTEARRAY, EMPTY = b"\x96", b"\0\0\0"
"""The opcode of a bytearray in a pickle, and the last bytes of its length: it has eight, and no array fills five."""


class Strange(Exception):
    """A value isn't plain: it holds something other than JSON types, bytes, tuples and sets."""


class _Plain(pickle.Pickler):
    """A pickler that refuses values that aren't plain. `reducer_override` is free: it is called only for those."""

    def reducer_override(self, value: Any) -> Any:
        raise Strange


class Pickling:
    """Pickles values one after the other, each as `pickle.dumps` would.

    aside: pickle's buffer_callback; returns False for a buffer that goes out of band. plain: raise Strange for values
    that aren't plain.
    """

    def __init__(self, aside: Callable[[pickle.PickleBuffer], Any] | None = None, *, plain: bool = False) -> None:
        self._aside = aside
        self._plain = plain
        self._parts: list[bytes] = []
        self._largest = 0
        self._pickler = self._new()

    def _new(self) -> pickle.Pickler:
        return (_Plain if self._plain else pickle.Pickler)(self, 5, buffer_callback=self._aside)

    def write(self, data: Any) -> int:
        """Called by the pickler: nearly always once, with everything. Large bytes come separately, uncopied."""
        self._parts.append(data if type(data) is bytes else bytes(data))
        return len(data)

    def parts(self, value: Any) -> list[bytes]:
        """The pickle of a value, in parts. Raises whatever pickling raises, and Strange."""
        self._parts = []
        try:
            self._pickler.dump(value)
            parts = self._parts
        finally:
            self._parts = []
            self._pickler.clear_memo()  # now: it keeps the records alive, whose memory the next frame can reuse
        if self._plain and any(map(_may_hold_bytearray, parts)):
            raise Strange
        size = sum(map(len, parts))
        if size > LARGE or size * SHRUNK < self._largest:
            self._pickler, self._largest = self._new(), 0
        elif size > self._largest:
            self._largest = size
        return parts

    def __call__(self, value: Any) -> bytes:
        """The pickle of a value. Raises what `parts` does."""
        parts = self.parts(value)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _may_hold_bytearray(part: bytes) -> bool:
    """Whether part of a pickle looks as if it had a bytearray in it. Numbers and text may look the same."""
    at = part.find(BYTEARRAY)
    while at >= 0:
        if part[at + 6 : at + 9] == EMPTY:
            return True
        at = part.find(BYTEARRAY, at + 1)
    return False


def packing() -> Callable[[list[Any], bool], bytes]:
    """A function (records, plain) → pickle. With `plain` it raises Strange for values that aren't plain."""
    only_plain, anything = Pickling(plain=True), Pickling()
    return lambda records, plain: only_plain(records) if plain else anything(records)
