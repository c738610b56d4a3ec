"""A worker's process: what it is called, its room, its memory and its logging."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")

LONGEST_NAME = 15
"""Bytes of a process' name that Linux keeps."""

YOUNG = 10_000
"""New objects after which garbage is looked for: more than a frame of small records holds."""

RETAINED = 2**25 - 2**16
"""Bytes; see `tune_memory`. With a few pages more it would be more than glibc learns from."""

ROOM = 2**14
"""Words of the interpreter's stack that `with_room` passes over; as many, nearly, are behind them in one piece."""


def with_room(call: Callable[[], Result]) -> Result:
    """Make the call with much room on the interpreter's own stack of Python frames.

    CPython takes that stack from the system in pieces of 16 KiB, and gives a piece back when the last frame in it ends.
    A transform whose calls cross the end of a piece then costs two system calls and a page fault each time. A function
    that says it needs ROOM words gets a piece twice as large, and everything below it finds room there. The pages are
    used only if a call gets that deep.
    """
    return call()


with_room.__code__ = with_room.__code__.replace(co_stacksize=ROOM)


def forward_logging() -> None:
    """Print log records as lines, which the parent labels, if `logging` is imported at all."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def tune_memory() -> None:
    """Tune garbage collection and malloc for frames, which take and free much memory again and again.

    The collector runs once in YOUNG objects and skips what setup made: a frame is some thousand objects that are gone
    when it is sent, and by default they are scanned twice (5 % of CPU). After glibc has freed one block of RETAINED
    bytes, it keeps up to twice as much for reuse: 4,500 page faults in 400 MB of text instead of 230,000. pyarrow's own
    pool gives memory back to the system within milliseconds, so it takes glibc's, unless the user has said which.
    """
    bytes(RETAINED)
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        arrow.set_memory_pool(arrow.system_memory_pool())
    gc.freeze()
    gc.set_threshold(YOUNG)


def take_name(stages: Sequence[str], number: int) -> None:
    """Have `top` and `ps -o comm` call this process by its stages and its number from 1, as messages do (Linux)."""
    suffix = f".{number + 1}"
    name = "+".join(stages)[: LONGEST_NAME - len(suffix)] + suffix
    with suppress(OSError):
        descriptor = os.open("/proc/self/comm", os.O_WRONLY)
        try:
            os.write(descriptor, name.encode())
        finally:
            os.close(descriptor)
