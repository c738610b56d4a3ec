"""Progress on a terminal: a table that is drawn anew, and lines that scroll by above it."""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console as Screen
from rich.live import Live as Drawing
from rich.text import Text

from stagerunner.events import Progress
from stagerunner.plan import Plan
from stagerunner.views.console import Console, Piece
from stagerunner.views.dashboard import Dashboard
from stagerunner.views.plain import Silent


class Live(Silent):
    """Drawn at every Progress event, without a thread of its own; the closing summary takes the table's place."""

    def __init__(self, console: Console, plan: Plan) -> None:
        super().__init__(console, plan)
        self._dashboard = Dashboard(plan.name)
        self._screen = Screen(
            file=console.stream, force_terminal=True, no_color=not console.color, highlight=False, markup=False
        )
        self._drawing = Drawing(
            console=self._screen,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawing.start()

    def line(self, *pieces: Piece) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._screen.print(Text.from_ansi(self.console.text(*pieces)), soft_wrap=True)

    def progress(self, event: Progress) -> None:
        self._dashboard.hear(event)
        lines = self._dashboard.draw(self._screen.width - 1)
        drawn = self.console.encodable(self.console.text("\n".join(lines)))
        with suppress(OSError):
            self._drawing.update(Text(drawn, no_wrap=True, overflow="crop"), refresh=True)

    def close(self, *, silent: bool = False) -> None:
        with suppress(OSError):
            self._drawing.stop()
