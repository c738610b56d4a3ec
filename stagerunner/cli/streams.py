"""The streams of one call: standard output for data, standard error for the rest, as its flags want them."""

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
"""What a live view writes at its end."""


class NullStream(io.StringIO):
    """Discards what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


class PluginOutput(io.TextIOBase):
    """`sys.stdout` while plugins run: what they print goes to standard error, line by line, secrets masked.

    Bytes are not redirected: `buffer` is that of the real standard output.
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

    def finish(self) -> None:
        """Write the last line, if it has no line end."""
        if self._rest:
            self.write("\n")


class Streams:
    """The streams of a call, and what its flags say about them: filled in as flags are parsed, also for error reports.

    plugin_command: the name of the command, if it is a plugin's. owned: this process runs only the command (see `own`).
    """

    def __init__(self, color: str = "auto") -> None:
        self.color = color
        self.verbose = False
        self.json = False
        self.secrets: tuple[str, ...] = ()
        self.plugin_command = ""
        self.owned = False
        self._stdout: TextIO | None = None
        self._stderr: TextIO | None = None
        self._errors: TextIO | None = None

    _open: ExitStack | None = None

    def keep_open(self, entered: AbstractContextManager[Entered]) -> Entered:
        """Enter a context that ends with the call, after its last message."""
        self._open = self._open or ExitStack()
        return self._open.enter_context(entered)

    def own(self) -> None:
        """Take over the standard streams: this process runs nothing but the command, and ends with it."""
        self._stderr, self.owned = inherited.part_output(), True

    def lend(self, command: str) -> None:
        """Give standard output, and Ctrl-C, to a plugin's command of this name."""
        self.plugin_command = command
        if self.owned:
            inherited.join_output()
        self.unwind_at_interrupt()

    def unwind_at_interrupt(self) -> None:
        """From here on Ctrl-C raises KeyboardInterrupt: other people's code runs that may have to clean up."""
        if self.owned:
            inherited.raise_at_interrupt()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Mask these secrets too from now on, also in what other code prints to `sys.stderr`."""
        self.secrets = tuple(dict.fromkeys((*self.secrets, *secrets)))
        mask = Mask(self.secrets)
        if mask and sys.stderr is not None:
            self._errors = self._errors or sys.stderr
            sys.stderr = cast("TextIO", MaskedStream(self._errors, mask))

    def restore(self) -> None:
        """Restore `sys.stderr`: the call is over."""
        if self._open is not None:
            self._open.close()
        if self._errors is not None:
            sys.stderr, self._errors = self._errors, None

    def out(self) -> Console:
        """Standard output, for data. Writing raises BrokenPipeError if the reader has left."""
        return self._console(self._stdout or sys.stdout)

    def err(self) -> Console:
        """Standard error, for everything else."""
        return self._console(self._stderr or sys.stderr, losable=True)

    def report(self, error: StagerunnerError, console: Console | None = None) -> None:
        """Write the message of an error, to standard error by default."""
        from stagerunner.views.errors import print_error  # most calls end without an error

        print_error(error, console or self.err(), json=self.json)

    def last_words(self, error: StagerunnerError) -> None:
        """Report why the process ends, from any thread, without waiting for a lock or a reader."""
        message = io.StringIO()
        self.report(error, Console(message, secrets=self.secrets))
        shown = SHOW_CURSOR if os.isatty(2) and os.environ.get("TERM") != "dumb" else ""
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        if ready.poll(0):
            os.write(2, f"{shown}{message.getvalue()}".encode(errors="backslashreplace")[: select.PIPE_BUF])

    @contextmanager
    def data_only(self) -> Iterator[None]:
        """Keep standard output for data: what plugins print goes to standard error. If `owned`, this never ends."""
        if self._stdout is not None:  # a command inside a group: done already
            yield
            return
        self._stdout = sys.stdout or NullStream()
        printed = sys.stdout = PluginOutput(self, self._stdout)
        try:
            yield
        finally:
            printed.finish()
            if not self.owned:
                sys.stdout, self._stdout = self._stdout, None

    def flush(self) -> None:
        """Flush standard output. Raises OSError, or ValueError if the stream was closed."""
        stream = self._stdout or sys.stdout
        if stream is not None:
            stream.flush()

    def _console(self, stream: TextIO | None, *, losable: bool = False) -> Console:
        stream = stream or NullStream()  # Python has None for a descriptor that was closed when it started
        return Console(stream, color=use_color(stream, self.color), secrets=self.secrets, losable=losable)
