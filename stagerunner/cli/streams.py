"""How this call talks: what its flags say about colour, secrets and the form of lines, and the streams that follow."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from stagerunner.views.console import Console, use_color


@dataclass(slots=True)
class Streams:
    """Filled in as flags are read; what tells of an error at the very end asks here too."""

    color: str = "auto"
    verbose: bool = False
    json: bool = False
    secrets: tuple[str, ...] = ()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Show these as `***` from now on."""
        self.secrets = tuple(secrets)

    def out(self) -> Console:
        """Standard output, for what was asked for. A reader that has left raises BrokenPipeError."""
        return Console(sys.stdout, color=use_color(sys.stdout, self.color), secrets=self.secrets)

    def err(self) -> Console:
        """Standard error, for everything else."""
        return Console(sys.stderr, color=use_color(sys.stderr, self.color), secrets=self.secrets, losable=True)
