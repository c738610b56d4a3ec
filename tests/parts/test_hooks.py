from __future__ import annotations

import subprocess
import sys

import pluggy
import pytest

from stagerunner.parts.hooks import PROJECT, hookimpl

OPTIONS = [{}, {"tryfirst": True}, {"trylast": True}]


@pytest.mark.parametrize("options", OPTIONS)
def test_our_marker_sets_exactly_what_pluggys_sets(options):
    def ours():
        return 1

    def theirs():
        return 1

    hookimpl(**options)(ours)
    pluggy.HookimplMarker(PROJECT)(**options)(theirs)

    assert vars(ours) == vars(theirs)


def test_without_options_it_decorates_at_once():
    @hookimpl
    def ours():
        return 1

    @pluggy.HookimplMarker(PROJECT)
    def theirs():
        return 1

    assert ours() == 1
    assert vars(ours) == vars(theirs)


def test_importing_the_marker_imports_no_pluggy():
    code = "import sys; from stagerunner import hookimpl; sys.exit('pluggy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
