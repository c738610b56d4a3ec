from __future__ import annotations

import pluggy
import pytest

from stagerunner import hookspecs
from stagerunner.catalog.offers import PartsPlugin, as_plugin, offers_of
from stagerunner.hookspecs import CommandSpec
from stagerunner.parts.base import part
from stagerunner.parts.hooks import PROJECT, hookimpl
from stagerunner.parts.sink import sink
from stagerunner.parts.stage import stage


@pytest.fixture
def manager():
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def asked(manager, **hooks):
    plugin = type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})
    manager.register(plugin)
    return offers_of(manager, plugin)


@stage
def shout(text: str) -> str:
    return text.upper()


@sink
class Hole:
    pass


def test_a_hook_may_return_or_yield(manager):
    offers = asked(
        manager,
        stagerunner_stages=lambda: iter([shout]),
        stagerunner_sinks=lambda: [Hole, part("tape", "tapes:Tape")],
        stagerunner_commands=lambda: (CommandSpec("hello", "cli:hello"),),
    )
    assert [(offered.kind, offered.name) for offered in offers.parts] == [
        ("sink", "hole"),
        ("sink", "tape"),
        ("stage", "shout"),
    ]
    assert offers.specs == [CommandSpec("hello", "cli:hello")]
    assert offers.problems == []


def test_one_hook_that_raises_leaves_the_others(manager):
    offers = asked(manager, stagerunner_stages=lambda: [shout], stagerunner_sinks=lambda: 1 / 0)
    assert [offered.name for offered in offers.parts] == ["shout"]
    assert offers.problems[0].startswith("stagerunner_sinks failed: ZeroDivisionError: ")


@pytest.mark.parametrize(
    ("hook", "given", "problem"),
    [
        ("stagerunner_stages", Hole, "stagerunner_stages returned 'hole', which is a sink"),
        ("stagerunner_stages", len, "neither decorated nor a part(…)"),
        ("stagerunner_engines", "ray", "stagerunner_engines returned a str instead of EngineSpec"),
    ],
)
def test_what_does_not_belong_in_a_hook_is_a_problem(manager, hook, given, problem):
    assert problem in asked(manager, **{hook: lambda: [given]}).problems[0]


def started(stage: str, worker: int) -> None:
    pass


def test_a_worker_hook_is_kept_by_its_name(manager):
    offers = asked(manager, stagerunner_worker_started=started)
    assert offers.worker_hooks == [("stagerunner_worker_started", f"{__name__}:started")]


def test_a_worker_hook_without_a_name_is_a_problem(manager):
    offers = asked(manager, stagerunner_worker_stopping=lambda stage, worker: None)
    assert offers.problems == ["stagerunner_worker_stopping has to be a function of a module"]


def test_only_a_module_without_hooks_is_a_lone_file():
    assert isinstance(as_plugin(pytest), PartsPlugin)
    assert as_plugin(shout) is shout
