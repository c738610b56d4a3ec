"""What is shown while a run runs: the view that `--progress` names, and the listener that feeds it.

Progress events go to the view; every other event becomes lines (see `log`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from stagerunner.catalog import Unresolved
from stagerunner.catalog.importing import import_target
from stagerunner.config.wording import did_you_mean, listed
from stagerunner.errors import StagerunnerError, UsageError
from stagerunner.events import Progress
from stagerunner.guard import guard
from stagerunner.hookspecs import ViewSpec
from stagerunner.plan import Plan
from stagerunner.views.console import Console, Piece
from stagerunner.views.log import Log

BUILT_IN = {
    "live": ViewSpec("live", "stagerunner.views.live:Live", "a table, redrawn"),
    "plain": ViewSpec("plain", "stagerunner.views.plain:Plain", "a line every ten seconds"),
    "json": ViewSpec("json", "stagerunner.views.plain:Json", "a JSON object a line"),
    "none": ViewSpec("none", "stagerunner.views.plain:Silent", "nothing while it runs"),
}


class View(Protocol):
    """What a view has to offer. `line` writes a line that stays; `close` comes once, at the end."""

    def line(self, *pieces: Piece) -> None: ...
    def progress(self, event: Progress) -> None: ...
    def close(self, *, silent: bool = False) -> None: ...


def chosen_view(name: str, offered: Mapping[str, ViewSpec], *, terminal: bool) -> ViewSpec:
    """The view of that name; `auto` is live on a terminal and plain elsewhere. Raises UsageError for an unknown one."""
    views = {**offered, **BUILT_IN}
    if name in ("auto", "live"):
        return BUILT_IN["live" if terminal else "plain"]
    if name not in views:
        names = ["auto", *views]
        raise UsageError(f"no view is called '{name}'; {did_you_mean(name, names) or f'there is {listed(names)}'}")
    return views[name]


def open_view(spec: ViewSpec, console: Console, plan: Plan) -> View:
    """An instance of the view. Raises UsageError if a plugin's can't be imported."""
    try:
        made: Any = import_target(spec.target)
    except Unresolved as why:
        raise UsageError(f"the view '{spec.name}' can't be used: {why}") from None
    view: View = made(console, plan)
    return view


class Listener:
    """Called with every event of a run; `close` ends it.

    first: the view until the first Progress event. open_view: makes the view from then on, so that drawing is imported
    while the workers start.
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
        """A view that fails doesn't end the run: it is reported and replaced by the first one."""
        try:
            with guard("the view", method):
                yield
        except StagerunnerError as error:
            self._view = self._first
            self._view.line(("warn", f"{error}; going on without it"))

    def close(self, *, silent: bool = False) -> None:
        """Write what the log has left, unless `silent`, and close the view."""
        for line in () if silent else self._log.rest():
            with self._surviving("line"):
                self._view.line(*line)
        with self._surviving("close"):
            self._view.close(silent=silent)
