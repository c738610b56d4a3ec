"""The memory lane: large buffers lie in shared memory, and links carry only where.

A nameless file has a slot for each place and owner (the parent, and each group of workers). The parent gives a frame a
place when it sends it; each worker writes to its own slot of that place only, and hands on what lies in any slot of it.
The place is free when the frame has come back and nobody holds a buffer of it. So there is no lock and no message to
release anything, and nothing a killed worker could hold; a new epoch begins with a new file.

The file is sparse: a slot costs address space until it is used, and then the pages that were used. Slots are few and
used again last in, first out, since new pages cost four to seven copies.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterable
from typing import Any

from stagerunner.evaluate import ambient
from stagerunner.tuples import NamedTuple

PLACES = 16
SPAN = 2**30
"""Bytes of address space for each slot; what is larger goes by the pipe."""

FROM = 65536
"""Bytes from which on a buffer goes into the lane: below, the pipe is as quick."""

ALIGN = 64

OURS = 2
"""References to a slot that nobody holds a buffer of: the dictionary's, and `getrefcount`'s own argument."""


class Ref(NamedTuple):
    """Where bytes of a frame lie: in a slot of its place, or (owner PIPE) in its body."""

    owner: int
    offset: int
    length: int


PIPE = -1

WORDS = 16
"""More machine words than CPython's Py_buffer has. The first is the address."""


def address_of(view: memoryview) -> int:
    """The address of a contiguous buffer's first byte. There is no other way to learn that of a read-only one."""
    import ctypes  # here and below: it takes the parent 2 ms, and most runs have no large buffer

    buffer = (ctypes.c_void_p * WORDS)()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), buffer, 0)
    address = buffer[0] or 0
    ctypes.pythonapi.PyBuffer_Release(buffer)
    return address


def create(owners: int) -> int | None:
    """A lane's file for so many owners: its descriptor, or None where the system gives none."""
    if not hasattr(os, "memfd_create"):
        return None
    fd = os.memfd_create("stagerunner-lane", os.MFD_CLOEXEC)
    size = PLACES * owners * SPAN
    try:
        os.ftruncate(fd, size)
        mmap.mmap(fd, size).close()  # what we can't map, no worker can: they have the same limits
    except OSError:  # on the size of files, or of the address space
        os.close(fd)
        return None
    return fd


class Lane:
    """One epoch's lane, as one process sees it. Mapped when it is first used; takes over the descriptor."""

    def __init__(self, fd: int, owners: int) -> None:
        self.fd = fd
        self.owners = owners
        self._map: mmap.mmap | None = None
        self._start = 0
        self._slots: dict[tuple[int, int], Any] = {}

    def view(self, place: int, ref: Ref) -> memoryview:
        """The bytes at `ref`, in the slot that its owner has of a place. Whoever holds the view, holds the slot."""
        view = memoryview(self._slot(place, ref.owner)).cast("B")
        return view[ref.offset : ref.offset + ref.length]

    def find(self, place: int, view: memoryview) -> Ref | None:
        """Where in this place a buffer lies, if it does."""
        if self._map is None:
            return None
        number, offset = divmod(address_of(view) - self._start, SPAN)
        where, owner = divmod(number, self.owners)
        return Ref(owner, offset, view.nbytes) if where == place else None

    def held(self, places: Iterable[int]) -> tuple[int, ...]:
        """Those of these places of which somebody in this process still holds a buffer."""
        busy = {key[0] for key in self._slots if sys.getrefcount(self._slots[key]) > OURS}
        return tuple(place for place in places if place in busy)

    def _slot(self, place: int, owner: int) -> Any:
        slot = self._slots.get((place, owner))
        return self._new_slot(place, owner) if slot is None else slot

    def _new_slot(self, place: int, owner: int) -> Any:
        import ctypes

        kind = ambient.holder = ctypes.c_char * SPAN
        if self._map is None:
            self._map = mmap.mmap(self.fd, PLACES * self.owners * SPAN)
            self._start = ctypes.addressof(kind.from_buffer(self._map))
        slot = self._slots[place, owner] = kind.from_buffer(self._map, (place * self.owners + owner) * SPAN)
        return slot

    def close(self) -> None:
        """Let go of the file. What somebody holds a buffer of stays until that is gone too."""
        self._slots.clear()
        self._map = None
        os.close(self.fd)
