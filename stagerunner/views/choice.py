"""`--progress NAME`: which view, imported when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stagerunner.catalog import Unresolved
from stagerunner.catalog.importing import import_target
from stagerunner.config.wording import did_you_mean, listed
from stagerunner.errors import UsageError
from stagerunner.events import Progress
from stagerunner.hookspecs import ViewSpec
from stagerunner.plan import Plan
from stagerunner.views.console import Console, Piece

BUILT_IN = {
    "live": ViewSpec("live", "stagerunner.views.live:Live", "a table, drawn anew"),
    "plain": ViewSpec("plain", "stagerunner.views.plain:Plain", "a line every ten seconds"),
    "json": ViewSpec("json", "stagerunner.views.json:Json", "a JSON object a line"),
    "none": ViewSpec("none", "stagerunner.views.plain:Silent", "nothing while it runs"),
}


class View(Protocol):
    """What a view offers."""

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
    """The view at work. Raises UsageError where a plugin's can't be imported."""
    try:
        made: Any = import_target(spec.target)
    except Unresolved as why:
        raise UsageError(f"the view '{spec.name}' can't be used: {why}") from None
    view: View = made(console, plan)
    return view
