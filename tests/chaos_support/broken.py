"""`python -m chaos_support.broken BUG COMMAND…`: the command with a bug planted in its protocol, for the oracles.

The bugs replace private functions, since a bug is inside the code.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from stagerunner import __main__ as command
from stagerunner.delivery.deadletters import DeadLetters
from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.ledger import Ledger
from stagerunner.delivery.writers import SinkWriter
from stagerunner.engines.process.parent.worker_pool import WorkerPool
from stagerunner.journal import encode_snapshots
from stagerunner.runtime import resume
from stagerunner.window.core import Window
from stagerunner_parts.sinks import owned


def no_truncate() -> None:
    """A resume goes on at the end of the output, whatever lies behind the last commit."""

    class File(io.FileIO):
        def truncate(self, size: int | None = None) -> int:
            return self.seek(0, io.SEEK_END)

    owned.FileIO = File


def letters_not_truncated() -> None:
    """The same with the dead letters."""
    look = DeadLetters._look

    def looked(self: Any, **options: Any) -> Any:
        self._kept = sys.maxsize if self._kept else 0
        found = look(self, **options)
        self._kept = found.mine
        return found

    DeadLetters._look = looked


def journal_before_sink() -> None:
    """The journal says that a frame is delivered when the one before it is."""
    write = SinkWriter.write
    held = deque[tuple[bytes, int]]()

    def late(self: Any, body: Any, records: int, buffers: Any = ()) -> None:
        held.append((bytes(body), records))
        if len(held) > 1:
            write(self, *held.popleft())

    finish = SinkWriter.finish

    def finished(self: Any) -> None:
        while held:
            write(self, *held.popleft())
        finish(self)

    SinkWriter.write, SinkWriter.finish = late, finished


def lost_head() -> None:
    """A restart forgets the oldest split it keeps."""
    restart = Window.restart

    def lossy(self: Any, inspections: Any = None) -> Any:
        if len(self.kept) > 1:
            self.kept.popleft()
        return restart(self, inspections)

    Window.restart = lossy


def resent_from_the_split() -> None:
    """A restart sends splits whole, the part of them that was taken included."""
    restart = Window.restart

    def doubled(self: Any, inspections: Any = None) -> Any:
        for kept in self.kept:
            kept.accepted = 0
        return restart(self, inspections)

    Window.restart = doubled


def end_of_file_is_the_end() -> None:
    """A pipe that ends is taken for the end of the data."""

    ended = WorkerPool.ended.fget
    WorkerPool.ended = property(lambda self: ended(self) or self._broken is not None)


def no_state() -> None:
    """A resume hands no snapshots back."""
    rows = resume._rows

    def bare(*arguments: Any) -> Any:
        return {number: {**row, "snapshots": encode_snapshots({})} for number, row in rows(*arguments).items()}

    resume._rows = bare


def lead_forgotten() -> None:
    """A resume doesn't see that one table is ahead of another."""
    resume._leads = lambda rows, sinks: {}


def refusals_forgotten() -> None:
    """A table that is ahead skips records that it has refused, and nobody knows any more that it did."""
    resume._refused = lambda row, base, number: {}


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        no_truncate,
        letters_not_truncated,
        journal_before_sink,
        lost_head,
        resent_from_the_split,
        end_of_file_is_the_end,
        no_state,
        lead_forgotten,
        refusals_forgotten,
    )
}


def failing_frame_is_not_counted() -> None:
    """Records of the frame in which a run fails are in the output, but not in the ledger."""
    counts = Delivery.counts

    def counted(self: Any, *lines: Any) -> None:
        if self.fatal is None:
            counts(self, *lines)

    Delivery.counts = counted


def ledger_begins_anew() -> None:
    """A resumed run counts only what it has done itself."""
    Ledger.restore = lambda self, rows: None


LIES: dict[str, Callable[[], None]] = {lie.__name__: lie for lie in (failing_frame_is_not_counted, ledger_begins_anew)}
"""Bugs that leave the output right and make the report wrong."""


def main() -> int:
    bug, *arguments = sys.argv[1:]
    (BUGS | LIES)[bug]()
    sys.argv = ["stagerunner", *arguments]
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
