"""The meters page: one shared mapping, a slot per worker and stage, one writer per word.

Words are aligned 64-bit integers. The parent reads them for the views, for deadlines and after a death; the page
survives SIGKILL. Clocks are nanoseconds; `since` is of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import mmap
import os
import struct
from time import monotonic_ns

from stagerunner.records import Batch

WORDS = 16
"""Words per slot (128 bytes: two cache lines, so that no two writers share one)."""

STATE, SEQUENCE, RECORD, SINCE, WORK, CODEC, WAIT, BLOCK = range(8)
TAKEN, OUT, LEFT, SPLIT, ORIGIN, ORDINAL, FIRST, LAST = range(8, 16)

STARTING, WAITING, DECODING, WORKING, BLOCKED, SETTING_UP, FLUSHING, ENCODING, SNAPSHOT = range(9)

STATES = {
    STARTING: "starting",
    WAITING: "waiting for records",
    DECODING: "decoding a frame",
    WORKING: "working on a record",
    BLOCKED: "waiting for the next worker",
    SETTING_UP: "setting up",
    FLUSHING: "flushing",
    ENCODING: "encoding its results",
    SNAPSHOT: "taking a snapshot",
}

_CLOCKS = struct.Struct("=6q")


def create(slots: int) -> int:
    """A nameless shared file with room for the head and this many slots: its descriptor."""
    size = (slots + 1) * WORDS * 8
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("stagerunner-meters", os.MFD_CLOEXEC)
    else:
        import tempfile  # where there is no memfd, and only there

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


class Page:
    """The whole page, as the parent or a worker sees it."""

    def __init__(self, fd: int, slots: int) -> None:
        self._map = mmap.mmap(fd, (slots + 1) * WORDS * 8)
        self.words = memoryview(self._map).cast("B").cast("q")
        self._slots = [self._slot((number + 1) * WORDS) for number in range(slots)]

    def _slot(self, base: int) -> Slot:
        return Slot(self.words[base : base + WORDS], self._map, base * 8)

    def slot(self, number: int) -> Slot:
        return self._slots[number]

    @property
    def stop(self) -> int:
        """The sequence of the frame in which a stage said it needs no more; -1 while none has."""
        return self.words[0] - 1

    @stop.setter
    def stop(self, sequence: int) -> None:
        self.words[0] = sequence + 1

    @property
    def stop_stage(self) -> int:
        return self.words[1]

    @stop_stage.setter
    def stop_stage(self, stage: int) -> None:
        self.words[1] = stage

    def clear(self) -> None:
        """Begin a new epoch. Clocks and counts go on."""
        self.words[0] = self.words[1] = 0
        for slot in self._slots:
            for word in (STATE, SEQUENCE, RECORD, SINCE, LEFT):
                slot.words[word] = 0

    def close(self) -> None:
        """Let go of the memory, whoever still holds a slot (the traceback of an error may)."""
        for slot in self._slots:
            slot.words.release()
        self.words.release()
        self._map.close()


class Slot:
    """One worker's words for one stage. Also what the evaluator calls around a record (evaluate.work.Slot)."""

    __slots__ = ("_at", "_map", "batch", "words")

    def __init__(self, words: memoryview, mapping: mmap.mmap, at: int) -> None:
        self.words = words
        self.batch: Batch | None = None
        self._map = mapping
        self._at = at

    def enter(self, record: int) -> None:
        """The record index is stored last, so that a kill in between leaves no half-told record."""
        words = self.words
        words[RECORD] = 0
        if self.batch is not None:
            words[ORIGIN], words[ORDINAL] = self.batch.origin(record), self.batch.ordinal(record)
        else:
            words[ORIGIN], words[ORDINAL] = record, 0  # of a flush: its results are its source records
        words[SINCE] = monotonic_ns()
        words[RECORD] = record + 1

    def leave(self) -> None:
        self.words[RECORD] = 0

    def state(self, state: int) -> None:
        self.words[SINCE] = monotonic_ns()
        self.words[STATE] = state

    def hold(self, state: int, sequence: int, split: int, first: int, last: int) -> None:
        """These source records of a split are in hand now, and what is being done with them."""
        words = self.words
        self.batch = None
        words[RECORD] = 0
        words[SEQUENCE], words[SPLIT], words[FIRST], words[LAST] = sequence, split, first, last
        self.state(state)

    def begin(self, sequence: int, split: int, batch: Batch) -> None:
        """A batch is about to be worked on."""
        self.hold(WORKING, sequence, split, batch.first, batch.last)
        self.batch = batch

    def add(self, work: int, codec: int, wait: int, block: int, taken: int, out: int) -> None:
        """Add a frame's nanoseconds and records: one store of six words instead of six."""
        words = self.words
        _CLOCKS.pack_into(
            self._map,
            self._at + WORK * 8,
            words[WORK] + work,
            words[CODEC] + codec,
            words[WAIT] + wait,
            words[BLOCK] + block,
            words[TAKEN] + taken,
            words[OUT] + out,
        )
