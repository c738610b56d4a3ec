"""How this call talks: what its flags say about colour, secrets and the form of lines, and the streams that follow."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TextIO, TypeVar, cast

from stagerunner import inherited
from stagerunner.config.masking import Mask, MaskedStream
from stagerunner.errors import StagerunnerError
from stagerunner.views.console import Console, use_color

Entered = TypeVar("Entered")

SHOW_CURSOR = "\x1b[?25h"
"""What a live view would have written at its end."""


class Nowhere(io.StringIO):
    """Takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


class Aside(io.TextIOBase):
    """What other people's code prints in this process: lines on standard error, secrets masked.

    Who writes bytes to standard output means it: `buffer` is the real one.
    """

    encoding = "utf-8"

    def __init__(self, streams: Streams, stdout: TextIO | None) -> None:
        self.buffer = getattr(stdout, "buffer", None)
        self._streams = streams
        self._rest = ""

    def fileno(self) -> int:
        return 2

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._streams.err().line("\n".join(lines))
        return len(text)

    def last(self) -> None:
        """What is left when nothing more comes."""
        if self._rest:
            self.write("\n")


class Streams:
    """Filled in as flags are read; what tells of an error at the very end asks here too."""

    def __init__(self, color: str = "auto") -> None:
        self.color = color
        self.verbose = False
        self.json = False
        self.secrets: tuple[str, ...] = ()
        self.offered = ""
        """The name of the command, if it is a plugin's."""
        self.owned = False
        self._stdout: TextIO | None = None
        self._stderr: TextIO | None = None
        self._errors: TextIO | None = None

    _open: ExitStack | None = None

    def until_the_end(self, entered: AbstractContextManager[Entered]) -> Entered:
        """Enter this, until nothing is left to be said."""
        self._open = self._open or ExitStack()
        return self._open.enter_context(entered)

    def own(self) -> None:
        """This process is the command's alone, with its standard streams, to its very end."""
        self._stderr, self.owned = inherited.part_output(), True

    def lend(self, command: str) -> None:
        """A plugin's command writes to standard output as it likes."""
        self.offered = command
        if self.owned:
            inherited.join_output()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Show these as `***` from now on, with those told before; whoever prints to standard error here does too."""
        self.secrets = tuple(dict.fromkeys((*self.secrets, *secrets)))
        mask = Mask(self.secrets)
        if mask and sys.stderr is not None:
            self._errors = self._errors or sys.stderr
            sys.stderr = cast("TextIO", MaskedStream(self._errors, mask))

    def reveal(self) -> None:
        """The call is over: standard error is as it was."""
        if self._open is not None:
            self._open.close()
        if self._errors is not None:
            sys.stderr, self._errors = self._errors, None

    def out(self) -> Console:
        """Standard output, for what was asked for. A reader that has left raises BrokenPipeError."""
        return self._console(self._stdout or sys.stdout)

    def err(self) -> Console:
        """Standard error, for everything else."""
        return self._console(self._stderr or sys.stderr, losable=True)

    def report(self, error: StagerunnerError, console: Console | None = None) -> None:
        """Write the message of an error, to standard error by default."""
        from stagerunner.views.errors import print_error  # most calls end without an error

        print_error(error, console or self.err(), json=self.json)

    def last_words(self, error: StagerunnerError) -> None:
        """Say why the process ends, from whatever thread and without waiting: not for a lock, and for no reader."""
        said = io.StringIO()
        self.report(error, Console(said, secrets=self.secrets))
        shown = SHOW_CURSOR if os.isatty(2) and os.environ.get("TERM") != "dumb" else ""
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        if ready.poll(0):
            os.write(2, f"{shown}{said.getvalue()}".encode(errors="backslashreplace")[: select.PIPE_BUF])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Standard output is for data alone, whatever is printed meanwhile; in a process of our own, to its end."""
        if self._stdout is not None:  # a command within a group
            yield
            return
        self._stdout = sys.stdout or Nowhere()
        printed = sys.stdout = Aside(self, self._stdout)
        try:
            yield
        finally:
            printed.last()
            if not self.owned:
                sys.stdout, self._stdout = self._stdout, None

    def flush(self) -> None:
        """Write out what is left. Raises OSError, or ValueError for a stream that somebody has closed."""
        stream = self._stdout or sys.stdout
        if stream is not None:
            stream.flush()

    def _console(self, stream: TextIO | None, *, losable: bool = False) -> Console:
        # Python has None for a descriptor that was closed when it started.
        there = stream or Nowhere()
        return Console(there, color=use_color(there, self.color), secrets=self.secrets, losable=losable)
