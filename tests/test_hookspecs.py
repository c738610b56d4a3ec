from __future__ import annotations

import pluggy

from stagerunner import hookspecs
from stagerunner.parts.hooks import PROJECT


def hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_")]


def test_every_hook_has_a_sentence():
    assert hooks()
    for name in hooks():
        assert getattr(hookspecs, name).__doc__.endswith("."), name


def test_pluggy_takes_them_all():
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)

    assert all(hasattr(manager.hook, name) for name in hooks())
