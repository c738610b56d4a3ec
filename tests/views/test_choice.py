from __future__ import annotations

import pytest

from stagerunner.errors import UsageError
from stagerunner.hookspecs import ViewSpec
from stagerunner.views.choice import BUILT_IN, chosen_view, open_view
from stagerunner.views.plain import Plain


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
