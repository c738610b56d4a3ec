"""What a run is listened to with: its progress goes to a view, everything else becomes lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stagerunner.errors import StagerunnerError
from stagerunner.events import Progress
from stagerunner.guard import guard
from stagerunner.views.choice import View
from stagerunner.views.log import Log


class Listener:
    """Told every event of a run; `close` it at the end.

    first: the view until there is progress. open_view: makes the one after that: what is needed to draw is imported
    when the workers are on their way.
    """

    def __init__(self, log: Log, first: View, open_view: Callable[[], View]) -> None:
        self._log = log
        self._first = self._view = first
        self._open_view: Callable[[], View] | None = open_view

    def __call__(self, event: Any) -> None:
        if isinstance(event, Progress):
            self._progress(event)
            return
        for line in self._log.lines(event):
            with self._surviving("line"):
                self._view.line(*line)

    def _progress(self, event: Progress) -> None:
        with self._surviving("progress"):
            if self._open_view is not None:
                open_view, self._open_view = self._open_view, None
                self._view = open_view()
            self._view.progress(event)

    @contextmanager
    def _surviving(self, method: str) -> Iterator[None]:
        """A view that fails, whoever wrote it, is told of and done without: the run is worth more."""
        try:
            with guard("the view", method):
                yield
        except StagerunnerError as error:
            self._view = self._first
            self._view.line(("warn", f"{error}; going on without it"))

    def close(self, *, silent: bool = False) -> None:
        """Say what is left to be said, or nothing more."""
        for line in () if silent else self._log.rest():
            with self._surviving("line"):
                self._view.line(*line)
        with self._surviving("close"):
            self._view.close(silent=silent)
