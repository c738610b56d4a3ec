"""Outputs that aren't files: a named pipe, a terminal, a descriptor. The runner itself writes to them, as fast as they
are read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from stagerunner_parts.sinks.targets import check_descriptor, is_stream


class Stream:
    """Such an output. target: the number of a descriptor, or the path of a named pipe or device."""

    def __init__(self, target: Path | int) -> None:
        self._target = target
        self._opened: int | None = None

    @property
    def stdout(self) -> bool:
        return self._target == 1

    def check(self) -> None:
        """Raises OSError, with a message, if this descriptor can't be written to."""
        if isinstance(self._target, int) and not self.stdout:
            check_descriptor(self._target)

    def connect(self) -> int | None:
        """Its descriptor; None while a named pipe has no reader. Never waits."""
        if isinstance(self._target, int):
            return self._target
        if self._opened is None:
            try:
                self._opened = os.open(self._target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None


def stream_at(target: Path | int) -> Stream | None:
    """The stream to which a resolved path leads; None if it is a file."""
    return Stream(target) if isinstance(target, int) or is_stream(target) else None
