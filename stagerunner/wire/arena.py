"""The arena: large buffers lie in shared memory, and pipes carry only where they are.

A nameless file has a segment for each block and owner (the parent, and each group of workers). The parent gives a frame
a block when it sends it. Each worker writes only to its own segment of that block, and forwards what lies in any of
its segments. The block is free when the frame has come back and no process holds a buffer of it. So there are no locks,
no release messages, and nothing that a killed worker could hold; a new epoch begins with a new file.

The file is sparse: a segment costs address space, and memory only for pages that were used. Segments are few and reused
last in, first out, because a new page costs as much as four to seven copies.
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
"""Bytes of address space for each segment; what is larger goes through the pipe."""

FROM = 65536
"""Bytes from which on a buffer goes into the arena. Below, the pipe is as fast."""

ALIGN = 64

OURS = 2
"""The reference count of a segment without buffers: the dictionary's, and that of `getrefcount`'s argument."""


class Ref(NamedTuple):
    """Where bytes of a frame lie: in a segment of its block, or (owner PIPE) in its body."""

    owner: int
    offset: int
    length: int


PIPE = -1

WORDS = 16
"""More machine words than CPython's Py_buffer has. The first one is the address."""


def address_of(view: memoryview) -> int:
    """The address of a contiguous buffer's first byte. For a read-only buffer there is no other way to get it."""
    import ctypes  # here and below a late import: it takes 2 ms, and most runs have no large buffer

    buffer = (ctypes.c_void_p * WORDS)()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), buffer, 0)
    address = buffer[0] or 0
    ctypes.pythonapi.PyBuffer_Release(buffer)
    return address


def create(owners: int) -> int | None:
    """Create the arena's file for so many owners: its descriptor, or None if the system refuses."""
    if not hasattr(os, "memfd_create"):
        return None
    fd = os.memfd_create("stagerunner-arena", os.MFD_CLOEXEC)
    size = BLOCKS * owners * SPAN
    try:
        os.ftruncate(fd, size)
        mmap.mmap(fd, size).close()  # workers have the same limits: what fails here fails there
    except OSError:  # over a limit on file size or address space
        os.close(fd)
        return None
    return fd


class Arena:
    """One epoch's arena in one process. It is mapped at first use, and owns the descriptor."""

    def __init__(self, fd: int, owners: int) -> None:
        self.fd = fd
        self.owners = owners
        self._map: mmap.mmap | None = None
        self._start = 0
        self._segments: dict[tuple[int, int], Any] = {}

    def view(self, block: int, ref: Ref) -> memoryview:
        """The bytes at `ref` in this block. As long as the view exists, the segment counts as held."""
        view = memoryview(self._segment(block, ref.owner)).cast("B")
        return view[ref.offset : ref.offset + ref.length]

    def find(self, block: int, view: memoryview) -> Ref | None:
        """Where in this block a buffer lies; None if it lies elsewhere."""
        if self._map is None:
            return None
        number, offset = divmod(address_of(view) - self._start, SPAN)
        where, owner = divmod(number, self.owners)
        return Ref(owner, offset, view.nbytes) if where == block else None

    def held(self, blocks: Iterable[int]) -> tuple[int, ...]:
        """Those of these blocks of which this process still holds a buffer."""
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
        """Close the file. Memory of which a buffer is still held stays mapped until that buffer is gone."""
        self._segments.clear()
        self._map = None
        os.close(self.fd)
