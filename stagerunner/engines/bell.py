"""A bell: any thread rings it, and a selector or a `poll` hears it."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock


class Bell:
    """A pipe that can be read once the bell has rung. fd: its reading end."""

    def __init__(self) -> None:
        self.fd, self._ringing = os.pipe()
        for fd in (self.fd, self._ringing):
            os.set_blocking(fd, False)
        self._lock = RLock()  # the garbage collector may close it while it rings

    def ring(self, _: object = None) -> None:
        """Ring it; nothing happens once it is closed."""
        with self._lock, suppress(OSError):  # full: it rings already
            if not self.closed:
                os.write(self._ringing, b"\0")

    def silence(self) -> None:
        """Have it ring anew for what comes from now on. Then look for what has come before."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    @property
    def closed(self) -> bool:
        return self._ringing < 0

    def close(self) -> None:
        with self._lock:
            ringing, self._ringing = self._ringing, -1
            os.close(ringing)
            os.close(self.fd)
