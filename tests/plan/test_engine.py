from __future__ import annotations

import pytest

from stagerunner.catalog import load_catalog
from stagerunner.config.model import Run
from stagerunner.config.nodes import from_plain
from stagerunner.errors import ConfigError, Mark
from stagerunner.plan import make_plan

MARK = Mark("chain.yaml", 6, 3)
ENGINES = """
from stagerunner import hookimpl
from stagerunner.hookspecs import EngineSpec

class Ray:
    def __init__(self, plan, *, address: str, size: int = 2): ...

@hookimpl
def stagerunner_engines():
    return [EngineSpec("ray", f"{__name__}:Ray"), EngineSpec("gone", f"{__name__}:Gone")]
"""


@pytest.fixture
def with_engines(config, folder):
    (folder / "engines.py").write_text(ENGINES)
    plugins = [(f"./{name}.py", None, folder) for name in ("parts", "engines")]
    catalog = load_catalog(plugins=plugins, installed=False)

    def plan(name, options=None, **how):
        node = None if options is None else from_plain(options, MARK)
        return make_plan(config(run=Run(engine=name, engine_options=node, engine_mark=MARK)), catalog, **how)

    return plan


def test_the_callers_choice_comes_before_the_files(with_engines):
    plan = with_engines("ray", {"address": "here"}, engine="inline")
    assert (plan.run.engine, plan.engine_target) == ("inline", "stagerunner.engines.inline:InlineEngine")
    assert plan.engine_options == {}


def test_an_engine_of_a_plugin_with_its_options(with_engines):
    plan = with_engines("ray", {"address": "here"})
    assert plan.engine_target.endswith(":Ray")
    assert plan.engine_options == {"address": "here"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rai", None, "no engine is called 'rai'"),
        ("ray", {"addres": "here", "address": "x"}, "there is no option 'addres'"),
        ("ray", {"plan": 1, "address": "x"}, "there is no option 'plan'"),
        ("process", {"address": "here"}, "the engine 'process' takes no options"),
        ("gone", {}, "the engine 'gone' can't be used: engines.py has no 'Gone'"),
    ],
)
def test_mistakes_stand_where_the_engine_is_named(with_engines, folder, monkeypatch, name, options, message):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        with_engines(name, options)
    [mistake] = caught.value.mistakes
    assert mistake.message == message
    assert mistake.mark == MARK


def test_a_misspelt_engine_of_the_command_line_is_marked_there(planned):
    with pytest.raises(ConfigError) as caught:
        planned(how={"engine": "inlin"})
    [mistake] = caught.value.mistakes
    assert (str(mistake.mark), mistake.fix) == ("--engine:1:1", "did you mean 'inline'?")
