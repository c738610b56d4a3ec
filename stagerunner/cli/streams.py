"""How this call talks: what its flags say about colour, secrets and the form of lines, and the streams that follow."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import TextIO

from stagerunner.views.console import Console, use_color


class Nowhere(io.StringIO):
    """Takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


class Streams:
    """Filled in as flags are read; what tells of an error at the very end asks here too."""

    def __init__(self, color: str = "auto") -> None:
        self.color = color
        self.verbose = False
        self.json = False
        self.secrets: tuple[str, ...] = ()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Show these as `***` from now on."""
        self.secrets = tuple(secrets)

    def out(self) -> Console:
        """Standard output, for what was asked for. A reader that has left raises BrokenPipeError."""
        return self._console(sys.stdout)

    def err(self) -> Console:
        """Standard error, for everything else."""
        return self._console(sys.stderr, losable=True)

    def _console(self, stream: TextIO | None, *, losable: bool = False) -> Console:
        # Python has None for a descriptor that was closed when it started.
        there = stream or Nowhere()
        return Console(there, color=use_color(there, self.color), secrets=self.secrets, losable=losable)
