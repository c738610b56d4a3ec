"""Parts are made of their spool in a thread, beside the run: encoding a row group takes longer than a turn of the
parent's loop may.

The thread touches nothing but the spool, which it reads, and the part, which it writes. pyarrow lets other threads run
meanwhile.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pyarrow as pa

from stagerunner_parts.columnar.streams import Piece, table_of

AHEAD = 4
"""Row groups that may wait to be written. Then the run waits, too: the end of a run would else take long."""

RETAINED = 2**24
"""After glibc has freed a block of so many bytes, it keeps up to twice as much for the next row group. Without that, a
third of the thread's time goes into pages that it has just given back."""


class PartWriter(ABC):
    """Writes one part."""

    @abstractmethod
    def group(self, table: pa.Table) -> int:
        """Write a row group. Returns the bytes of the part so far."""

    @abstractmethod
    def close(self) -> None:
        """Close the file, whole or not."""

    def complete(self) -> None:
        """All groups are written: make the file whole, and close it."""
        self.close()


class Part:
    """One part on its way from its spool to its file. Its methods are for the thread, but `close`.

    growing: the file while it is written. done: its name once it is whole. opened: opens the writer.
    """

    def __init__(self, spool: Path, growing: Path, done: Path, opened: Callable[[Path], PartWriter]) -> None:
        self._spool, self._growing, self._done = spool, growing, done
        self._opened = opened
        self._writer: PartWriter | None = None
        self.size = 0
        """Bytes so far."""
        self.whole = False

    def group(self, pieces: list[Piece], schema: pa.Schema) -> None:
        """Write these streams of the spool as one row group."""
        self.size = self._begun().group(table_of(self._spool, pieces, schema))

    def complete(self) -> None:
        """Make the file whole, and give it its name."""
        self._begun().complete()
        self._writer = None
        self._growing.replace(self._done)
        self.whole = True

    def _begun(self) -> PartWriter:
        if self._writer is None:
            self._writer = self._opened(self._growing)
        return self._writer

    def close(self) -> None:
        """Close the file, if it isn't whole. Once the thread has ended."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


class Encoding:
    """A thread that does what it is asked for, in order. It begins with the first request."""

    def __init__(self, ahead: int = AHEAD) -> None:
        self._asked: Queue[Callable[[], Any] | None] = Queue(ahead)
        self._thread: Thread | None = None
        self._error: BaseException | None = None
        self.closed = False

    def ask(self, task: Callable[[], Any]) -> None:
        """Have it done. Waits while too much is asked for. Raises what an earlier task has raised."""
        self._check()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="columns", daemon=True)
            self._thread.start()
        self._asked.put(task)

    def wait(self) -> None:
        """Wait until everything is done. Raises what a task has raised."""
        self._asked.join()
        self._check()

    def close(self) -> None:
        """End the thread behind the task in hand; drop the others."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self.closed = True
            self._asked.put(None)
            thread.join()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        # A signal is for the main thread: it would be late if this one woke for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        bytes(RETAINED)
        while (task := self._asked.get()) is not None:
            try:
                if not self.closed and self._error is None:
                    task()
            except BaseException as error:
                self._error = error
            finally:
                self._asked.task_done()
