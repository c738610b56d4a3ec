from __future__ import annotations

from types import SimpleNamespace

import pytest

from stagerunner.errors import UsageError
from stagerunner.events import Output, Progress, RecordFailed
from stagerunner.hookspecs import ViewSpec
from stagerunner.views.log import TextLog
from stagerunner.views.plain import Plain, Silent
from stagerunner.views.progress import BUILT_IN, Listener, chosen_view, open_view


def test_auto_is_live_on_a_terminal_and_plain_elsewhere():
    assert chosen_view("auto", {}, terminal=True).name == "live"
    assert chosen_view("auto", {}, terminal=False).name == "plain"


def test_without_a_terminal_live_is_plain():
    assert chosen_view("live", {}, terminal=False).name == "plain"


def test_a_plugin_may_offer_one():
    spec = ViewSpec("web", "web.views:View")
    assert chosen_view("web", {"web": spec}, terminal=False) is spec


def test_an_unknown_one_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'plain'"):
        chosen_view("plane", {}, terminal=False)


def test_the_view_is_imported_and_made(console):
    assert isinstance(open_view(BUILT_IN["plain"], console, None), Plain)


def test_a_view_that_can_not_be_imported_is_a_usage_error(console):
    with pytest.raises(UsageError, match="the view 'web' can't be used"):
        open_view(ViewSpec("web", "no_such_module_here:View"), console, None)


class Recording(Silent):
    def __init__(self, console) -> None:
        super().__init__(console, SimpleNamespace(name="logs"))
        self.heard: list[str] = []

    def progress(self, event: Progress) -> None:
        self.heard.append("progress")

    def close(self, *, silent: bool = False) -> None:
        self.heard.append("closed")


def test_the_view_is_opened_at_the_first_progress(console, stream):
    view = Recording(console)
    listener = Listener(TextLog({}), Silent(console, view.plan), lambda: view)
    listener(Output("a", 0, "before"))
    assert view.heard == []
    listener(Progress(1.0, 0, 0, 0, 0, None, ()))
    listener.close()
    assert view.heard == ["progress", "closed"]
    assert stream.getvalue() == "[a] before\n"


def test_failures_that_were_only_counted_are_shown_at_the_end(console, stream):
    listener = Listener(TextLog({}), Recording(console), lambda: Recording(console))
    for _ in range(5):
        listener(RecordFailed("a", "E", "", "skip", ""))
    listener.close()
    assert stream.getvalue().endswith("a: … and 2 more skipped\n")
