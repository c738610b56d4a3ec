"""What the slots of workers on the metrics page say, whatever the engine: clocks, progress, and what was in hand at an
end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from time import monotonic_ns

from stagerunner.engines.base import Clock, Trouble
from stagerunner.records import SOURCE, TO_THE_END
from stagerunner.wire.metrics import (
    BLOCK,
    BLOCKED,
    CLOSED,
    CPU,
    DECODING,
    ENCODING,
    FIRST,
    FLUSHING,
    LAST,
    LEFT,
    ORDINAL,
    ORIGIN,
    OUT,
    READING,
    RECORD,
    SEQUENCE,
    SINCE,
    SINK,
    SPLIT,
    STATE,
    STATES,
    TAKEN,
    WAITING,
    WORK,
    WORKING,
    WRITING,
    MetricsPage,
    Slot,
)
from stagerunner.wire.spec import WorkerSpec

HOLDING = (WORKING, DECODING, ENCODING, FLUSHING, READING, WRITING, CLOSED)
"""States in which a worker has a frame in hand, which may be what kills it."""

CALLING = (WORKING, WAITING, BLOCKED)
"""States in which the calls that a slot notes may be what kills its worker; in the others it is the frame in hand."""

_CLOCKS = ("work", "codec", "wait", "block")
_CLOCK_OF = {
    WORKING: "work",
    FLUSHING: "work",
    DECODING: "codec",
    READING: "codec",
    ENCODING: "codec",
    WRITING: "codec",
    WAITING: "wait",
    BLOCKED: "block",
}
"""State → the clock that runs in it."""


# Progress


def begun(specs: Sequence[WorkerSpec], page: MetricsPage) -> list[int]:
    """The latest sequence each worker of the widest group has begun; of several such groups, the slowest counts."""
    widest = max(spec.width for spec in specs)
    latest = [sys.maxsize] * widest
    for spec in specs:
        if spec.width == widest:
            sequence = page.slot(spec.slots[0]).words[SEQUENCE]
            latest[spec.number] = min(latest[spec.number], sequence)
    return latest


def gathered(specs: Iterable[WorkerSpec], page: MetricsPage, sequence: int) -> bool:
    """Whether the first stage whose workers work ahead has taken in all frames up to this sequence."""
    ahead = [spec for spec in specs if spec.works_ahead]
    first = min((spec.works[0].index for spec in ahead), default=0)
    return all(page.has_taken_in(spec.slots[0], sequence) for spec in ahead if spec.works[0].index == first)


def clocks(specs: Iterable[WorkerSpec], page: MetricsPage) -> list[Clock]:
    """The clocks of each worker and stage."""
    return [_clock(spec, position, page) for spec in specs for position in range(len(spec.slots))]


def _clock(spec: WorkerSpec, position: int, page: MetricsPage) -> Clock:
    words = page.slot(spec.slots[position]).words
    index = spec.works[position].index if spec.works else 0
    clocks = dict(zip(_CLOCKS, words[WORK : BLOCK + 1], strict=True))
    # A worker stores its clocks after a frame, which may take minutes. What it does now is added, unless several
    # stages share the worker: then each has a state, and one of them works.
    state = words[STATE]  # read once: the worker may store another meanwhile, and a store passes through 0
    if len(spec.slots) == 1 and not words[LEFT] and state in _CLOCK_OF:
        clocks[_CLOCK_OF[state]] += max(0, monotonic_ns() - words[SINCE])
    counts = {"taken": words[TAKEN], "out": words[OUT], "cpu": words[CPU]}
    paused, pausing = page.pause(spec.slots[position] - spec.number).times()
    return Clock(index, **clocks, **counts, paused=paused, pausing=pausing)


# What was in hand


def trouble_in_slots(spec: WorkerSpec, page: MetricsPage, pid: int, how: str, *, overdue: bool = False) -> Trouble:
    """What a worker's slots say: the records in calls, or at least the frame in hand."""
    at = max(range(len(spec.slots)), key=lambda n: _telling(page.slot(spec.slots[n]).words))
    slot = page.slot(spec.slots[at])
    words = slot.words
    # The first group decodes a whole split: no part of it could be sent alone.
    holding = words[STATE] in HOLDING and not (words[STATE] == DECODING and spec.first)
    # A stage that closed the worker's descriptors has left its call by the time that this is noticed.
    closed = words[STATE] == CLOSED
    inside = words[RECORD] > 0 or (closed and words[FIRST] == words[ORIGIN] == words[LAST] - 1)
    calls = _calls(slot, spec.width)
    named = holding and inside and not calls
    return Trouble(
        stage=spec.names[at] if spec.names else "copy",
        worker=spec.number,
        pid=pid,
        how=how,
        blamed={READING: SOURCE, WRITING: spec.ends + words[SINK]}.get(words[STATE]),
        index=spec.works[at].index if spec.works else 0,
        split=words[SPLIT] if holding else -1,
        origin=words[ORIGIN] if named else -1,
        ordinal=words[ORDINAL] if named else -1,
        first=words[FIRST],
        last=words[LAST],
        calls=calls,
        state=STATES.get(words[STATE], ""),
        overdue=overdue,
    )


def _calls(slot: Slot, width: int) -> tuple[tuple[int, int, int], ...]:
    """What is in the calls that the slot notes: (sequence, first, last) for each frame of each call.

    Also if one of them is over its deadline: another may hold up the event loop.
    """
    words, running = slot.words, slot.running()
    if words[STATE] not in CALLING:
        return ()
    if not running and words[RECORD] and words[ORIGIN] < 0:  # a list of records of the frame in hand
        return ((words[SEQUENCE], words[FIRST], words[LAST]),)
    return tuple(
        (
            sequence,
            call.first if sequence == call.sequence else 0,
            call.last if sequence == call.end else TO_THE_END,
        )
        for call in running
        for sequence in range(call.sequence, call.end + 1, width)
    )


def _telling(words: memoryview) -> tuple[bool, bool, int]:
    """Sort key of slots: inside a call first, then holding a frame; then the latest."""
    return words[RECORD] > 0, words[STATE] in HOLDING, words[SINCE]
