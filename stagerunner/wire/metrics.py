"""The metrics page: one shared mapping, a slot per worker and stage, one writer per word.

Words are aligned 64-bit integers. The parent reads them for the views, for deadlines and after a death; the page
survives SIGKILL. Clocks are nanoseconds. `since` is a time of the monotonic clock, which all processes of a machine
share. After the slots stand three words for each of them. All workers of a stage write those of its first worker's
slot: when its next call may begin, if it has a `rate`; and its pause (evaluate/limits). Then three in which a worker
that works ahead says how many frames it has open, which is the oldest, and which it takes in next. Behind them lie
the *places* of each slot: one for each call that its stage may run at once. They say which records are in which call,
so that after a death all of them are suspects.
"""

from __future__ import annotations

import mmap
import os
import struct
from functools import partial
from time import monotonic_ns

from stagerunner.evaluate.limits.budget import Words
from stagerunner.evaluate.limits.pacing import Pause
from stagerunner.evaluate.work import COUNTERS
from stagerunner.records import Batch
from stagerunner.tuples import NamedTuple

WORDS = 24
"""Words per slot (192 bytes: three cache lines, so that no two writers share one)."""

STOP, STOP_STAGE, ALL_SENT = range(3)
"""Words of the page's head. STOP: the sequence of the frame in which a stage called `enough`, plus one; else 0.
ALL_SENT: the sequence after which the parent can send nothing for now, plus one; 0 while more may come."""

MOST_STAGES = 2**31
"""More than any chain has: as STOP_STAGE, every stage stops."""

HALT = 3
"""Word of the page's head: 1 once the run is halted."""

STATE, SINCE, RECORD, SEQUENCE, SPLIT, FIRST, LAST, LEFT = range(8)
WORK, CODEC, WAIT, BLOCK, TAKEN, OUT, ORIGIN, ORDINAL = range(8, 16)
CPU = 16
"""CPU time of the worker since READY, in the slot of its first stage. The other clocks also run while it sleeps."""

SINK = 17
"""The number of the sink for which a suspected record is being encoded."""

STARTING, WAITING, DECODING, WORKING, BLOCKED, SETTING_UP, FLUSHING, ENCODING, SNAPSHOT = range(9)
READING, WRITING, CLOSED = range(9, 12)

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
    READING: "reading the source",
    WRITING: "encoding for the sink",
    CLOSED: "passing on its results",
}

PLACE = 4
"""Words of a place: first source record, last frame, behind the last source record, first frame plus one. The last is 0
if there is no call; it is stored last."""

# Words that change together are adjacent and stored by one call, in a fifth of the time of one store per word.
_STATE = struct.Struct("@2q")
_HELD = struct.Struct("@7q")
_CLOCKS = struct.Struct("@6q")
_CALL = struct.Struct("@4q")


class Running(NamedTuple):
    """The records of a running call: from source record `first` of frame `sequence` up to, and without, source record
    `last` of frame `end`. A gathered call has records of several frames, all of one worker."""

    sequence: int
    first: int
    end: int
    last: int


def create(slots: int, places: int = 1) -> int:
    """Create the nameless shared file, with the head and this many slots, with `places` each: its descriptor."""
    size = (slots + 1) * WORDS * 8
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("stagerunner-metrics", os.MFD_CLOEXEC)
    else:
        import tempfile  # a late import: only systems without memfd need it

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size + slots * (6 + COUNTERS + places * PLACE) * 8)
    return fd


class MetricsPage:
    """The whole page, as the parent or a worker sees it."""

    def __init__(self, fd: int, slots: int, places: int = 1) -> None:
        self._fd = fd
        self._reservations = (slots + 1) * WORDS
        self._pauses = self._reservations + slots
        self._spent = self._pauses + 2 * slots
        self._open = self._spent + slots * COUNTERS
        self._calls, self._places = self._open + 3 * slots, places * PLACE
        self._map = mmap.mmap(fd, (self._calls + slots * self._places) * 8)
        self.words = memoryview(self._map).cast("B").cast("q")
        self._slots: list[Slot | None] = [None] * slots
        self._numbers: memoryview[float] | None = None
        self._closed = False

    def slot(self, number: int) -> Slot:
        """The slot with this number. It is made at first use: a worker uses few of them."""
        slot = self._slots[number]
        if slot is None:
            base = (number + 1) * WORDS
            at = self._calls + number * self._places
            calls = self.words[at : at + self._places]
            slot = self._slots[number] = Slot(self.words[base : base + WORDS], self._map, base * 8, calls, at * 8)
        return slot

    @property
    def stop(self) -> int:
        """The sequence of the frame in which a stage called `enough`; -1 if none has."""
        return self.words[STOP] - 1

    @stop.setter
    def stop(self, sequence: int) -> None:
        self.words[STOP] = sequence + 1

    @property
    def stop_stage(self) -> int:
        return self.words[STOP_STAGE]

    @stop_stage.setter
    def stop_stage(self, stage: int) -> None:
        self.words[STOP_STAGE] = stage

    def stop_behind(self, sequence: int) -> None:
        """Let every stage pass frames behind this sequence on."""
        self.stop_stage, self.stop = MOST_STAGES, sequence

    def halt(self) -> None:
        """Let every stage cut its frame at the next record. Does nothing once the page is closed: a signal may come as
        late as that."""
        if not self._closed:
            self.words[HALT] = 1

    @property
    def halted(self) -> bool:
        return self.words[HALT] != 0

    def reserve_call(self, first: int, between: float) -> float:
        """Reserve the next call of the stage whose first worker has this slot; see evaluate.limits.pacing.Reserve.

        The page's descriptor must still be open. The kernel releases the lock if the worker dies.
        """
        from fcntl import LOCK_EX, LOCK_UN, lockf  # a late import: few stages have a rate

        place = self._reservations + first
        lockf(self._fd, LOCK_EX, 8, 8 * place)
        try:
            start = max(monotonic_ns(), self.words[place])
            self.words[place] = start + int(between * 1e9)
        finally:
            lockf(self._fd, LOCK_UN, 8, 8 * place)
        return start / 1e9

    def pause(self, first: int) -> Pause:
        """The pause of the stage whose first worker has this slot."""
        return Pause(self.words, self._pauses + 2 * first)

    def spent(self, first: int, width: int, own: int) -> Words:
        """What the workers of a stage have spent. first: the slot of the first of its `width` workers; own: the number
        of the one that asks."""
        if self._numbers is None:
            self._numbers = memoryview(self._map).cast("B").cast("d")
        rows = range(self._spent + first * COUNTERS, self._spent + (first + width) * COUNTERS, COUNTERS)
        return Words(self._numbers, rows, own)

    def say_all_sent(self, sequence: int) -> None:
        """Nothing follows this sequence for now; -1: more may come."""
        self.words[ALL_SENT] = sequence + 1

    def all_sent_before(self, sequence: int) -> bool:
        """Whether it is known that no frame with this sequence, or a later one, can be sent for now."""
        return 0 < self.words[ALL_SENT] <= sequence

    def open_frames(self, number: int, count: int, oldest: int = -1) -> None:
        """The worker with this slot has so many frames open: taken in, and not sent on. oldest: the first of them."""
        self.words[self._open + number] = count
        self.words[self._open + len(self._slots) + number] = oldest + 1

    def opened(self) -> int:
        """The frames that all workers have open."""
        return sum(self.words[self._open : self._open + len(self._slots)])

    def holds(self, sequence: int) -> bool:
        """Whether this frame is the oldest one that some worker has open."""
        oldest = self._open + len(self._slots)
        return sequence + 1 in self.words[oldest : oldest + len(self._slots)].tolist()

    def took_in(self, number: int, sequence: int) -> None:
        """The worker with this slot, which works ahead, has taken in all its frames before this sequence."""
        self.words[self._open + 2 * len(self._slots) + number] = sequence

    def has_taken_in(self, number: int, sequence: int) -> bool:
        """Whether the worker with this slot has taken in all its frames up to this sequence."""
        return self.words[self._open + 2 * len(self._slots) + number] > sequence

    def clear(self) -> None:
        """Begin a new epoch. A halt, clocks, counts, rates, pauses and what was spent continue."""
        self.words[STOP] = self.words[STOP_STAGE] = self.words[ALL_SENT] = 0
        for number in range(len(self._slots)):
            words = self.slot(number).words
            for word in (STATE, SEQUENCE, RECORD, SINCE, LEFT):
                words[word] = 0
        self._map[self._open * 8 :] = bytes(len(self._map) - self._open * 8)

    def close(self) -> None:
        """Release the memory, even if something still refers to a slot, as a traceback may."""
        self._closed = True
        for slot in self._slots:
            if slot is not None:
                slot.words.release()
                slot.calls.release()
        self.words.release()
        if self._numbers is not None:
            self._numbers.release()
        self._map.close()


class Slot:
    """One worker's words for one stage; also the evaluate.work.Slot in which the evaluator notes each record.

    Its clocks and counts are attributes, added up here and stored on the page once a frame.
    """

    __slots__ = (
        "_at",
        "_calls_at",
        "_clocks",
        "_map",
        "batch",
        "block",
        "calls",
        "codec",
        "out",
        "say",
        "taken",
        "wait",
        "words",
        "work",
    )

    def __init__(self, words: memoryview, mapping: mmap.mmap, at: int, calls: memoryview, calls_at: int) -> None:
        self.words = words
        self.calls = calls
        self._calls_at = calls_at
        self.batch: Batch | None = None
        self._map = mapping
        self._at = at
        self._clocks = at + WORK * 8
        self.say = partial(_STATE.pack_into, mapping, at)
        """say(state, since): `state` without the cost of a Python call."""
        self.work, self.codec, self.wait, self.block, self.taken, self.out = words[WORK : OUT + 1].tolist()

    def enter(self, record: int, since: int = 0, batch: Batch | None = None, *, alone: bool = True) -> None:
        """Note a record. Its index is stored last, so that a kill in between leaves no record half noted.

        alone: else it is the first of a list, and none of them is named.
        """
        words = self.words
        words[RECORD] = 0
        if batch is not None and batch.frame is not None:
            self.begin(*batch.frame, batch, since)
        if not alone:
            words[ORIGIN], words[ORDINAL] = -1, -1
        elif self.batch is not None:
            words[ORIGIN], words[ORDINAL] = self.batch.origin(record), self.batch.ordinal(record)
        else:
            words[ORIGIN], words[ORDINAL] = record, 0  # of a flush, whose results are its source records
        words[SINCE] = since or monotonic_ns()
        words[RECORD] = record + 1

    def leave(self) -> None:
        self.words[RECORD] = 0

    def at_sink(self, number: int) -> None:
        """What follows is done for this one of the sinks."""
        self.words[SINK] = number

    def call(self, place: int, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Note a call in a place. first, last: (frame, source record) of its first and of its last record."""
        at = self._calls_at + place * PLACE * 8
        _CALL.pack_into(self._map, at, first[1], last[0], last[1] + 1, first[0] + 1)

    def called(self, place: int) -> None:
        """The call in this place has ended."""
        self.calls[place * PLACE + PLACE - 1] = 0

    def running(self) -> list[Running]:
        """The calls that are noted."""
        words = self.calls.tolist()
        quads = (words[at : at + PLACE] for at in range(0, len(words), PLACE))
        return [Running(begun - 1, first, end, last) for first, end, last, begun in quads if begun]

    # since: the current time, if the caller has it already; reading the clock costs a fifth of a store.

    def state(self, state: int, since: int = 0) -> None:
        self.say(state, since or monotonic_ns())

    def hold(self, state: int, sequence: int, split: int, first: int, last: int, since: int = 0) -> None:
        """Note which source records of a split the worker has now, and what it does with them."""
        self.batch = None
        _HELD.pack_into(self._map, self._at, state, since or monotonic_ns(), 0, sequence, split, first, last)

    def begin(self, sequence: int, split: int, batch: Batch, since: int = 0) -> None:
        """Note that work on a batch begins."""
        self.batch = batch
        at = since or monotonic_ns()
        _HELD.pack_into(self._map, self._at, WORKING, at, 0, sequence, split, batch.first, batch.last)

    def rest(self, state: int, since: int) -> None:
        """Store the clocks and counts after a frame, and the state in which the worker is now."""
        self.say(state, since)
        _CLOCKS.pack_into(self._map, self._clocks, self.work, self.codec, self.wait, self.block, self.taken, self.out)

    def store(self) -> None:
        """Store the clocks (nanoseconds) and the counts of records on the page."""
        _CLOCKS.pack_into(self._map, self._clocks, self.work, self.codec, self.wait, self.block, self.taken, self.out)

    def add(self, work: int, taken: int, out: int) -> None:
        """Add the time and records of a call of the stage, and store them."""
        self.work += work
        self.taken += taken
        self.out += out
        self.store()
