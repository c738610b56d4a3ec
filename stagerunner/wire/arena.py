"""The arena: large buffers lie in shared memory, and pipes carry only where.

A nameless file has a slot for each block and owner (the parent, and each group of workers). The parent gives a frame a
block when it sends it; each worker writes to its own slot of that block only, and hands on what lies in any slot of it.
The block is free when the frame has come back and nobody holds a buffer of it. So there is no lock and no message to
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

from stagerunner.evaluate import stage_api
from stagerunner.tuples import NamedTuple

BLOCKS = 16
SPAN = 2**30
"""Bytes of address space for each slot; what is larger goes by the pipe."""

FROM = 65536
"""Bytes from which on a buffer goes into the arena: below, the pipe is as quick."""

ALIGN = 64

OURS = 2
"""References to a slot that nobody holds a buffer of: the dictionary's, and `getrefcount`'s own argument."""


class Ref(NamedTuple):
    """Where bytes of a frame lie: in a slot of its block, or (owner PIPE) in its body."""

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
    """A arena's file for so many owners: its descriptor, or None where the system gives none."""
    if not hasattr(os, "memfd_create"):
        return None
    fd = os.memfd_create("stagerunner-arena", os.MFD_CLOEXEC)
    size = BLOCKS * owners * SPAN
    try:
        os.ftruncate(fd, size)
        mmap.mmap(fd, size).close()  # what we can't map, no worker can: they have the same limits
    except OSError:  # on the size of files, or of the address space
        os.close(fd)
        return None
    return fd


class Arena:
    """One epoch's arena, as one process sees it. Mapped when it is first used; takes over the descriptor."""

    def __init__(self, fd: int, owners: int) -> None:
        self.fd = fd
        self.owners = owners
        self._map: mmap.mmap | None = None
        self._start = 0
        self._segments: dict[tuple[int, int], Any] = {}

    def view(self, block: int, ref: Ref) -> memoryview:
        """The bytes at `ref`, in the slot that its owner has of a block. Whoever holds the view, holds the slot."""
        view = memoryview(self._segment(block, ref.owner)).cast("B")
        return view[ref.offset : ref.offset + ref.length]

    def find(self, block: int, view: memoryview) -> Ref | None:
        """Where in this block a buffer lies, if it does."""
        if self._map is None:
            return None
        number, offset = divmod(address_of(view) - self._start, SPAN)
        where, owner = divmod(number, self.owners)
        return Ref(owner, offset, view.nbytes) if where == block else None

    def held(self, blocks: Iterable[int]) -> tuple[int, ...]:
        """Those of these blocks of which somebody in this process still holds a buffer."""
        busy = {key[0] for key in self._segments if sys.getrefcount(self._segments[key]) > OURS}
        return tuple(block for block in blocks if block in busy)

    def _segment(self, block: int, owner: int) -> Any:
        segment = self._segments.get((block, owner))
        return self._new_segment(block, owner) if segment is None else segment

    def _new_segment(self, block: int, owner: int) -> Any:
        import ctypes

        kind = stage_api.arena_type = ctypes.c_char * SPAN
        if self._map is None:
            self._map = mmap.mmap(self.fd, BLOCKS * self.owners * SPAN)
            self._start = ctypes.addressof(kind.from_buffer(self._map))
        segment = self._segments[block, owner] = kind.from_buffer(self._map, (block * self.owners + owner) * SPAN)
        return segment

    def close(self) -> None:
        """Let go of the file. What somebody holds a buffer of stays until that is gone too."""
        self._segments.clear()
        self._map = None
        os.close(self.fd)
